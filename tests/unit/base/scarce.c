/* See scarce.h. */
#include "tests/unit/base/scarce.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void scarce_needs_kernel(void)
{
    const char *loaded = getenv("LD_PRELOAD");

    if (loaded != NULL && strstr(loaded, "vgpreload") != NULL) {
        skip();
    }
}

void scarce_begin(struct scarce *s, int spare)
{
    struct rlimit few;
    int fd = dup(0);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &s->before), 0);
    few = (struct rlimit){.rlim_cur = (rlim_t)(fd + 64), .rlim_max = s->before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (s->count = 0; s->count < SCARCE_MAX && (fd = dup(0)) >= 0; s->count++) {
        s->held[s->count] = fd;
    }
    assert_true(s->count < SCARCE_MAX && s->count >= spare && errno == EMFILE);
    while (spare-- > 0) {
        close(s->held[--s->count]);
    }
}

void scarce_end(struct scarce *s)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &s->before), 0);
    while (s->count > 0) {
        close(s->held[--s->count]);
    }
}
