/* A Promela model of one rtcp session: opening, freeze, thaw, resume and acknowledgements (rtcp/PROTOCOL.md, "Opening"
 * and "Freeze and resume"). README.md beside this file says what it abstracts from and how to read it.
 *
 * Style: every step of a peer or of the network is one guarded d_step. Every step makes progress (counts, attempt
 * numbers and the network's budget only grow), so the graph has no cycle: "no invalid end state" then means that every
 * run, under any scheduling, ends with all bytes delivered and acknowledged. `pan -l` checks that there is no cycle.
 *
 * Bytes are numbered by their position in the stream. The bytes in flight in one direction of a TCP connection are
 * consecutive, so a FIFO of them is the pair (lo, hi); the reader asserts that the byte it takes is the next one.
 */

#ifndef BREAKS
#define BREAKS 3 /* breaks and false alarms together */
#endif
#ifndef UP_BYTES
#define UP_BYTES 3 /* client to server */
#endif
#ifndef DOWN_BYTES
#define DOWN_BYTES 2 /* server to client */
#endif
#ifndef RING
#define RING 2 /* bytes that may be unacknowledged */
#endif
#ifndef EARLY
#define EARLY 1 /* bytes that may ride with the first OPEN */
#endif
#ifndef WINDOW
#define WINDOW 2 /* bytes in flight in one direction of one TCP connection */
#endif

#define ATTEMPTS (BREAKS + 1) /* a connection is named by its attempt number, 1 .. ATTEMPTS */
#define NONE 0

#define MIN(a, b) ((a) < (b) -> (a) : (b))

/* The handshake message that opens one direction of a connection. */
#define HS_NONE 0
#define HS_FLYING 1
#define HS_TAKEN 2

typedef direction {
    byte hs;    /* of the OPEN / RESUME (up), of the ACCEPT / RESUMED (down) */
    byte count; /* the received count that it carries */
    byte lo;    /* first byte in flight */
    byte hi;    /* one past the last byte in flight */
    bit cut     /* what is written now is lost; what is in flight may still arrive, or a tail of it is lost */
};

direction up[ATTEMPTS + 1];
direction down[ATTEMPTS + 1];
byte budget = BREAKS;

/* ---------------------------------------------------------------------------------------------- the client's state */

byte c_attempt;  /* newest attempt number used */
byte c_live;     /* the readable connection */
byte c_old;      /* frozen, kept until RESUMED: may be thawed */
byte c_try;      /* the connection that is being set up */
bit c_asked;     /* OPEN or RESUME was written on c_try */
bit c_accepted;  /* an ACCEPT was seen: from now on RESUME instead of OPEN */
byte c_early;    /* the connection of the first OPEN written: its bytes stand at offset 0 */
byte c_next;     /* next byte to write on the connection */
byte c_acked;    /* outbox begins here */
byte c_received;

/* ---------------------------------------------------------------------------------------------- the server's state */

byte s_attempt;  /* newest attempt accepted */
byte s_live;
byte s_pending;  /* accepted, freezing s_live, not yet answered */
byte s_count;    /* the received count of the peer that s_pending carried */
byte s_next;
byte s_acked;
byte s_received;
#ifdef OPEN_NOT_IDEMPOTENT
byte s_delivered; /* to the server's application, in all sessions */
#endif

/* Acknowledgements ever sent and not stale: a set, so each may be lost, late, repeated and out of order. */
byte acks_up;
byte acks_down;

/* The application writes as soon as the ring has room. */
#define C_SENT MIN(UP_BYTES, c_acked + RING)
#define S_SENT MIN(DOWN_BYTES, s_acked + RING)

#define DEAD(n) (up[n].cut || down[n].cut)
#define DONE                                                                                                           \
    (c_received == DOWN_BYTES && s_received == UP_BYTES && c_acked == UP_BYTES && s_acked == DOWN_BYTES)

/* A connection that one end closed: nothing more arrives at that end, what it wrote may still arrive at the other. */
inline client_drops(n)
{
    up[n].cut = 1;
    down[n].cut = 1;
    down[n].hs = HS_NONE;
    down[n].lo = 0;
    down[n].hi = 0
}

