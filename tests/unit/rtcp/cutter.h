/* A relay between clients and a server on loopback that cuts TCP connections: by itself after some bytes, or when
 * asked.
 *
 * Owns      its thread, its listening socket, both halves of every connection through it.
 * Relies on nothing of the library: it moves bytes and knows none of them.
 * Not here  datagrams: control messages go straight to the server.
 */
#ifndef HOLDFAST_TESTS_UNIT_RTCP_CUTTER_H
#define HOLDFAST_TESTS_UNIT_RTCP_CUTTER_H

#include "rtcp/rtcp.h"

#include <netinet/in.h>
#include <pthread.h>

#define CUTTER_PAIRS 64

struct cutter {
    pthread_t thread;
    int fd;
    int bell; /* eventfd: somebody asks for something */
    pthread_mutex_t lock;
    pthread_cond_t answer;
    bool is_cut_wanted, is_stop_wanted; /* under the lock */
    char address[RTCP_ADDRESS_TEXT];    /* for clients */
    struct sockaddr_in server;
    unsigned cut_after; /* at most this many bytes, half of it on average; 0: never by itself */
    unsigned dice;
    int cuts;
    int pair[CUTTER_PAIRS][2];
    unsigned left[CUTTER_PAIRS]; /* bytes until it is cut */
    bool ended[CUTTER_PAIRS][2]; /* ways that are over: the other may go on */
    int count;
};

/* Begins to relay to a server on 127.0.0.1, given as "host:port". */
void cutter_begin(struct cutter *r, const char *to, unsigned cut_after);
/* Cuts all connections that there are, and returns when it is done. */
void cutter_cut(struct cutter *r);
void cutter_end(struct cutter *r);

#endif
