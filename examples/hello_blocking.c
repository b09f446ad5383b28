/* Says hello to an echo server, with blocking calls, over a stream that survives broken connections.
 *
 * usage: hello_blocking HOST:PORT     (the other end: examples/echo.c)
 */
#include "rtcp/blocking.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct rtcp_socket *socket = NULL;
    char text[256];
    int64_t count;
    int status = argc == 2 ? rtcp_socket_connect(argv[1], NULL, BASE_S(10), &socket) : BASE_E_INVALID;

    if (status < 0 || rtcp_socket_send(socket, "hello\n", 6) != 6) {
        fprintf(stderr, "%s\n", base_status_text(status));
        return 1;
    }
    rtcp_socket_shutdown(socket); /* the bytes and their end are kept until the server has read them, whatever breaks */
    while ((count = rtcp_socket_recv(socket, text, sizeof text)) > 0) {
        fwrite(text, 1, (size_t)count, stdout);
    }
    status = rtcp_socket_close(socket, RTCP_LINGER_BACKGROUND, BASE_S(10));
    rtcp_socket_free(socket);
    printf("%s\n", base_status_text(count < 0 ? (int)count : status));
    return count < 0 || status < 0;
}