inline server_drops(n)
{
    up[n].cut = 1;
    down[n].cut = 1;
    up[n].hs = HS_NONE;
    up[n].lo = 0;
    up[n].hi = 0
}

/* An honest peer never acknowledges what was not written. What is stale from now on changes nothing: forget it. */
#ifdef ACK_STALE_TAKEN
#define FORGET(acks, upto) skip
#else
#define FORGET(acks, upto) acks = acks & (255 - ((2 << (upto)) - 1))
#endif
#define ACKNOWLEDGE(acked, acks, sent, upto)                                                                           \
    assert((upto) <= (sent));                                                                                          \
    acked = upto;                                                                                                      \
    FORGET(acks, upto)

/* ------------------------------------------------------------------------------------------------------ the client */

/* (1) connect while the old connection stays in use. Why: it has none, its own is dead, or a PROBE_REPLY named another
 * attempt. */
#define C_NEEDS (c_live == NONE || DEAD(c_live) || s_live != c_live)

proctype client()
{
    byte n;
    do
    :: DONE -> break

    :: d_step {
        c_try == NONE && C_NEEDS && c_attempt < ATTEMPTS ->
        c_attempt++;
        c_try = c_attempt;
        c_asked = 0
    }

    :: d_step { /* a false alarm */
        c_try == NONE && !C_NEEDS && budget > 0 ->
        budget--;
        c_attempt++;
        c_try = c_attempt;
        c_asked = 0
    }

    :: d_step { /* (2) FROZEN, (3) the count and the attempt number */
        c_try != NONE && !c_asked ->
#ifndef NO_FREEZE
        c_old = c_live;
        c_live = NONE;
#endif
        if
        :: !c_accepted && c_early == NONE -> c_early = c_try
        :: else
        fi;
#ifdef EARLY_BYTES_REPEATED
        if
        :: !c_accepted -> c_early = c_try; c_next = 0
        :: else
        fi;
#endif
        up[c_try].count = c_received;
        if
        :: !up[c_try].cut -> up[c_try].hs = HS_FLYING
        :: else
        fi;
        c_asked = 1
    }

    :: d_step { /* (4) ACCEPT or RESUMED */
        c_try != NONE && c_asked && down[c_try].hs == HS_FLYING ->
        n = c_try;
        down[n].hs = HS_TAKEN;
#ifdef NO_FREEZE
        c_old = c_live;
#endif
        if
        :: c_old != NONE -> client_drops(c_old)
        :: else
        fi;
        c_old = NONE;
        assert(down[n].count >= c_acked); /* an honest server never goes back */
        ACKNOWLEDGE(c_acked, acks_up, C_SENT, down[n].count);
        if
        :: n != c_early -> c_next = down[n].count; up[n].lo = c_next; up[n].hi = c_next
        :: else /* its bytes stand at 0; the early ones are written already */
        fi;
        down[n].count = 0;
        c_accepted = 1;
        c_live = n;
        c_try = NONE;
        n = NONE
    }

    :: d_step { /* the attempt failed: its bytes are void; thaw the old connection */
        c_try != NONE && DEAD(c_try) ->
        client_drops(c_try);
        c_try = NONE;
        if
        :: c_old != NONE -> c_live = c_old
        :: else
        fi;
        c_old = NONE
    }

    :: d_step { /* the break is noticed */
        c_live != NONE && DEAD(c_live) ->
        client_drops(c_live);
        c_live = NONE
    }

    :: d_step { /* its break is noticed, or it cannot be thawed and the attempt failed */
        c_old != NONE && (DEAD(c_old) || DEAD(c_try)) ->
        client_drops(c_old);
        c_old = NONE
    }

    :: d_step { /* read */
        c_live != NONE && down[c_live].lo < down[c_live].hi ->
        assert(down[c_live].lo == c_received); /* C1: no loss, no repetition, in order */
        c_received++;
        down[c_live].lo++
    }

    :: d_step { /* write */
        c_live != NONE && c_next < C_SENT && (up[c_live].cut || up[c_live].hi - up[c_live].lo < WINDOW) ->
        assert(c_next >= c_acked); /* the byte is still in the outbox */
        c_next++;
        if
        :: !up[c_live].cut -> up[c_live].hi++
        :: else
        fi;
#ifdef TRIM_BY_KERNEL
        c_acked = c_next
#endif
    }

    :: d_step { /* early bytes, before the ACCEPT */
        c_try != NONE && c_try == c_early && c_asked && c_next < EARLY ->
        c_next++;
        if
        :: !up[c_try].cut -> up[c_try].hi++
        :: else
        fi
    }

    :: d_step { /* ACK */
        c_accepted && c_received > s_acked && !(acks_down & (1 << c_received)) ->
        acks_down = acks_down | (1 << c_received)
    }
    od
}

