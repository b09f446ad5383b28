/* See pages_loop.h. A driver: it makes system calls. */
#include "rtcp/pages_loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>

/* Whether `size` bytes should go this way: the ring has a descriptor, and they are many. */
static bool pays(const struct base_ringmem *ring, size_t size)
{
    return size >= RTCP_PAGES_LEAST && ring->handle >= 0;
}

/* Rule 6: sendfile() has no MSG_NOSIGNAL. A SIGPIPE of ours is consumed before anybody sees it, also where the pipe
 * broke behind bytes that count; one that was pending before belongs to somebody else and stays. */
static ssize_t without_signal(int fd, int from, off_t *at, size_t size)
{
    const struct timespec at_once = {0, 0};
    sigset_t pipe, before, pending;
    bool was_pending = false;
    ssize_t n;
    int error;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &pipe, &before) != 0) {
        errno = ENOSYS;
        return -1;
    }
    if (sigismember(&before, SIGPIPE) == 1) {
        was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    }
    n = sendfile(fd, from, at, size);
    error = errno;
    if (!was_pending && (n < 0 ? error == EPIPE : (size_t)n < size)) {
        while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    if (sigismember(&before, SIGPIPE) != 1) {
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    errno = error;
    return n;
}

ssize_t rtcp_pages_send(int fd, const struct base_ringmem *ring, uint64_t offset, size_t size)
{
    size_t place = (size_t)(offset & (ring->size - 1));
    off_t at = (off_t)place;

    return without_signal(fd, ring->handle, &at, size < ring->size - place ? size : ring->size - place);
}

/* Whether this errno says that it will never work here. */
static bool is_impossible(int error)
{
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM || error == EBADF ||
           error == ESPIPE || error == EOVERFLOW;
}

ssize_t rtcp_pages_write(int fd, const struct base_ringmem *ring, uint64_t offset, struct base_bytes next,
                         bool *no_pages)
{
    if (!*no_pages && pays(ring, next.size)) {
        ssize_t n = rtcp_pages_send(fd, ring, offset, next.size);

        if (n >= 0 || !is_impossible(errno)) {
            return n;
        }
        *no_pages = true;
    }
    return send(fd, next.data, next.size, MSG_NOSIGNAL | MSG_DONTWAIT);
}
