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

/* Whether `size` bytes should go this way: the ring has a descriptor, and they are many. */
bool rtcp_pages_pay(const struct base_ringmem *ring, size_t size);

/* Writes up to `size` bytes of the ring from `offset` on to a non-blocking socket, as send() would, without a signal:
 * the count, or -1 and errno. Writes less where the ring's memory ends. EINVAL, ENOSYS and the like mean that this
 * kernel or socket cannot: use send() from then on (rtcp_pages_cannot). */
ssize_t rtcp_pages_send(int fd, const struct base_ringmem *ring, uint64_t offset, size_t size);

/* Whether this errno says that it will never work here. */
bool rtcp_pages_cannot(int error);

#endif
