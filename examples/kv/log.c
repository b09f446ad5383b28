/* See log.h. */
#include "examples/kv/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIELDS_MAX 8

static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < ' ' || c > '~') {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static void put_head(FILE *out, const struct kv_log *log, const char *event)
{
    struct timespec now = {0, 0};
    struct tm day;
    char text[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &day);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &day);
    fprintf(out,
            log->is_json ? "{\"at\":\"%s.%03ldZ\",\"member\":%" PRIu32 ",\"event\":" : "%s.%03ldZ kv[%" PRIu32 "] ",
            text, now.tv_nsec / 1000000, log->self);
    if (log->is_json) {
        put_text(out, event);
    } else {
        fputs(event, out);
    }
}

static void put_field(FILE *out, const struct kv_log *log, const struct kv_field *f)
{
    if (log->is_json) {
        fputc(',', out);
        put_text(out, f->key);
        fputc(':', out);
    } else {
        fprintf(out, " %s=", f->key);
    }
    if (f->text != NULL) {
        put_text(out, f->text);
    } else {
        fprintf(out, "%" PRIu64, f->number);
    }
}

void kv_log_event(const struct kv_log *log, const char *event, const struct kv_field *fields)
{
    flockfile(stderr);
    put_head(stderr, log, event);
    for (; fields != NULL && fields->key != NULL; fields++) {
        put_field(stderr, log, fields);
    }
    fputs(log->is_json ? "}\n" : "\n", stderr);
    funlockfile(stderr);
}

void kv_log_trouble(struct kv_log *log, enum kv_trouble kind, base_time now, const char *event,
                    const struct kv_field *fields)
{
    struct kv_field all[FIELDS_MAX] = {{NULL, NULL, 0}};
    size_t count = 0;

    if (log->trouble[kind].told != 0 && base_time_since(now, log->trouble[kind].told) < BASE_S(1)) {
        log->trouble[kind].left_out++;
        return;
    }
    for (; fields[count].key != NULL && count < FIELDS_MAX - 2; count++) {
        all[count] = fields[count];
    }
    if (log->trouble[kind].left_out > 0) {
        all[count] = (struct kv_field){"left_out", NULL, log->trouble[kind].left_out};
    }
    kv_log_event(log, event, all);
    log->trouble[kind].told = now;
    log->trouble[kind].left_out = 0;
}

/* Puts an event's reason and fields behind what stands in `all` already. */
static void add_fields(struct kv_field all[FIELDS_MAX], size_t count, const struct base_event *event)
{
    if (event->text != NULL) {
        all[count++] = (struct kv_field){"why", event->text, 0};
    }
    for (size_t i = 0; i < BASE_TRACE_FIELDS && count < FIELDS_MAX - 1; i++) {
        if (event->field[i].key != NULL) {
            all[count++] = (struct kv_field){event->field[i].key, NULL, event->field[i].value};
        }
    }
}

void kv_log_trace(void *user, const struct base_event *event)
{
    struct kv_field all[FIELDS_MAX] = {{"object", event->object, 0}, {"id", NULL, event->id}};

    add_fields(all, 2, event);
    kv_log_event(user, event->name, all);
}

void kv_log_strangers(void *user, const struct base_event *event)
{
    struct kv_field all[FIELDS_MAX] = {{NULL, NULL, 0}};
    bool is_handshake = strncmp(event->name, "handshake", strlen("handshake")) == 0;

    if (strcmp(event->object, "endpoint") == 0) {
        add_fields(all, 0, event);
        kv_log_trouble(user, is_handshake ? KV_TROUBLE_HANDSHAKE : KV_TROUBLE_DATAGRAM, event->at, event->name, all);
    }
}
