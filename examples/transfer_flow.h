/* One stream of transfer: what is sent and where from, what is read and where to, the end of both directions.
 *
 * Owns      the files, the made-up bytes, hashes and counts of one stream; the callbacks of the library.
 * Relies on the public header rtcp/rtcp.h; transfer_pace for how fast; transfer_event to tell.
 * Not here  endpoints and listeners, and how many streams there are: examples/transfer.c.
 */
#ifndef HOLDFAST_EXAMPLES_TRANSFER_FLOW_H
#define HOLDFAST_EXAMPLES_TRANSFER_FLOW_H

#include "examples/transfer_options.h"
#include "examples/transfer_pace.h"
#include "rtcp/rtcp.h"

#include <sodium.h>

struct transfer_flow;

/* The stream is closed and everything was told; whoever owns the flow frees it. */
typedef void transfer_flow_on_over(struct transfer_flow *f, bool is_ok);

/* One stream with its two directions. */
struct transfer_flow {
    const struct transfer_settings *settings;
    transfer_flow_on_over *on_over;
    void *user; /* of on_over */
    struct rtcp_stream *stream;
    uint32_t number;
    int in; /* descriptors, -1 for none */
    int out;
    uint64_t left; /* made-up bytes still to send */
    uint64_t random;
    bool has_ended_sending;
    bool cannot_send; /* the peer reads no more */
    bool has_read_end;
    bool has_failed; /* a file could not be read or written */
    bool is_closing;
    bool is_up;
    bool can_read; /* on_readable came and the bytes were left for a later turn */
    struct transfer_pace send_pace;
    struct transfer_pace read_pace;
    uint64_t sent;
    uint64_t received;
    uint32_t connections;      /* used, when last looked */
    uint64_t repeated;         /* bytes written again, when last looked */
    uint64_t breaks;           /* connections replaced */
    uint64_t breaks_in_flight; /* of these, with bytes that the peer had not acknowledged */
    uint64_t breaks_resent;    /* of these, after which bytes had to be written again: they were lost with it */
    bool has_break_open;
    base_time started;
    base_time last_arrival;
    base_time gap_max;
    crypto_hash_sha256_state hash_sent;
    crypto_hash_sha256_state hash_received;
};

/* To be given to the library with the flow as their user. */
extern const struct rtcp_stream_callbacks transfer_flow_callbacks;

/* A flow with its files open, not yet bound to a stream; NULL after a message. The settings must outlive it. */
struct transfer_flow *transfer_flow_new(const struct transfer_settings *settings, uint32_t number,
                                        transfer_flow_on_over *on_over, void *user);
void transfer_flow_free(struct transfer_flow *f);

/* Sends while there is room, data and pace. */
void transfer_flow_send(struct transfer_flow *f);

/* Reads what has arrived, a bounded number of chunks at once. */
void transfer_flow_read(struct transfer_flow *f);

/* Counts the connections that were replaced since the last look. on_link does not tell all of them: a connection that
 * is replaced at once was never down. */
void transfer_flow_look(struct transfer_flow *f);

#endif
