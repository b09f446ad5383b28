/* See perf_sync.h: robust TCP, the blocking face. A struct perf_sync is the socket itself. */
#include "rtcp/blocking.h"
#include "rtcp/tools/perf_sync.h"
#include "rtcp/tools/perf_wire.h"

#include <errno.h>

static struct rtcp_socket *socket_of(struct perf_sync *s)
{
    return (struct rtcp_socket *)s;
}

static struct perf_sync *listen_at(const struct perf_options *o, const char *address)
{
    struct rtcp_listen_options options;
    struct rtcp_socket *socket = NULL;

    rtcp_listen_options_default(&options);
    perf_rtcp_options(&options.stream, o);
    return rtcp_socket_listen(address, &options, &socket) < 0 ? NULL : (struct perf_sync *)socket;
}

static struct perf_sync *accept_one(struct perf_sync *listener)
{
    struct rtcp_socket *socket = NULL;

    return rtcp_socket_accept(socket_of(listener), &socket) < 0 ? NULL : (struct perf_sync *)socket;
}

static struct perf_sync *connect_to(const struct perf_options *o, const char *address)
{
    struct rtcp_socket_options options;
    struct rtcp_socket *socket = NULL;
    int status;

    rtcp_socket_options_default(&options);
    perf_rtcp_options(&options.stream, o);
    status = rtcp_socket_connect(address, &options, BASE_NEVER, &socket);
    if (status == BASE_E_REFUSED) {
        errno = ECONNREFUSED; /* what the caller says is errno, of either wire */
    }
    return status < 0 ? NULL : (struct perf_sync *)socket;
}

static bool send_all(struct perf_sync *s, const void *data, size_t size)
{
    return rtcp_socket_send(socket_of(s), data, size) == (int64_t)size;
}

static int64_t recv_some(struct perf_sync *s, void *data, size_t size)
{
    return rtcp_socket_recv(socket_of(s), data, size);
}

static void finish(struct perf_sync *s)
{
    (void)rtcp_socket_shutdown(socket_of(s));
}

static void hang_up(struct perf_sync *s)
{
    rtcp_socket_free(socket_of(s)); /* closes in the background */
}

const struct perf_sync_wire perf_sync_rtcp = {listen_at, accept_one, connect_to, send_all, recv_some, finish, hang_up};
