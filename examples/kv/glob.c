/* See glob.h. One star is remembered at a time: when the rest does not fit, it takes one more character. That is
 * enough, because a later star can do everything an earlier one could, and it keeps hostile patterns from exploding. */
#include "examples/kv/glob.h"

/* Reads the set after '[' at *at; leaves *at behind it. */
static bool set_fits(struct base_bytes p, size_t *at, uint8_t c)
{
    size_t i = *at + 1;
    bool is_not = i < p.size && p.data[i] == '^';
    bool fits = false;

    for (i += is_not ? 1 : 0; i < p.size && p.data[i] != ']'; i++) {
        uint8_t low = p.data[i];
        uint8_t high;

        if (low == '\\' && i + 1 < p.size) {
            low = p.data[++i];
        }
        high = low;
        if (i + 2 < p.size && p.data[i + 1] == '-') {
            high = p.data[i + 2];
            i += 2;
        }
        fits = fits || (low <= high ? c >= low && c <= high : c >= high && c <= low);
    }
    *at = i < p.size ? i + 1 : p.size;
    return fits != is_not;
}

/* Whether the pattern's element at *at takes the character; leaves *at behind the element. */
static bool element_fits(struct base_bytes p, size_t *at, uint8_t c)
{
    if (p.data[*at] == '[') {
        return set_fits(p, at, c);
    }
    if (p.data[*at] == '?') {
        (*at)++;
        return true;
    }
    if (p.data[*at] == '\\' && *at + 1 < p.size) {
        (*at)++;
    }
    return p.data[(*at)++] == c;
}

bool kv_glob_fits(struct base_bytes pattern, struct base_bytes text)
{
    size_t p = 0;
    size_t t = 0;
    size_t after_star = SIZE_MAX; /* place in the pattern; SIZE_MAX: no star so far */
    size_t star_took = 0;         /* the text up to here was taken by the star */

    while (t < text.size) {
        size_t next = p;

        if (p < pattern.size && pattern.data[p] == '*') {
            after_star = ++p;
            star_took = t;
        } else if (p < pattern.size && element_fits(pattern, &next, text.data[t])) {
            p = next;
            t++;
        } else if (after_star != SIZE_MAX) {
            p = after_star;
            t = ++star_took;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.size;
}
