/* A thread inside a call of the blocking face.
 *
 * Owns      the thread, and the certainty that it waits: the kernel is asked, its state is "sleeping" in /proc.
 * Relies on rtcp/blocking.h, cmocka.
 * Not here  what it should return.
 */
#ifndef HOLDFAST_TESTS_UNIT_RTCP_BLOCKING_CALLER_H
#define HOLDFAST_TESTS_UNIT_RTCP_BLOCKING_CALLER_H

#include "rtcp/blocking.h"

#include <pthread.h>

enum blocking_caller_call {
    BLOCKING_CALLER_RECV,
    BLOCKING_CALLER_SEND,
    BLOCKING_CALLER_ACCEPT,
    BLOCKING_CALLER_POLL,
    BLOCKING_CALLER_WAIT_OPEN,
    BLOCKING_CALLER_FLUSH,
    BLOCKING_CALLER_CLOSE
};

struct blocking_caller {
    pthread_t thread;
    enum blocking_caller_call call;
    struct rtcp_socket *socket;
    int tid; /* atomically; 0: not there yet */
    int64_t result;
    struct rtcp_poll poll;
    uint8_t *bytes; /* of SEND */
    size_t size;
};

/* Makes the call in a thread. */
void blocking_caller_begin(struct blocking_caller *c, enum blocking_caller_call what, struct rtcp_socket *socket);
/* ... and returns when it waits in there. */
void blocking_caller_begin_asleep(struct blocking_caller *c, enum blocking_caller_call what,
                                  struct rtcp_socket *socket);
/* What the call returned. */
int64_t blocking_caller_end(struct blocking_caller *c);

/* Until the thread sleeps in the kernel: it is inside its call, there is nothing else it could wait for. Its number is
 * read atomically; 0: not there yet. */
void blocking_caller_until_asleep(const int *tid);

#endif
