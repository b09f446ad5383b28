/* Says hello to an echo server over a stream that survives broken connections, and prints what comes back.
 *
 * usage: hello HOST:PORT     (the other end: examples/echo.c)
 */
#include "rtcp/rtcp.h"

#include <ev.h>
#include <stdio.h>

static void on_readable(void *user, struct rtcp_stream *stream)
{
    char text[256];
    int64_t count = rtcp_recv(stream, text, sizeof text);

    (void)user;
    if (count > 0) {
        fwrite(text, 1, (size_t)count, stdout);
    } else if (count == 0) { /* the server's end of the stream: it has sent everything */
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    printf("%s; %llu bytes unacknowledged\n", base_status_text(status), (unsigned long long)unacknowledged);
    *(int *)user = status;
    ev_break(ev_default_loop(0), EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    const struct rtcp_stream_callbacks callbacks = {.on_readable = on_readable, .on_closed = on_closed};
    struct ev_loop *loop = ev_default_loop(0);
    struct rtcp_endpoint *endpoint = NULL;
    struct rtcp_stream *stream = NULL;
    int result = 0;

    if (argc != 2 || rtcp_endpoint_open(loop, NULL, &endpoint) < 0 ||
        rtcp_connect(endpoint, argv[1], NULL, &callbacks, &result, &stream) < 0 ||
        rtcp_send(stream, "hello\n", 6) != 6) {
        fprintf(stderr, "usage: hello HOST:PORT\n");
        return 1;
    }
    rtcp_shutdown(stream); /* the bytes and their end are kept until the server has read them, whatever breaks */
    ev_run(loop, 0);
    rtcp_endpoint_close(endpoint);
    return result < 0;
}