/* ------------------------------------------------------------------------------------------------------ the server */

#ifdef RESUME_BELOW_ACKED_TAKEN
#define TAKES_BELOW_ACKED true
#else
#define TAKES_BELOW_ACKED false
#endif

inline server_hears(n)
{
    if
#ifdef ACCEPT_OLD_ATTEMPT
    :: true ->
#else
    :: n > s_attempt && (up[n].count >= s_acked || TAKES_BELOW_ACKED) -> /* an authentic newer attempt */
#endif
        if
        :: s_pending != NONE -> server_drops(s_pending)
        :: else
        fi;
#ifdef OPEN_NOT_IDEMPOTENT
        if
        :: !c_accepted -> s_received = 0; s_acked = 0 /* another session */
        :: else
        fi;
#endif
        up[n].hs = HS_TAKEN;
        s_attempt = n;
        s_pending = n;
        s_count = up[n].count;
#ifdef NO_FREEZE
        down[n].count = s_received;
#endif
        up[n].count = 0
    :: else -> /* stale: changes nothing */
        up[n].count = 0;
        server_drops(n)
    fi
}

/* An ACK for bytes that the client read on a connection thawed since: nobody reads the live one (README, finding 2). */
#ifdef OVERTAKEN_KEPT
#define SERVER_DETACHES_IF_OVERTAKEN skip
#else
#define SERVER_DETACHES_IF_OVERTAKEN                                                                                   \
    if                                                                                                                 \
    :: s_live != NONE && s_next < s_acked ->                                                                           \
        server_drops(s_live);                                                                                          \
        s_live = NONE                                                                                                  \
    :: else                                                                                                            \
    fi
#endif

/* One option for each connection: its OPEN or RESUME is read. */
#define SERVER_READS_HELLO(n)                                                                                          \
    d_step { (up[n].hs == HS_FLYING) -> server_hears(n) }

