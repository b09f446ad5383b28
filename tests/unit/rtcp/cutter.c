/* See cutter.h. */
#include "tests/unit/rtcp/cutter.h"

#include "rtcp/base/bytes.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include <sys/socket.h>

static void cut(struct cutter *r, int i, bool is_reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    for (int side = 0; side < 2; side++) {
        if (is_reset) {
            setsockopt(r->pair[i][side], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        close(r->pair[i][side]);
    }
    r->count--;
    r->pair[i][0] = r->pair[r->count][0];
    r->pair[i][1] = r->pair[r->count][1];
    r->left[i] = r->left[r->count];
    r->ended[i][0] = r->ended[r->count][0];
    r->ended[i][1] = r->ended[r->count][1];
}

static unsigned roll(struct cutter *r)
{
    r->dice = r->dice * 1103515245u + 12345u;
    return r->dice >> 8;
}

static void take_in(struct cutter *r)
{
    int in = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (in < 0 || out < 0 || r->count == CUTTER_PAIRS ||
        connect(out, (struct sockaddr *)&r->server, sizeof r->server) < 0) {
        if (in >= 0) {
            close(in);
        }
        if (out >= 0) {
            close(out);
        }
        return;
    }
    r->pair[r->count][0] = in;
    r->pair[r->count][1] = out;
    r->ended[r->count][0] = r->ended[r->count][1] = false;
    /* Behind the handshake: something gets through each time. */
    r->left[r->count++] = r->cut_after == 0 ? UINT_MAX : 200 + roll(r) % r->cut_after;
}

/* Moves bytes one way; false: cut it. */
static bool move(struct cutter *r, int i, int side)
{
    int from = r->pair[i][side];
    int to = r->pair[i][1 - side];
    uint8_t bytes[65536];
    size_t most = r->left[i] < sizeof bytes ? r->left[i] : sizeof bytes;
    ssize_t n = recv(from, bytes, most, MSG_DONTWAIT);
    ssize_t done = 0;

    while (n > 0 && done < n) {
        ssize_t sent = send(to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = to, .events = POLLOUT};

            if (poll(&p, 1, 50) <= 0) {
                return false; /* the other side does not read: two full ways must not wait for each other */
            }
        } else if (sent < 0) {
            return false;
        } else {
            done += sent;
        }
    }
    r->left[i] -= n > 0 && r->cut_after > 0 ? (unsigned)n : 0;
    if (n == 0) {
        r->ended[i][side] = true;
        return !r->ended[i][1 - side] && shutdown(to, SHUT_WR) == 0;
    }
    return n > 0 ? r->left[i] > 0 : errno == EAGAIN || errno == EINTR;
}

/* What somebody asked for: cuts, and says whether to go on. */
static bool obey(struct cutter *r)
{
    uint64_t rings;
    bool goes_on;

    (void)!read(r->bell, &rings, sizeof rings);
    pthread_mutex_lock(&r->lock);
    while ((r->is_cut_wanted || r->is_stop_wanted) && r->count > 0) {
        r->cuts++;
        cut(r, 0, roll(r) % 2 == 0);
    }
    r->is_cut_wanted = false;
    goes_on = !r->is_stop_wanted;
    pthread_cond_broadcast(&r->answer);
    pthread_mutex_unlock(&r->lock);
    return goes_on;
}

static void *relay(void *argument)
{
    struct cutter *r = argument;

    for (;;) {
        struct pollfd p[2 + 2 * CUTTER_PAIRS] = {{.fd = r->fd, .events = POLLIN}, {.fd = r->bell, .events = POLLIN}};
        int count = r->count;

        for (int i = 0; i < count; i++) {
            p[2 + 2 * i] = (struct pollfd){.fd = r->ended[i][0] ? -1 : r->pair[i][0], .events = POLLIN};
            p[3 + 2 * i] = (struct pollfd){.fd = r->ended[i][1] ? -1 : r->pair[i][1], .events = POLLIN};
        }
        (void)poll(p, 2 + 2 * (nfds_t)count, -1);
        for (int i = count - 1; i >= 0; i--) {
            if ((p[2 + 2 * i].revents != 0 && !move(r, i, 0)) || (p[3 + 2 * i].revents != 0 && !move(r, i, 1))) {
                r->cuts++;
                cut(r, i, roll(r) % 2 == 0);
            }
        }
        if (p[0].revents != 0) {
            take_in(r);
        }
        if (p[1].revents != 0 && !obey(r)) {
            return NULL;
        }
    }
}

static void ask(struct cutter *r, bool *what)
{
    uint64_t one = 1;

    pthread_mutex_lock(&r->lock);
    *what = true;
    (void)!write(r->bell, &one, sizeof one);
    while (what == &r->is_cut_wanted && r->is_cut_wanted) {
        pthread_cond_wait(&r->answer, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void cutter_begin(struct cutter *r, const char *to, unsigned cut_after)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;

    base_zero(r, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->answer, NULL);
    r->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(r->bell >= 0);
    r->server = at;
    r->server.sin_port = htons((uint16_t)strtol(strrchr(to, ':') + 1, NULL, 10));
    r->cut_after = cut_after;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(r->fd, 64), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&at, &size), 0);
    snprintf(r->address, sizeof r->address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(pthread_create(&r->thread, NULL, relay, r), 0);
}

void cutter_cut(struct cutter *r)
{
    ask(r, &r->is_cut_wanted);
}

void cutter_end(struct cutter *r)
{
    ask(r, &r->is_stop_wanted);
    pthread_join(r->thread, NULL);
    close(r->fd);
    close(r->bell);
    pthread_cond_destroy(&r->answer);
    pthread_mutex_destroy(&r->lock);
}
