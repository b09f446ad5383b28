/* Two programs swap a file: each sends one and receives one at the same time, with blocking calls and two threads, over
 * one stream that survives broken connections.
 *
 * usage: swap listen ADDRESS FILE COPY       prints the address, then waits for the other
 *        swap connect HOST:PORT FILE COPY    FILE is sent, COPY is what the other sends
 */
#include "rtcp/blocking.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct sending {
    struct rtcp_socket *socket;
    FILE *file;
    int64_t status; /* the last count, or why it ended */
};

static void *send_file(void *argument)
{
    struct sending *s = argument;
    static char bytes[65536];
    size_t size;

    while ((size = fread(bytes, 1, sizeof bytes, s->file)) > 0) {
        s->status = rtcp_socket_send(s->socket, bytes, size);
        if (s->status != (int64_t)size) {
            return NULL;
        }
    }
    s->status = rtcp_socket_shutdown(s->socket); /* the other reads the end of the file */
    return NULL;
}

static int64_t receive_file(struct rtcp_socket *socket, FILE *file)
{
    static char bytes[65536];
    int64_t count;

    while ((count = rtcp_socket_recv(socket, bytes, sizeof bytes)) > 0) {
        if (fwrite(bytes, 1, (size_t)count, file) != (size_t)count) {
            return BASE_E_SYSTEM;
        }
    }
    return count;
}

static int open_socket(const char *how, const char *address, struct rtcp_socket **ret_socket)
{
    struct rtcp_socket *listener;
    char text[RTCP_ADDRESS_TEXT];
    int status;

    if (strcmp(how, "connect") == 0) {
        return rtcp_socket_connect(address, NULL, BASE_S(30), ret_socket);
    }
    status = rtcp_socket_listen(address, NULL, &listener);
    if (status < 0) {
        return status;
    }
    rtcp_socket_address(listener, text);
    printf("listening %s\n", text);
    fflush(stdout);
    status = rtcp_socket_accept(listener, ret_socket);
    rtcp_socket_free(listener); /* no more streams; this one can still come back through it */
    return status;
}

static int swap(struct rtcp_socket *socket, FILE *file, FILE *copy)
{
    struct sending s = {.socket = socket, .file = file};
    struct rtcp_info info;
    pthread_t thread;
    int64_t count;
    int status;

    if (pthread_create(&thread, NULL, send_file, &s) != 0) {
        return BASE_E_NOMEM;
    }
    count = receive_file(socket, copy);
    pthread_join(thread, NULL);
    status = rtcp_socket_close(socket, RTCP_LINGER_BACKGROUND, BASE_NEVER);
    rtcp_socket_info(socket, &info);
    printf("sent %llu received %llu connections %u\n", (unsigned long long)info.sent, (unsigned long long)info.received,
           info.connections);
    return count < 0 ? (int)count : s.status < 0 ? (int)s.status : status;
}

int main(int argc, char **argv)
{
    struct rtcp_socket *socket = NULL;
    FILE *file = argc == 5 ? fopen(argv[3], "rb") : NULL;
    FILE *copy = file != NULL ? fopen(argv[4], "wb") : NULL;
    int status = copy == NULL ? BASE_E_INVALID : open_socket(argv[1], argv[2], &socket);

    if (status == 0) {
        status = swap(socket, file, copy);
        rtcp_socket_free(socket);
    }
    fprintf(stderr, "%s\n", base_status_text(status));
    if (copy == NULL || fclose(copy) != 0 || status < 0) {
        return EXIT_FAILURE;
    }
    fclose(file);
    return EXIT_SUCCESS;
}
