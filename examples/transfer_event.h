/* What transfer tells: one line of JSON per event on stdout, and a few words for people on stderr.
 *
 * Owns      the texts.
 * Relies on transfer_flow.h for what it tells of; libsodium writes hashes.
 * Not here  when something is told.
 */
#ifndef HOLDFAST_EXAMPLES_TRANSFER_EVENT_H
#define HOLDFAST_EXAMPLES_TRANSFER_EVENT_H

#include "examples/transfer_flow.h"

/* One event of a stream as a line of JSON; format makes the fields after the common ones. */
__attribute__((format(printf, 3, 4))) void transfer_event(const struct transfer_flow *f, const char *name,
                                                          const char *format, ...);

/* A stream is over: everything that was counted. */
void transfer_event_done(struct transfer_flow *f, bool is_ok, const char *status, uint64_t unacknowledged);

/* How far it is: an event for --watch, a line for people unless --quiet. */
void transfer_event_progress(const struct transfer_flow *f);

void transfer_event_evidence(const struct transfer_flow *f, enum rtcp_evidence evidence);

/* The server is there; no stream yet. */
void transfer_event_listening(const char *address);

#endif
