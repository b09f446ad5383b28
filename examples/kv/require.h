/* What must hold, or the process ends: for memory and for mistakes of this program, never for what a client sends. */
#ifndef KV_REQUIRE_H
#define KV_REQUIRE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void kv_require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "kv: this must hold: %s\n", what);
        abort();
    }
}

#endif
