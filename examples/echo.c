/* Sends every byte back to the client it came from. Bytes that do not fit wait with the client, not here.
 *
 * usage: echo HOST:PORT      (port 0: any; the address is printed. The other end: examples/hello.c)
 */
#include "rtcp/rtcp.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>

/* There is something to read, or room to write: move bytes until one of them ends. */
static void on_ready(void *user, struct rtcp_stream *stream)
{
    char data[4096];
    struct base_span room;
    int64_t count = 1;

    (void)user;
    while (count > 0 && rtcp_reserve(stream, &room) == 0) {
        count = rtcp_recv(stream, data, room.size < sizeof data ? room.size : sizeof data);
        if (count > 0) {
            count = rtcp_send(stream, data, (size_t)count);
        }
    }
    if (count == 0) { /* the client's end of the stream */
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    const struct rtcp_stream_callbacks callbacks = {.on_readable = on_ready, .on_writable = on_ready};

    (void)user;
    (void)listener;
    rtcp_stream_set_callbacks(stream, &callbacks, NULL);
}

static void on_drain(void *user, struct rtcp_endpoint *endpoint, const struct rtcp_drain_progress *progress)
{
    (void)endpoint;
    if (progress->is_over) {
        ev_break(user, EVBREAK_ALL);
    }
}

/* Told to end: what was read is still sent back, for five seconds at most. */
static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)events;
    ev_signal_stop(loop, w);
    rtcp_drain(w->data, BASE_S(5), on_drain, loop);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct rtcp_endpoint *endpoint = NULL;
    struct rtcp_listener *listener = NULL;
    int status = BASE_E_INVALID;
    ev_signal stop;

    if (argc == 2) {
        status = rtcp_endpoint_open(loop, NULL, &endpoint);
    }
    if (status == 0) {
        status = rtcp_listen(endpoint, argv[1], NULL, on_accept, NULL, &listener);
    }
    if (status < 0) {
        fprintf(stderr, "usage: echo HOST:PORT (%s)\n", base_status_text(status));
        return 1;
    }
    printf("%s\n", rtcp_listener_address(listener));
    fflush(stdout);
    ev_signal_init(&stop, on_signal, SIGTERM);
    stop.data = endpoint;
    ev_signal_start(loop, &stop);
    ev_run(loop, 0);
    rtcp_endpoint_close(endpoint);
    return 0;
}
