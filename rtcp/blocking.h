/* rtcp for threads: the blocking face. The service of rtcp.h with the calls of TCP sockets: connect, listen, accept,
 * send, recv, shutdown, close, poll.
 *
 * A process has one endpoint for all its sockets of this face, and one thread of the library that runs it, begun at the
 * first call: handshakes, acknowledgements and timers are its business. Bytes are moved by the threads that call: they
 * use the TCP connection themselves.
 *
 * Rules that hold for every function here:
 *   thread     any, and any number at once, also on one socket. Bytes of one rtcp_socket_send lie together where they
 *              fit the ring at once. Calls that wait hold no lock and cost no processor time.
 *   time       a duration in nanoseconds, from the call on; BASE_NEVER: no limit; 0: do not wait.
 *   ownership  options, addresses and bytes are copied during the call. A socket belongs to the caller, from the call
 *              that returned it until rtcp_socket_free.
 *   errors     0 (or a count) on success, else a negative code of base/status.h. Every call on a socket returns
 *              BASE_E_CLOSED after rtcp_socket_close, also in threads that waited meanwhile, and in a child
 *              process that did not make the socket itself. What is only for streams returns BASE_E_UNSUPPORTED on a
 *              listener. BASE_E_AGAIN comes from non-blocking sockets only: wait in rtcp_socket_poll.
 *   fork       the sockets of the parent are dead in the child: it closes its copies of their descriptors and
 *              tells the peers nothing. It may make sockets of its own.
 *   exit       exit() and the end of main() close every stream in the background first and wait, up to 5 s
 *              (rtcp_socket_setup), until the peers have read what was sent.
 *   end        a stream ends when an application ends it, or on proof that the peer process is gone. A broken
 *              connection is neither an error nor an end here: calls wait, and go on. An end is never invented.
 */
#ifndef HOLDFAST_RTCP_BLOCKING_H
#define HOLDFAST_RTCP_BLOCKING_H

#include "rtcp/rtcp.h"

struct rtcp_socket;

/* ------------------------------------------------------------------------------------------------ the process */

/* Chooses the options of the process's endpoint, before its first socket.
 *
 *   options     NULL for the defaults; copied, the key too. options.trace is called with the library's lock held, from
 *               any thread: it must not call the library.
 *   exit_flush  how long exit() waits for the peers to read what was sent; 0: not at all. Default 5 s.
 *   returns     0; BASE_E_EXISTS when there was a socket, or another call of this face, already; also for two keys with
 *               one id; BASE_E_RANGE, BASE_E_NOMEM, BASE_E_SYSTEM as rtcp_endpoint_open.
 */
RTCP_API BASE_MUST_USE int rtcp_socket_setup(const struct rtcp_endpoint_options *options, base_time exit_flush);

/* Changes the pre-shared keys of the process's endpoint: as rtcp_endpoint_set_keys, same errors, and BASE_E_NOMEM,
 * BASE_E_SYSTEM where the endpoint has to be made first. */
RTCP_API BASE_MUST_USE int rtcp_socket_set_keys(const struct rtcp_key *keys, size_t count, size_t current);

/* Shows the sockets of the process at an admin socket (rtcp/admin.h), until the process ends or path is NULL.
 *
 *   returns  0; BASE_E_EXISTS (also when this process has one already); else as holdfast_admin_open. */
RTCP_API BASE_MUST_USE int rtcp_socket_admin(const char *path);

/* ------------------------------------------------------------------------------------------------ birth */

struct rtcp_socket_options {
    struct rtcp_stream_options stream; /* as for rtcp_connect; early data is not used by this face. With sendfile a
                                          thread that reads waits in poll, one system call more where nothing is there
                                          yet, and what the control thread sends is copied */
    bool wait_accepted;                /* connect waits until the server has accepted */
    bool is_nonblocking;               /* of the socket from the beginning; connect returns at once */
};

/* Fills in the defaults. */
RTCP_API void rtcp_socket_options_default(struct rtcp_socket_options *o);

/* Opens a stream to a server and returns when the opening was sent; what is sent before the server accepts waits in
 * the ring.
 *
 *   address   "host:port", "[ipv6]:port", or a list of them, as for rtcp_connect; names are looked up here, however
 *             long that takes.
 *   timeout   silence of the server, a temporary refusal, or a lookup that fails for the moment, is waited out until
 *             then. Does not bound later calls.
 *   returns   0; BASE_E_REFUSED (nobody listens there, or it refuses for good; not with stream.retry_refused);
 *             BASE_E_EXPIRED; BASE_E_INVALID (address), BASE_E_NOTFOUND (no such host; not with
 *             stream.retry_refused), BASE_E_RANGE (an option, or too many streams), BASE_E_NOMEM, BASE_E_SYSTEM (see
 *             errno).
 *             With is_nonblocking or a timeout of 0 the outcome comes later: rtcp_socket_wait_open, or any other call.
 */
