/* The pre-shared keys of the arena of streams: who has which, and how they change while streams live. An operator gives
 * each process the new key, makes it current, and takes the old one away, as rtcp_endpoint_set_keys advises; one who is
 * careless does not wait until everybody opens with the new one. What a process has is read again at its next start.
 *
 * Oracle: no stream opens under a key that its server did not have any more when the client began, nor under one that
 * it never had; who holds the wrong key learns nothing. Streams that live go on (talks_judge.h).
 */
#ifndef HOLDFAST_SIM_TALKS_KEYS_H
#define HOLDFAST_SIM_TALKS_KEYS_H

#include "tests/sim/talks.h"

/* Draws whether there are keys, whether they change, and whether some clients hold a wrong one. */
void talks_keys_begin(int servers, int nodes);
/* What a process of this node is given at its start. */
void talks_keys_options(int node, struct rtcp_endpoint_options *o);
/* The options of an endpoint with a wrong key; false: this run has none. */
bool talks_keys_are_wrong(struct rtcp_endpoint_options *o);
/* The key that this node opens with; -1: none. */
int talks_keys_current(int node);
/* A server learnt which stream it had accepted; a stream ended well. */
void talks_keys_accepted(int server, const struct talk *t);
void talks_keys_finished(const struct talk *t);
/* The client cannot be heard any more: its key is gone from the server, and no process there knows the stream. */
bool talks_keys_lock_out(const struct talk *t);

#endif
