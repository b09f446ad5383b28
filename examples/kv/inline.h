/* One inline command: words between spaces, "with \"escapes\" and \x41" or 'without'.
 *
 * Owns      nothing. Relies on args.
 */
#ifndef KV_INLINE_H
#define KV_INLINE_H

#include "examples/kv/buffer.h"
#include "rtcp/base/status.h"

/* Adds the words of a line (without its end) to a begun command. 0, or BASE_E_PROTOCOL when a quote is not closed or
 * something follows a closing quote at once. */
BASE_MUST_USE int kv_inline_parse(struct base_bytes line, struct kv_buffer *command);

#endif
