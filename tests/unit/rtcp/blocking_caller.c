/* A thread inside a call of the blocking face; see blocking_caller.h. */
#include "tests/unit/rtcp/blocking_caller.h"
#include "rtcp/base/clock_loop.h"
#include "tests/unit/rtcp/blocking_pair.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

static void *call(void *argument)
{
    struct blocking_caller *c = argument;
    struct rtcp_socket *accepted;
    char byte;

    __atomic_store_n(&c->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    switch (c->call) {
    case BLOCKING_CALLER_RECV:
        c->result = rtcp_socket_recv(c->socket, &byte, 1);
        break;
    case BLOCKING_CALLER_SEND:
        c->result = rtcp_socket_send(c->socket, c->bytes, c->size);
        break;
    case BLOCKING_CALLER_ACCEPT:
        c->result = rtcp_socket_accept(c->socket, &accepted);
        break;
    case BLOCKING_CALLER_POLL:
        c->poll = (struct rtcp_poll){.socket = c->socket, .events = RTCP_POLL_READ};
        c->result = rtcp_socket_poll(&c->poll, 1, BLOCKING_PAIR_LONG);
        break;
    case BLOCKING_CALLER_WAIT_OPEN:
        c->result = rtcp_socket_wait_open(c->socket);
        break;
    case BLOCKING_CALLER_FLUSH:
        c->result = rtcp_socket_flush(c->socket);
        break;
    case BLOCKING_CALLER_CLOSE:
        c->result = rtcp_socket_close(c->socket, RTCP_LINGER_BACKGROUND, BLOCKING_PAIR_LONG);
        break;
    }
    return NULL;
}

void blocking_caller_begin(struct blocking_caller *c, enum blocking_caller_call what, struct rtcp_socket *socket)
{
    c->call = what;
    c->socket = socket;
    c->result = 1;
    assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

int64_t blocking_caller_end(struct blocking_caller *c)
{
    pthread_join(c->thread, NULL);
    return c->result;
}

void blocking_caller_until_asleep(const int *tid)
{
    base_time end = base_clock_now() + BLOCKING_PAIR_LONG;
    char path[64];
    char line[256];

    do {
        int number = __atomic_load_n(tid, __ATOMIC_SEQ_CST);
        const char *state;
        FILE *f;

        line[0] = '\0';
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", number);
        f = number == 0 ? NULL : fopen(path, "re");
        if (f != NULL) {
            (void)!fgets(line, sizeof line, f);
            fclose(f);
        }
        state = strrchr(line, ')');
        if (state != NULL && state[2] == 'S') {
            return;
        }
        sched_yield();
    } while (base_clock_now() < end);
    fail_msg("the thread never waited");
}

void blocking_caller_begin_asleep(struct blocking_caller *c, enum blocking_caller_call what, struct rtcp_socket *socket)
{
    blocking_caller_begin(c, what, socket);
    blocking_caller_until_asleep(&c->tid);
}