RTCP_API BASE_MUST_USE int rtcp_socket_connect(const char *address, const struct rtcp_socket_options *options,
                                               base_time timeout, struct rtcp_socket **ret_socket);

/* Waits until the server has accepted, or to the write deadline. 0, also for accepted sockets; BASE_E_AGAIN
 * (non-blocking), BASE_E_EXPIRED, or why the stream ended. */
RTCP_API BASE_MUST_USE int rtcp_socket_wait_open(struct rtcp_socket *socket);

/* Listens for streams, as rtcp_listen: same address, options and errors. options.backlog also bounds the streams that
 * wait for rtcp_socket_accept; more are refused for the moment and come back by themselves. */
RTCP_API BASE_MUST_USE int rtcp_socket_listen(const char *address, const struct rtcp_listen_options *options,
                                              struct rtcp_socket **ret_socket);

/* Takes the oldest stream that came in; waits for one, to the listener's read deadline. The new socket is blocking and
 * has no deadlines.
 *
 *   returns  0; BASE_E_AGAIN (non-blocking), BASE_E_EXPIRED (also with one waiting, once the deadline has passed),
 *            BASE_E_CLOSED, BASE_E_UNSUPPORTED (not a listener).
 */
RTCP_API BASE_MUST_USE int rtcp_socket_accept(struct rtcp_socket *listener, struct rtcp_socket **ret_socket);

/* ------------------------------------------------------------------------------------------------ bytes */

/* Takes bytes into the ring and sends what the connection takes; waits for room until all are taken, or to the write
 * deadline. Works during a disconnection, too: the ring is what the stream can owe its peer.
 *
 * Bursts: once a stream has sent 64 KiB within 4 ms, small sends wait until 128 KiB (or a quarter of the ring) are
 * together, 1 ms at most; not where a thread waits for bytes of this stream in rtcp_socket_recv or a poll, and only
 * until the thread that sent them calls rtcp_socket_recv, or waits in any call, on whichever socket. With
 * stream.at_once they never wait.
 *
 * With stream.coalesce few bytes stay in the ring, which costs no system call, until 16 KiB are together or their time
 * is over; then the control thread sends them. A thread that was reading already when another one asks waits that time
 * longer, and no more.
 *
 * In both cases a full ring, rtcp_socket_flush, shutdown and close send them at once, and so do rtcp_socket_recv and a
 * poll that has to wait, on any thread: who asks and then reads the answer loses no time.
 *
 *   returns  the count taken: all, or fewer when the deadline passed, the stream ended or the socket is non-blocking.
 *            With none taken: BASE_E_AGAIN (non-blocking), BASE_E_EXPIRED, BASE_E_CLOSED (shut down or closed here, or
 *            the peer closed and reads no more), or why the stream ended: BASE_E_RESET, BASE_E_PEER_GONE,
 *            BASE_E_PEER_FORGOT, BASE_E_NEVER_CONFIRMED, BASE_E_REFUSED, BASE_E_PROTOCOL.
 */
RTCP_API BASE_MUST_USE int64_t rtcp_socket_send(struct rtcp_socket *socket, const void *data, size_t size);

/* The same for several ranges in a row. */
RTCP_API BASE_MUST_USE int64_t rtcp_socket_sendv(struct rtcp_socket *socket, const struct base_bytes *ranges,
                                                 size_t count);

/* Reads up to size (>= 1) bytes; waits for the first, to the read deadline.
 *
 *   returns  the count; 0 at the end of the peer's bytes (it shut down or closed, and everything was read). With
 *            nothing to read: BASE_E_AGAIN (non-blocking), BASE_E_EXPIRED (also with bytes to read, once the
 *            deadline has passed), BASE_E_CLOSED, BASE_E_INVALID (size 0), or why the stream ended, as for
 *            rtcp_socket_send, after what had come before was read.
 */
RTCP_API BASE_MUST_USE int64_t rtcp_socket_recv(struct rtcp_socket *socket, void *data, size_t size);

#define RTCP_SPANS_MAX 64 /* ranges of one rtcp_socket_recvv that are filled; more are left alone */

/* The same into several ranges in a row. */
RTCP_API BASE_MUST_USE int64_t rtcp_socket_recvv(struct rtcp_socket *socket, const struct base_span *ranges,
                                                 size_t count);

