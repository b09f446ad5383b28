/* One line of JSON per event; see transfer_event.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "examples/transfer_event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void transfer_event(const struct transfer_flow *f, const char *name, const char *format, ...)
{
    printf("{\"event\":\"%s\",\"at_ns\":%" PRIu64 ",\"flow\":%" PRIu32, name, transfer_pace_clock(), f->number);
    va_list list;
    va_start(list, format);
    (void)vprintf(format, list);
    va_end(list);
    printf("}\n");
    (void)fflush(stdout); /* a reader that went away ends us by SIGPIPE */
}

static void hash_text(const crypto_hash_sha256_state *state, char *ret_text)
{
    crypto_hash_sha256_state copy = *state;
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(&copy, hash);
    (void)sodium_bin2hex(ret_text, 2 * sizeof hash + 1, hash, sizeof hash);
}

static double mebibytes(uint64_t n)
{
    return (double)n / (1024.0 * 1024.0);
}

void transfer_event_done(struct transfer_flow *f, bool is_ok, const char *status, uint64_t unacknowledged)
{
    char sent[2 * crypto_hash_sha256_BYTES + 1];
    char received[2 * crypto_hash_sha256_BYTES + 1];
    struct rtcp_info info;
    hash_text(&f->hash_sent, sent);
    hash_text(&f->hash_received, received);
    rtcp_info(f->stream, &info);
    transfer_event(f, "done",
                   ",\"ok\":%s,\"status\":\"%s\",\"unacknowledged\":%" PRIu64 ",\"sent\":%" PRIu64
                   ",\"received\":%" PRIu64
                   ",\"sha256_sent\":\"%s\",\"sha256_received\":\"%s\",\"connections\":%" PRIu32
                   ",\"repeated\":%" PRIu64 ",\"breaks\":%" PRIu64 ",\"breaks_in_flight\":%" PRIu64
                   ",\"breaks_resent\":%" PRIu64 ",\"gap_max_ms\":%.1f,\"seconds\":%.3f",
                   is_ok ? "true" : "false", status, unacknowledged, f->sent, f->received, sent, received,
                   info.connections, info.repeated, f->breaks, f->breaks_in_flight, f->breaks_resent,
                   (double)f->gap_max / 1e6, (double)base_time_since(transfer_pace_clock(), f->started) / 1e9);
    if (!f->settings->is_quiet) {
        fprintf(stderr, "%s: sent %.1f MiB, received %.1f MiB, %" PRIu32 " connections, %" PRIu64 " bytes repeated\n",
                status, mebibytes(f->sent), mebibytes(f->received), info.connections, info.repeated);
    }
}

void transfer_event_progress(const struct transfer_flow *f)
{
    struct rtcp_info info;
    rtcp_info(f->stream, &info);
    if (f->settings->watch) {
        transfer_event(f, "progress",
                       ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"up\":%s,\"connections\":%" PRIu32
                       ",\"unacknowledged\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"breaks_in_flight\":%" PRIu64
                       ",\"breaks_resent\":%" PRIu64,
                       f->sent, f->received, f->is_up ? "true" : "false", info.connections, info.unacknowledged,
                       info.repeated, f->breaks_in_flight, f->breaks_resent);
    }
    if (!f->settings->is_quiet) {
        fprintf(stderr, "sent %.1f MiB, received %.1f MiB, link %s, %.1f KiB unacknowledged\n", mebibytes(f->sent),
                mebibytes(f->received), f->is_up ? "up" : "down", (double)info.unacknowledged / 1024.0);
    }
}

void transfer_event_listening(const char *address)
{
    printf("{\"event\":\"listening\",\"at_ns\":%" PRIu64 ",\"address\":\"%s\"}\n", transfer_pace_clock(), address);
    (void)fflush(stdout);
}

static const char *evidence_name(enum rtcp_evidence evidence)
{
    switch (evidence) {
    case RTCP_EVIDENCE_NONE:
        return "NONE";
    case RTCP_EVIDENCE_REFUSED:
        return "REFUSED";
    case RTCP_EVIDENCE_UNREACHABLE:
        return "UNREACHABLE";
    case RTCP_EVIDENCE_SILENT:
        return "SILENT";
    case RTCP_EVIDENCE_WRONG_PEER:
        return "WRONG_PEER";
    case RTCP_EVIDENCE_UNKNOWN:
        return "UNKNOWN";
    case RTCP_EVIDENCE_HEARD:
        return "HEARD";
    }
    return "?";
}

void transfer_event_evidence(const struct transfer_flow *f, enum rtcp_evidence evidence)
{
    transfer_event(f, "evidence", ",\"kind\":\"%s\"", evidence_name(evidence));
}