proctype server()
{
    do
    :: DONE -> break

    :: SERVER_READS_HELLO(1)
    :: SERVER_READS_HELLO(2)
#if ATTEMPTS > 2
    :: SERVER_READS_HELLO(3)
#endif
#if ATTEMPTS > 3
    :: SERVER_READS_HELLO(4)
#endif

    :: d_step { /* FROZEN, but overtaken by an ACK: the client has thawed its old connection (README, finding 1) */
        s_pending != NONE && s_count < s_acked && !TAKES_BELOW_ACKED ->
        server_drops(s_pending);
        s_pending = NONE;
        s_count = 0
    }

    :: d_step { /* FROZEN: the old connection has no reader any more; drop it for good, count, answer */
        s_pending != NONE && (s_count >= s_acked || TAKES_BELOW_ACKED) ->
        assert(s_count >= s_acked);
        if
        :: s_live != NONE -> server_drops(s_live)
        :: else
        fi;
        s_live = s_pending;
        s_pending = NONE;
        ACKNOWLEDGE(s_acked, acks_down, S_SENT, s_count);
        s_next = s_count;
        s_count = 0;
#ifndef NO_FREEZE
        down[s_live].count = s_received;
#endif
        if
        :: !down[s_live].cut -> down[s_live].hs = HS_FLYING; down[s_live].lo = s_next; down[s_live].hi = s_next
        :: else -> down[s_live].count = 0
        fi;
        if
        :: s_live != c_early -> up[s_live].lo = s_received; up[s_live].hi = s_received
        :: else
        fi
    }

    :: d_step { /* the break is noticed */
        s_live != NONE && DEAD(s_live) ->
        server_drops(s_live);
        s_live = NONE
    }

    :: d_step { /* read; goes on while a newer attempt waits for FROZEN */
        s_live != NONE && up[s_live].lo < up[s_live].hi ->
        assert(up[s_live].lo == s_received); /* C1 */
#ifdef OPEN_NOT_IDEMPOTENT
        assert(s_received == s_delivered);
        s_delivered++;
#endif
        s_received++;
        up[s_live].lo++
    }

    :: d_step { /* write */
        s_live != NONE && s_next < S_SENT && (down[s_live].cut || down[s_live].hi - down[s_live].lo < WINDOW) ->
        assert(s_next >= s_acked);
        s_next++;
        if
        :: !down[s_live].cut -> down[s_live].hi++
        :: else
        fi;
#ifdef TRIM_BY_KERNEL
        s_acked = s_next
#endif
    }

    :: d_step { /* ACK */
        s_received > c_acked && !(acks_up & (1 << s_received)) ->
        acks_up = acks_up | (1 << s_received)
    }
    od
}

/* ----------------------------------------------------------------------------------------------------- the network */

#ifdef ACK_STALE_TAKEN
#define NOT_STALE(count, acked) (count != acked)
#else
#define NOT_STALE(count, acked) (count > acked)
#endif

#define EXISTS(n) (n <= c_attempt && !(up[n].cut && down[n].cut))

/* In flight when cut: a tail of it never arrives. */
#define TAIL_IS_LOST(d)                                                                                                \
    d_step { (d.cut && d.lo < d.hi) -> d.hi-- }                                                                        \
    :: d_step { (d.cut && d.hs == HS_FLYING && d.lo == d.hi) -> d.hs = HS_NONE; d.count = 0 }

#define BREAKS_CONNECTION(n)                                                                                           \
    d_step { (budget > 0 && EXISTS(n) && !up[n].cut) -> budget--; up[n].cut = 1 } /* one way */                        \
    :: d_step { (budget > 0 && EXISTS(n) && !down[n].cut) -> budget--; down[n].cut = 1 }                               \
    :: d_step { (budget > 0 && EXISTS(n)) -> budget--; up[n].cut = 1; down[n].cut = 1 }

#define NETWORK_ON(n)                                                                                                  \
    TAIL_IS_LOST(up[n])                                                                                                \
    :: TAIL_IS_LOST(down[n])                                                                                           \
    :: BREAKS_CONNECTION(n)

#define ACKS(count)                                                                                                    \
    d_step {                                                                                                           \
        (c_accepted && (acks_up & (1 << count)) && NOT_STALE(count, c_acked)) ->                                       \
        ACKNOWLEDGE(c_acked, acks_up, C_SENT, count);                                                                  \
        assert(c_next <= c_acked + RING) /* the outbox is bounded */                                                   \
    }                                                                                                                  \
    :: d_step {                                                                                                        \
        ((acks_down & (1 << count)) && NOT_STALE(count, s_acked)) ->                                                   \
        ACKNOWLEDGE(s_acked, acks_down, S_SENT, count);                                                                \
        assert(s_next <= s_acked + RING);                                                                              \
        SERVER_DETACHES_IF_OVERTAKEN                                                                                   \
    }

proctype network()
{
    do
    :: DONE -> break
    :: ACKS(1)
    :: ACKS(2)
    :: ACKS(3)
    :: NETWORK_ON(1)
    :: NETWORK_ON(2)
#if ATTEMPTS > 2
    :: NETWORK_ON(3)
#endif
#if ATTEMPTS > 3
    :: NETWORK_ON(4)
#endif
    od
}

init
{
    atomic {
        run client();
        run server();
        run network()
    }
}