/* Sends what waits for more bytes to be coalesced with; then waits until the peer has read every byte that was sent, or
 * to the write deadline. 0, BASE_E_AGAIN (non-blocking: the peer has not read them yet), BASE_E_EXPIRED, BASE_E_CLOSED
 * (also when the peer closed before it had read them all: it will not), or why the stream ended. */
RTCP_API BASE_MUST_USE int rtcp_socket_flush(struct rtcp_socket *socket);

/* ------------------------------------------------------------------------------------------------ end */

/* Ends the sending direction after what was taken so far; the peer reads the end. 0, also when it was ended before;
 * BASE_E_CLOSED after rtcp_socket_close; why the stream ended. */
RTCP_API int rtcp_socket_shutdown(struct rtcp_socket *socket);

/* Gives the stream up, or stops listening, and wakes every thread that waits in a call on the socket: they return
 * BASE_E_CLOSED. May be called from any thread, any number of times; an abort overtakes what went before. A listener's
 * streams that nobody accepted are aborted; linger means nothing else to it.
 *
 *   linger   as rtcp_close.
 *   timeout  how long to wait for the end of the closing: that the peer has everything and has closed, too. 0 does not
 *            wait: it goes on in the background.
 *   returns  0 (complete, timeout was 0, or a listener); BASE_E_EXPIRED: it goes on in the background; else why the
 * stream ended, BASE_E_CLOSED after an abort.
 */
RTCP_API int rtcp_socket_close(struct rtcp_socket *socket, enum rtcp_linger linger, base_time timeout);

/* Closes the socket in the background if it is open, and gives the handle up: it is invalid from now on, so no thread
 * may be inside a call on it. Accepts NULL. */
RTCP_API void rtcp_socket_free(struct rtcp_socket *socket);

/* ------------------------------------------------------------------------------------------------ waiting */

/* When calls give up: read for recv, recvv and accept; write for send, sendv, flush and wait_open. Counts from now;
 * 0: at once, BASE_NEVER: never (as at first). Also for threads that wait already. The socket stays usable: set another
 * deadline and go on. (A deadline that passes while a thread is in recv, and that was set after the thread went there,
 * costs the TCP connection: the stream goes on over the next.)
 *
 *   returns  0; BASE_E_CLOSED; BASE_E_SYSTEM (out of descriptors: nothing was changed).
 */
RTCP_API int rtcp_socket_set_read_deadline(struct rtcp_socket *socket, base_time in);
RTCP_API int rtcp_socket_set_write_deadline(struct rtcp_socket *socket, base_time in);

/* Calls that would wait return BASE_E_AGAIN instead; threads that wait already go on waiting. 0 or BASE_E_CLOSED. */
RTCP_API int rtcp_socket_set_nonblocking(struct rtcp_socket *socket, bool is_nonblocking);

enum rtcp_poll_event {
    RTCP_POLL_READ = 1,  /* rtcp_socket_recv or accept would not wait */
    RTCP_POLL_WRITE = 2, /* rtcp_socket_send would take a byte, or fail */
};

struct rtcp_poll {
    struct rtcp_socket *socket; /* NULL: left out */
    unsigned events;            /* enum rtcp_poll_event that are waited for */
    unsigned ready;             /* out: those that have come. A closed or ended socket is ready for everything */
};

#define RTCP_POLL_MAX 1024

/* Waits until one of several sockets is ready. As with TCP, another thread may be faster, and a connection may break
 * just then: a call that must not wait wants a non-blocking socket or a deadline.
 *
 *   returns  the number of entries with ready != 0; 0 when the time passed; BASE_E_RANGE (count is more than
 *            RTCP_POLL_MAX), BASE_E_NOMEM, BASE_E_SYSTEM (descriptors), BASE_E_CLOSED (in a child process).
 */
RTCP_API BASE_MUST_USE int rtcp_socket_poll(struct rtcp_poll *polls, size_t count, base_time timeout);

/* ------------------------------------------------------------------------------------------------ asking */

/* What the stream knows about itself, also after its end. 0, BASE_E_CLOSED (in a child process), BASE_E_UNSUPPORTED (a
 * listener). */
RTCP_API int rtcp_socket_info(struct rtcp_socket *socket, struct rtcp_info *ret_info);

/* The peer's address, "" before the first connection; a listener's own, with the real port. */
RTCP_API void rtcp_socket_address(struct rtcp_socket *socket, char ret_text[RTCP_ADDRESS_TEXT]);

#endif
