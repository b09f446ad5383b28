/* Patterns of KEYS and SCAN: * ? [a-z] [^a-z] and a backslash before a character that stands for itself.
 *
 * Owns      nothing. Relies on nothing. Time is bounded by the product of both sizes.
 */
#ifndef KV_GLOB_H
#define KV_GLOB_H

#include "rtcp/base/bytes.h"

/* Whether the whole text fits the pattern. An unclosed bracket reaches to the end of the pattern. */
bool kv_glob_fits(struct base_bytes pattern, struct base_bytes text);

#endif
