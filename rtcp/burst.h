/* Bursts: what a program writes in one turn of its loop. The first bytes leave with their call, later ones together,
 * when enough of them wait or when the turn ends: a system call and a wake-up of the peer for each small write of a
 * stream that is busy anyway cost more than the bytes do.
 *
 * Owns      how much was written in the turn, and whether some of it waits for the turn's end.
 * Relies on a number that changes with each turn.
 * Not here  who ends a turn and writes what waits (stream_loop.c, endpoint_loop.c); the peer, which sees nothing of it.
 */
#ifndef HOLDFAST_RTCP_BURST_H
#define HOLDFAST_RTCP_BURST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtcp_burst {
    uint32_t turn;  /* the last one in which bytes were taken */
    uint32_t taken; /* ... so many of them, or as many as this can tell */
    bool is_off;    /* every write leaves with its call */
    bool waits;     /* bytes were kept back in this turn */
};

/* The bytes that make a batch: a small part of the outbox, whose size `ring` is, so that the peer has enough to
 * acknowledge while the next one is gathered. */
size_t rtcp_burst_batch(size_t ring);

/* `size` bytes were taken in the turn. */
void rtcp_burst_took(struct rtcp_burst *b, uint32_t turn, size_t size);

/* Whether `unsent` bytes, all that would be written now, had better wait for more. */
bool rtcp_burst_may_wait(const struct rtcp_burst *b, uint32_t turn, size_t unsent, size_t ring);

#endif
