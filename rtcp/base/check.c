/* What happens when an invariant is broken. The only place of the library that prints: the process ends here. */
#include "rtcp/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void base_check_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "holdfast: broken invariant: %s (%s:%d)\n", expression, file, line);
    abort();
}
