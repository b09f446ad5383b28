/* One connection of rtcp-perf's blocking face, over robust or plain TCP: the same calls, so that both run the same code
 * above.
 *
 * Owns      the table of calls; the two wires fill it.
 * Relies on blocking calls; any thread may use a connection, one at a time.
 * Not here  what is sent, and when: perf_blocking.c.
 */
#ifndef HOLDFAST_RTCP_PERF_SYNC_H
#define HOLDFAST_RTCP_PERF_SYNC_H

#include "rtcp/tools/perf.h"

struct perf_sync; /* a connection or a listener */

struct perf_sync_wire {
    struct perf_sync *(*listen)(const struct perf_options *o, const char *address);
    struct perf_sync *(*accept)(struct perf_sync *listener);
    struct perf_sync *(*connect)(const struct perf_options *o, const char *address);
    /* All of it; false: over. */
    bool (*send)(struct perf_sync *s, const void *data, size_t size);
    /* A count; 0 or negative: the end. */
    int64_t (*recv)(struct perf_sync *s, void *data, size_t size);
    /* Ends the sending direction. */
    void (*finish)(struct perf_sync *s);
    /* What was sent still arrives. */
    void (*close)(struct perf_sync *s);
};

extern const struct perf_sync_wire perf_sync_tcp;
extern const struct perf_sync_wire perf_sync_rtcp;

#endif
