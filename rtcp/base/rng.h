/* Seeded random numbers for jitter and identifiers inside cores: the same seed gives the same run.
 *
 * Owns      a small generator (splitmix64).
 * Relies on a driver that takes the seed from the kernel's random source.
 * Not here  secrets: nonces are made by drivers with libsodium and passed in.
 */
#ifndef HOLDFAST_BASE_RNG_H
#define HOLDFAST_BASE_RNG_H

#include <stdint.h>

struct base_rng {
    uint64_t state;
};

static inline void base_rng_init(struct base_rng *r, uint64_t seed)
{
    r->state = seed;
}

static inline uint64_t base_rng_next(struct base_rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number in [0, upto); 0 when upto is 0. The bias is below 2^-32 for upto < 2^32. */
static inline uint64_t base_rng_below(struct base_rng *r, uint64_t upto)
{
    return upto == 0 ? 0 : base_rng_next(r) % upto;
}

#endif
