/* Bytes of a ring given to the kernel by reference: sendfile() from its memfd, which costs no copy on this side.
 *
 * Owns      the one call, and that it raises no SIGPIPE.
 * Relies on the seven rules of PROTOCOL.md "Pages": until the peer's application copied them, the queues of both
 *           kernels (on one machine the receiver's, too) may refer to the very pages of the ring.
 * Not here  sessions, connections; which writes are large enough.
 */
#ifndef HOLDFAST_RTCP_PAGES_LOOP_H
#define HOLDFAST_RTCP_PAGES_LOOP_H

#include "rtcp/outbox.h"

#include <stdbool.h>
#include <sys/types.h>

#define RTCP_PAGES_LEAST 32768u /* smaller writes are cheaper with send() */

/* Writes up to `size` bytes of the ring from `offset` on to a non-blocking socket, as send() would, without a signal:
 * the count, or -1 and errno. Writes less where the ring's memory ends. */
ssize_t rtcp_pages_send(int fd, const struct base_ringmem *ring, uint64_t offset, size_t size);

/* Writes `next`, the ring's bytes from `offset` on, as send() without waiting would: large pieces by reference unless
 * *no_pages; the socket must be non-blocking for that. EINVAL, ENOSYS and the like mean that this kernel or socket
 * cannot: *no_pages becomes true, and the others go by send(). */
ssize_t rtcp_pages_write(int fd, const struct base_ringmem *ring, uint64_t offset, struct base_bytes next,
                         bool *no_pages);

#endif
