/* The record of duo.h: what happened, line by line, and the questions that stories ask it. */
#include "tests/story/rtcp/duo.h"

#include "rtcp/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRACE_MAX (8u << 20)
#define PREFIX    13 /* of a line: the time */

char duo_letter(const struct duo_host *h)
{
    return h->who == DUO_CLIENT ? 'C' : h->who == DUO_SERVER ? 'S' : 'X';
}

void duo_note(struct duo *d, const char *format, ...)
{
    char line[240];
    va_list args;
    int n;

    if (!d->opt.is_traced || d->trace_size > TRACE_MAX) {
        return;
    }
    n = snprintf(line, sizeof line, "%12.6f ", (double)d->now / 1e9);
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    n = n < (int)sizeof line - 2 ? n : (int)sizeof line - 2;
    line[n++] = '\n';
    if (d->trace_size + (size_t)n + 1 > d->trace_room) {
        d->trace_room = d->trace_room * 2 + 65536;
        d->trace = realloc(d->trace, d->trace_room);
        CHECK(d->trace != NULL);
    }
    memcpy(d->trace + d->trace_size, line, (size_t)n);
    d->trace_size += (size_t)n;
    d->trace[d->trace_size] = 0;
}

void duo_record_event(void *user, const struct base_event *e)
{
    struct duo *d = user;

    duo_note(d, "  [%llu] %s %s: %s (%s=%llu %s=%llu)", (unsigned long long)e->id, e->object, e->name,
             e->text == NULL ? "" : e->text, e->field[0].key, (unsigned long long)e->field[0].value, e->field[1].key,
             (unsigned long long)e->field[1].value);
}

void duo_mark(struct duo *d)
{
    d->trace_mark = d->trace_size;
}

/* The next line since `from` that begins with text (after its time); NULL when there is none. */
static const char *find_line(const char *from, const char *text)
{
    size_t size = strlen(text);

    while (from != NULL && *from != 0) {
        const char *line = from + PREFIX;

        if (strncmp(line, text, size) == 0 && (line[size] == '\n' || line[size] == ' ' || size == 0)) {
            return from;
        }
        from = strchr(from, '\n');
        from = from == NULL ? NULL : from + 1;
    }
    return NULL;
}

static const char *next_line(const char *line)
{
    return strchr(line, '\n') + 1;
}

unsigned duo_count(const struct duo *d, const char *text)
{
    const char *line = d->trace == NULL ? NULL : d->trace + d->trace_mark;
    unsigned count = 0;

    while ((line = find_line(line, text)) != NULL) {
        count++;
        line = next_line(line);
    }
    return count;
}

void duo_expect(struct duo *d, const char *first, ...)
{
    const char *at = d->trace == NULL ? NULL : d->trace + d->trace_mark;
    va_list args;

    va_start(args, first);
    for (const char *text = first; text != NULL; text = va_arg(args, const char *)) {
        at = find_line(at, text);
        if (at == NULL) {
            va_end(args);
            duo_fail(d, "\"%s\" did not happen, or not in this order", text);
        }
        at = next_line(at);
    }
    va_end(args);
}

static void print_streams(const struct duo *d)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DUO_STREAMS; j++) {
            const struct duo_stream *s = d->host[i].stream[j];

            if (s != NULL) {
                fprintf(
                    stderr,
                    "%c%d life %d path %d try %d live %u attempt %u out %llu..%llu written %llu(%llu) received %llu "
                    "read %llu to_send %llu shut %d closed %d peer %d/%d wake %u closed %d %s\n",
                    duo_letter(&d->host[i]), j, s->session.life, s->session.path, s->session.trying, s->session.live,
                    s->session.attempt, (unsigned long long)s->session.out.first,
                    (unsigned long long)s->session.out.upto, (unsigned long long)s->session.written,
                    (unsigned long long)s->session.written_max, (unsigned long long)s->session.received,
                    (unsigned long long)s->read, (unsigned long long)s->to_send, s->session.shut, s->session.closed,
                    s->session.peer_shut, s->session.peer_closed, s->session.wake, s->is_closed,
                    s->is_closed ? base_status_name(s->status) : "");
            }
        }
    }
}

_Noreturn void duo_fail(const struct duo *d, const char *format, ...)
{
    size_t tail = getenv("DUO_TAIL") == NULL ? 6000 : strtoul(getenv("DUO_TAIL"), NULL, 10);
    const char *from = d->trace == NULL ? "" : d->trace;
    va_list args;

    if (d->trace_size > tail) {
        from = d->trace + d->trace_size - tail;
    }
    fprintf(stderr, "%s\nseed %llu, at %.6f s: ", from, (unsigned long long)d->opt.seed, (double)d->now / 1e9);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    print_streams(d);
    fail();
    abort();
}
