/* See socket_loop.h. */
#include "examples/kv/socket_loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 511

/* Splits at the last colon; takes the brackets off. False: this is no address. */
static bool split(const char *address, char host[KV_ADDRESS_TEXT], const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - address);

    if (colon == NULL || size >= KV_ADDRESS_TEXT || colon[1] == '\0') {
        return false;
    }
    if (size >= 2 && address[0] == '[' && address[size - 1] == ']') {
        address++;
        size -= 2;
    }
    (void)snprintf(host, KV_ADDRESS_TEXT, "%.*s", (int)size, address);
    *ret_port = colon + 1;
    return true;
}

static int listen_at(const struct addrinfo *a)
{
    int one = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return BASE_E_SYSTEM;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 || bind(fd, a->ai_addr, a->ai_addrlen) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int error = errno;

        (void)close(fd);
        errno = error;
        return BASE_E_SYSTEM;
    }
    return fd;
}

int kv_socket_listen(const char *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char host[KV_ADDRESS_TEXT];
    struct addrinfo *list = NULL;
    const char *port;
    int fd;

    if (!split(address, host, &port) || getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &list) != 0) {
        return BASE_E_INVALID;
    }
    fd = listen_at(list);
    freeaddrinfo(list);
    return fd;
}

int kv_socket_accept(int fd)
{
    int one = 1;
    int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (client >= 0) {
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* slower without, not wrong */
    }
    return client;
}

void kv_socket_peer(int fd, char ret_text[KV_ADDRESS_TEXT])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[48] = "?";
    char port[8] = "?";

    if (getpeername(fd, (struct sockaddr *)&address, &size) == 0) {
        (void)getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
    }
    (void)snprintf(ret_text, KV_ADDRESS_TEXT, "%s:%s", host, port);
}

const char *kv_socket_error(int error)
{
    const char *text = strerrordesc_np(error);

    return text == NULL ? "an unknown error" : text;
}
