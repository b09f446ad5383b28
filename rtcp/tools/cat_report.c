/* See cat.h. Standard output belongs to the stream; everything that is said goes to standard error. */
#include "rtcp/tools/cat.h"

#include "rtcp/base/clock_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void cat_report_init(struct cat_report *r, const struct cat_options *o)
{
    *r = (struct cat_report){
        .progress = o->progress, .json = o->json, .is_terminal = isatty(2) == 1, .began = base_clock_now()};
    r->last_at = r->began;
}

const char *cat_report_size(char text[CAT_SIZE_TEXT], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes >= 1024. && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024.;
        unit++;
    }
    (void)snprintf(text, CAT_SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

/* The beginning of a JSON line; the caller writes fields and calls end_event. */
static void begin_event(const char *name)
{
    fprintf(stderr, "{\"event\":\"%s\",\"at_ns\":%" PRIu64, name, base_clock_now());
}

static void end_event(void)
{
    fputs("}\n", stderr);
}

static void put_text(const char *key, const char *text)
{
    fprintf(stderr, ",\"%s\":\"", key);
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == '"' || *text == '\\') {
            fprintf(stderr, "\\u%04x", (unsigned char)*text);
        } else {
            fputc(*text, stderr);
        }
    }
    fputc('"', stderr);
}

/* Ends a progress line that is being drawn over. */
static void end_line(struct cat_report *r)
{
    if (r->has_line) {
        fputc('\n', stderr);
        r->has_line = false;
    }
}

void cat_report_error(struct cat_report *r, const char *format, ...)
{
    char text[512];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (r->json) {
        begin_event("error");
        put_text("text", text);
        end_event();
        return;
    }
    end_line(r);
    fprintf(stderr, "rtcp-cat: %s\n", text);
}

void cat_report_listening(struct cat_report *r, const char *address)
{
    if (r->json) {
        begin_event("listening");
        put_text("address", address);
        end_event();
    } else if (r->progress) {
        fprintf(stderr, "listening at %s\n", address);
    }
}

void cat_report_link(struct cat_report *r, const struct rtcp_stream *stream, bool up)
{
    base_time now = base_clock_now();
    struct rtcp_info info;

    rtcp_info(stream, &info);
    if (r->json) {
        begin_event("link");
        fprintf(stderr, ",\"up\":%s,\"connections\":%" PRIu32 ",\"unacknowledged\":%" PRIu64, up ? "true" : "false",
                info.connections, info.unacknowledged);
        put_text("peer", rtcp_peer_address(stream));
        end_event();
    } else if (r->progress) {
        end_line(r);
        if (!up) {
            fprintf(stderr, "link down, %" PRIu64 " bytes unacknowledged\n", info.unacknowledged);
        } else if (r->down_at == 0) {
            fprintf(stderr, "link up with %s\n", rtcp_peer_address(stream));
        } else {
            fprintf(stderr, "link up again after %.2f s\n", (double)base_time_since(now, r->down_at) / 1e9);
        }
    }
    r->down_at = up ? 0 : now;
}

void cat_report_evidence(struct cat_report *r, enum rtcp_evidence evidence)
{
    static const struct {
        const char *name, *text;
    } known[] = {
        [RTCP_EVIDENCE_REFUSED] = {"REFUSED", "the host is up, nobody listens there"},
        [RTCP_EVIDENCE_UNREACHABLE] = {"UNREACHABLE", "no route"},
        [RTCP_EVIDENCE_SILENT] = {"SILENT", "no answer"},
        [RTCP_EVIDENCE_WRONG_PEER] = {"WRONG_PEER", "another service or another key answers"},
        [RTCP_EVIDENCE_UNKNOWN] = {"UNKNOWN", "the peer does not know this stream"},
        [RTCP_EVIDENCE_HEARD] = {"HEARD", "the peer is heard again"},
    };

    if ((size_t)evidence >= sizeof known / sizeof known[0] || known[evidence].name == NULL) {
        return;
    }
    if (r->json) {
        begin_event("evidence");
        put_text("kind", known[evidence].name);
        end_event();
    } else if (r->progress) {
        end_line(r);
        fprintf(stderr, "%s\n", known[evidence].text);
    }
}

void cat_report_progress(struct cat_report *r, const struct rtcp_info *info)
{
    base_time now = base_clock_now();
    double passed = (double)base_time_since(now, r->last_at) / 1e9;
    double up_rate = passed > 0. ? (double)(info->sent - r->last_sent) / passed : 0.;
    double down_rate = passed > 0. ? (double)(info->received - r->last_received) / passed : 0.;
    char text[5][CAT_SIZE_TEXT];

    r->last_at = now;
    r->last_sent = info->sent;
    r->last_received = info->received;
    if (r->json) {
        begin_event("progress");
        fprintf(stderr,
                ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"sent_per_second\":%.0f,\"received_per_second\":%.0f"
                ",\"up\":%s,\"connections\":%" PRIu32 ",\"unacknowledged\":%" PRIu64 ",\"oldest\":%.3f",
                info->sent, info->received, up_rate, down_rate, info->disconnected == 0 ? "true" : "false",
                info->connections, info->unacknowledged, (double)info->oldest_unacknowledged / 1e9);
        end_event();
        return;
    }
    fprintf(stderr, "%ssent %s (%s/s), received %s (%s/s), link %s, %" PRIu32 " connection%s, %s unacknowledged%s",
            r->has_line ? "\r" : "", cat_report_size(text[0], (double)info->sent), cat_report_size(text[1], up_rate),
            cat_report_size(text[2], (double)info->received), cat_report_size(text[3], down_rate),
            info->disconnected == 0 ? "up" : "down", info->connections, info->connections == 1 ? "" : "s",
            cat_report_size(text[4], (double)info->unacknowledged), r->is_terminal ? "\x1b[K" : "\n");
    r->has_line = r->is_terminal;
}

void cat_report_done(struct cat_report *r, const struct rtcp_info *info, bool is_ok, int status,
                     uint64_t unacknowledged)
{
    double seconds = (double)base_time_since(base_clock_now(), r->began) / 1e9;
    char text[2][CAT_SIZE_TEXT];

    end_line(r);
    if (r->json) {
        begin_event("done");
        fprintf(stderr,
                ",\"ok\":%s,\"status\":\"%s\",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"unacknowledged\":%" PRIu64
                ",\"connections\":%" PRIu32 ",\"repeated\":%" PRIu64 ",\"seconds\":%.3f",
                is_ok ? "true" : "false", base_status_name(status), info->sent, info->received, unacknowledged,
                info->connections, info->repeated, seconds);
        end_event();
    } else if (r->progress) {
        fprintf(stderr, "%s: sent %s, received %s in %.1f s, %" PRIu32 " connection%s, %" PRIu64 " bytes repeated\n",
                is_ok ? "done" : "not complete", cat_report_size(text[0], (double)info->sent),
                cat_report_size(text[1], (double)info->received), seconds, info->connections,
                info->connections == 1 ? "" : "s", info->repeated);
    }
}
