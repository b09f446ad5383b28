/* See age.h. Pure. */
#include "rtcp/age.h"

#define GAP BASE_MS(50) /* bytes that come within it share a mark */

/* Makes two neighbours one: those whose common mark is wrong by least, compared with their age. So marks of old bytes
 * are far apart, and those of new ones close. */
static void thin(struct rtcp_age *a, base_time now)
{
    unsigned best = 0;
    double least = 1e300;

    for (unsigned i = 0; i + 1 < a->count; i++) {
        base_time end = i + 2 < a->count ? a->at[i + 2] : now;
        double width = (double)(end - a->at[i]);
        double age = (double)(now - end) + (double)GAP;

        if (width / age < least) {
            least = width / age;
            best = i;
        }
    }
    a->upto[best] = a->upto[best + 1];
    for (unsigned i = best + 1; i + 1 < a->count; i++) {
        a->at[i] = a->at[i + 1];
        a->upto[i] = a->upto[i + 1];
    }
    a->count--;
}

void rtcp_age_took(struct rtcp_age *a, base_time now, uint64_t upto)
{
    if (a->count > 0 && base_time_since(now, a->at[a->count - 1]) < GAP) {
        a->upto[a->count - 1] = (uint32_t)upto;
        return;
    }
    if (a->count == RTCP_AGE_MARKS) {
        thin(a, now);
    }
    a->at[a->count] = now;
    a->upto[a->count++] = (uint32_t)upto;
}

void rtcp_age_acked(struct rtcp_age *a, uint64_t acked)
{
    unsigned gone = 0;

    while (gone < a->count && (uint32_t)acked - a->upto[gone] < UINT32_C(1) << 31) {
        gone++;
    }
    if (gone == 0) {
        return;
    }
    a->count -= gone;
    for (unsigned i = 0; i < a->count; i++) {
        a->at[i] = a->at[i + gone];
        a->upto[i] = a->upto[i + gone];
    }
}

base_time rtcp_age_of(const struct rtcp_age *a, base_time now)
{
    return a->count == 0 ? 0 : base_time_since(now, a->at[0]);
}
