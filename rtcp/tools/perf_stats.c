/* Percentiles, medians, and how far they can be trusted. */
#include "rtcp/base/rng.h"
#include "rtcp/tools/perf.h"

#include <stdlib.h>
#include <string.h>

#define RESAMPLES 2000
#define VALUES    1024

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

double perf_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_double);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2.;
}

void perf_interval(const double *values, size_t count, double ret_interval[2])
{
    static double medians[RESAMPLES];
    double sample[VALUES];
    struct base_rng rng;

    base_rng_init(&rng, 42); /* the same values give the same interval */
    count = count < VALUES ? count : VALUES;
    for (size_t i = 0; i < RESAMPLES; i++) {
        for (size_t k = 0; k < count; k++) {
            sample[k] = values[base_rng_below(&rng, count)];
        }
        medians[i] = perf_median(sample, count);
    }
    qsort(medians, RESAMPLES, sizeof medians[0], by_double);
    ret_interval[0] = medians[RESAMPLES * 25 / 1000];
    ret_interval[1] = medians[RESAMPLES * 975 / 1000];
}

uint64_t perf_percentile(uint64_t *values, size_t count, double part)
{
    size_t at = (size_t)((double)count * part);

    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof *values, by_number);
    return values[at < count ? at : count - 1];
}
