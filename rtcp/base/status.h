/* The one error convention of Holdfast: 0, or a negative code whose text says what the caller should do.
 *
 * Owns      the list of codes of all layers.
 * Relies on nothing.
 * Not here  errno: drivers translate it at the door.
 */
#ifndef HOLDFAST_BASE_STATUS_H
#define HOLDFAST_BASE_STATUS_H

#define BASE_STATUS(X)                                                                                                 \
    X(AGAIN, 1, "not now: nothing was done; wait for the callback that says there is room")                            \
    X(NOMEM, 2, "out of memory or descriptors: nothing was done; free some and try again")                             \
    X(INVALID, 3, "an argument is out of its range: correct the call")                                                 \
    X(RANGE, 4, "too large or too many for a configured limit: nothing was done")                                      \
    X(CLOSED, 5, "this stream or object was closed: stop using it")                                                    \
    X(RESET, 6, "the peer aborted: bytes it had not acknowledged may never have been read")                            \
    X(PEER_GONE, 7, "the peer process is gone: what it did not acknowledge is unknown")                                \
    X(PEER_FORGOT, 8, "the peer closed and forgot this session: delivery of unacknowledged bytes is unknown")          \
    X(NEVER_CONFIRMED, 9, "the opening was never confirmed: what was sent is unknown; open again")                     \
    X(REFUSED, 10, "the peer refuses: check the address, the key and that the service is up")                          \
    X(PROTOCOL, 11, "the other side does not follow the protocol: what it sent was dropped")                           \
    X(EXPIRED, 12, "the time limit passed: the outcome is unknown, nothing was lost silently")                         \
    X(NOLEADER, 13, "no leader: the command never ran; try again later")                                               \
    X(UNKNOWN, 14, "the outcome is unknown: it may still take effect; read before trying again")                       \
    X(REJECTED, 15, "the command never ran and never will; its number may be used again")                              \
    X(EXCLUDED, 16, "this member is no longer in the view: start as a new incarnation and join")                       \
    X(EXISTS, 17, "it exists already: nothing was changed")                                                            \
    X(NOTFOUND, 18, "there is no such thing: check the name")                                                          \
    X(SYSTEM, 19, "the operating system refused: see errno")                                                           \
    X(UNSUPPORTED, 20, "not supported here: see the documentation of the call")

enum base_status {
    BASE_OK = 0,
#define BASE_STATUS_ENUM(name, number, text) BASE_E_##name = -(number),
    BASE_STATUS(BASE_STATUS_ENUM)
#undef BASE_STATUS_ENUM
};

#define BASE_MUST_USE __attribute__((warn_unused_result))

/* The sentence for a status: static storage, never NULL, also for numbers that are not in the list. */
const char *base_status_text(int status);

/* The name of a status, such as "AGAIN"; "OK" for 0 and positive numbers. Static storage, never NULL. */
const char *base_status_name(int status);

#endif
