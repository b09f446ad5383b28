/* See cat.h. O_NONBLOCK belongs to the open file, which a shell and other programs share with us; setting it there
 * would make their writes fail. So a pipe or a terminal is opened a second time through /proc, and that one is ours
 * alone.
 */
#include "rtcp/tools/cat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void cat_pipe_fill_holes(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* the wrong way round: reading 0 and writing 1 and 2 give EBADF, as they would have */
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        }
    }
}

/* Puts an open file of our own behind the number; false: it stays as it was. */
static bool open_anew(int fd, bool is_input)
{
    int wanted = is_input ? O_RDONLY : O_WRONLY;
    int have = fcntl(fd, F_GETFL);
    char path[32];
    int again;
    bool is_done;

    if (have < 0 || ((have & O_ACCMODE) != wanted && (have & O_ACCMODE) != O_RDWR)) {
        return false; /* it cannot be used this way: let read or write say so */
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    again = open(path, wanted | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (again < 0) {
        return false;
    }
    is_done = dup2(again, fd) == fd;
    (void)close(again);
    return is_done;
}

void cat_pipe_open(struct cat_pipe *p, int fd, bool is_input)
{
    struct stat s;

    *p = (struct cat_pipe){.fd = fd};
    if (fstat(fd, &s) < 0) {
        return;
    }
    p->is_socket = S_ISSOCK(s.st_mode);
    p->is_terminal = isatty(fd) == 1;
    p->may_block = (S_ISFIFO(s.st_mode) || p->is_terminal) && !open_anew(fd, is_input);
}

ssize_t cat_pipe_read(const struct cat_pipe *p, void *at, size_t size)
{
    return p->is_socket ? recv(p->fd, at, size, MSG_DONTWAIT) : read(p->fd, at, size);
}

ssize_t cat_pipe_write(const struct cat_pipe *p, const void *at, size_t size)
{
    size = p->may_block && size > PIPE_BUF ? PIPE_BUF : size; /* what a pipe that is ready takes */
    return p->is_socket ? send(p->fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL) : write(p->fd, at, size);
}

int cat_pipe_close(struct cat_pipe *p)
{
    int status = close(p->fd);
    int error = errno;

    cat_pipe_fill_holes(); /* nobody else gets the number */
    errno = error;
    return status;
}
