/* Percentiles, medians, and how far they can be trusted. */
#include "rtcp/base/bytes.h"
#include "rtcp/base/rng.h"
#include "rtcp/tools/perf.h"

#include <stdlib.h>

#define RESAMPLES 2000

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

/* Sorts the values. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_double);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2.;
}

struct perf_interval perf_stats_interval(const double *values, size_t count)
{
    struct perf_interval result = {0};
    double medians[RESAMPLES];
    double sample[PERF_PAIRS_MAX];
    struct base_rng rng;

    if (count == 0 || count > PERF_PAIRS_MAX) {
        return result;
    }
    base_rng_init(&rng, 42); /* the same values give the same interval */
    for (size_t i = 0; i < RESAMPLES; i++) {
        for (size_t k = 0; k < count; k++) {
            sample[k] = values[base_rng_below(&rng, count)];
        }
        medians[i] = median(sample, count);
    }
    qsort(medians, RESAMPLES, sizeof medians[0], by_double);
    result.low = medians[RESAMPLES * 25 / 1000];
    result.high = medians[RESAMPLES * 975 / 1000];
    base_copy(sample, values, count * sizeof sample[0]);
    result.median = median(sample, count);
    return result;
}

void perf_stats_sort(uint64_t *values, size_t count)
{
    if (count > 0) {
        qsort(values, count, sizeof *values, by_number);
    }
}

uint64_t perf_stats_percentile(const uint64_t *sorted, size_t count, double part)
{
    size_t at = (size_t)((double)count * part);

    return count == 0 ? 0 : sorted[at < count ? at : count - 1];
}

void perf_run_keep(struct perf_run *r, uint64_t ns)
{
    if (r->latency_count == r->latency_room) {
        size_t room = r->latency_room == 0 ? 65536 : r->latency_room * 2;
        uint64_t *more = realloc(r->latency, room * sizeof *more);

        if (more == NULL) {
            return;
        }
        r->latency = more;
        r->latency_room = room;
    }
    r->latency[r->latency_count++] = ns;
}
