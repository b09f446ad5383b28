/* A Promela model of the end of one rtcp session: HALF_CLOSE and CLOSE by datagram, FIN on TCP, the end of file, CONF,
 * the answer to a CLOSE, tombstones, abort, and the exit of a process (rtcp/PROTOCOL.md, "Closing"). README.md beside
 * this file says what it abstracts from. Steps and byte numbers are as in resume.pml; freeze and resume, which that
 * model checks, are one step here.
 *
 * Datagrams: a flagged message may arrive as long as its sender repeats it, and its CONF as long as it is repeated and
 * was heard. Never arriving is the loss of all copies so far; nothing forces an arrival but the repetition. What is
 * heard again changes nothing, so late copies need no state. What is not repeated any more does not arrive: it may have
 * been lost.
 *
 * Peer 0 is the client, peer 1 the server. Every array is indexed by the peer it belongs to.
 */

#ifndef BREAKS
#define BREAKS 3
#endif
#ifndef CLIENT_BYTES
#define CLIENT_BYTES 2
#endif
#ifndef SERVER_BYTES
#define SERVER_BYTES 2
#endif
#define TOTAL(me) ((me) == 0 -> CLIENT_BYTES : SERVER_BYTES)

/* ------------------------------------------------------------------------------------------------------------- TCP */

#define DOWN 0
#define UP 1
#define CUT 2 /* what is in flight may still arrive, or a tail of it is lost; what is written now is lost */

byte connection = UP;
byte budget = BREAKS;

byte lo[2]; /* bytes of a peer in flight: lo .. hi - 1 */
byte hi[2];
byte fin[2];
#define FIN_NONE 0
#define FIN_FLYING 1
#define FIN_READ 2

/* ------------------------------------------------------------------------------------------------- a peer's session */

byte sent[2]; /* taken from the application: final once shut */
byte received[2];
bit shut[2];         /* shutdown was called */
bit closed[2];       /* close was called: nothing is read any more */
bit aborted[2];      /* ... without waiting for anything */
bit half_conf[2];    /* our HALF_CLOSE was confirmed, it is repeated no more */
bit close_conf[2];   /* our CLOSE */
bit knows_final[2];  /* where the other's bytes end */
bit other_closed[2]; /* its CLOSE was seen */
bit was_reset[2];    /* its RESET was */
bit done[2];         /* complete: what is left is a tombstone */
bit exited[2];       /* the process is gone, with its tombstones */

#define HAS_ALL(me) (knows_final[me] && received[me] == sent[1 - (me)])

/* Our CLOSE is to be said: the application closed, or the other did and everything was read. */
#ifdef NO_ANSWER_TO_CLOSE
#define SAYS_CLOSE(me) (closed[me])
#else
#define SAYS_CLOSE(me) (closed[me] || (other_closed[me] && HAS_ALL(me)))
#endif

#define REPEATS_HALF_CLOSE(me) (!done[me] && shut[me] && !SAYS_CLOSE(me) && !half_conf[me])
#define REPEATS_CLOSE(me) (!done[me] && !aborted[me] && SAYS_CLOSE(me) && !close_conf[me])
#define REPEATS_RESET(me) (!done[me] && aborted[me])

#ifdef DONE_WITHOUT_CONF
#define COMPLETE(me) (SAYS_CLOSE(me) && other_closed[me])
#else
#define COMPLETE(me) (SAYS_CLOSE(me) && other_closed[me] && close_conf[me])
#endif

/* The application of me is told the end of the other's bytes. */
#ifdef CLOSE_ENDS_AT_ONCE
#define TELLS_END(me) (!closed[me] && (HAS_ALL(me) || other_closed[me]))
#else
#define TELLS_END(me) (!closed[me] && HAS_ALL(me))
#endif
#define IS_TRUE_END(me) (shut[1 - (me)] && received[me] == sent[1 - (me)])

#ifdef NO_TOMBSTONE
#define ANSWERS(me) (!done[me])
#else
#define ANSWERS(me) (!exited[me])
#endif
#define FINISHED (done[0] && done[1])
#define READS(me) (!done[me] && !closed[me])

inline hears_close(me)
{
    knows_final[me] = 1;
    other_closed[me] = 1;
    shut[me] = 1 /* the other reads no more: sending fails from now on */
}

inline connection_is_lost()
{
    connection = DOWN;
    lo[0] = 0;
    hi[0] = 0;
    fin[0] = FIN_NONE;
    lo[1] = 0;
    hi[1] = 0;
    fin[1] = FIN_NONE
}

/* ----------------------------------------------------------------------------------------------------------- a peer */

proctype peer(byte me)
{
    byte other = 1 - me;
    do
    :: FINISHED -> break

    /* The application. */
    :: d_step { !done[me] && !shut[me] && sent[me] < TOTAL(me) -> sent[me]++ }
    :: d_step { !done[me] && !shut[me] -> shut[me] = 1 }
#ifdef SERVER_NEVER_CLOSES
    :: d_step { me == 0 && !done[me] && !closed[me] -> closed[me] = 1; shut[me] = 1 }
#else
    :: d_step { !done[me] && !closed[me] -> closed[me] = 1; shut[me] = 1 }
#endif
#ifdef MAY_ABORT
    :: d_step { !done[me] && !aborted[me] && !aborted[other] -> aborted[me] = 1; closed[me] = 1; shut[me] = 1 }
#endif
    :: d_step { TELLS_END(me) && !IS_TRUE_END(me) -> assert(false) } /* no false end */

    /* The connection. */
    :: d_step { /* write */
        !done[me] && !aborted[me] && !other_closed[me] && connection == UP && hi[me] < sent[me] ->
        hi[me]++
    }
    :: d_step { /* FIN, when all is written and no more will be */
        !done[me] && !aborted[me] && shut[me] && connection == UP && fin[me] == FIN_NONE &&
        (hi[me] == sent[me] || other_closed[me]) ->
        fin[me] = FIN_FLYING
    }
    :: d_step { /* read */
        READS(me) && connection != DOWN && lo[other] < hi[other] ->
        assert(lo[other] == received[me]);
        assert(!SAYS_CLOSE(me)); /* the count in a CLOSE is final */
        received[me]++;
        lo[other]++
    }
    :: d_step { /* end of file on the connection: a FIN, or a break in the mask of one (P5) */
        READS(me) && ((connection == UP && fin[other] == FIN_FLYING && lo[other] == hi[other]) || connection == CUT) ->
#ifdef EOF_WITHOUT_COUNT
        assert(IS_TRUE_END(me));
#endif
        if
        :: connection == UP -> fin[other] = FIN_READ
        :: else -> connection_is_lost()
        fi
    }
    :: d_step { /* asked and waited: an end without an authentic close is a break, and the resume tells the rest */
        READS(me) && connection == UP && fin[other] == FIN_READ && !knows_final[me] ->
        connection_is_lost()
    }
    :: d_step { /* a break is noticed */
        !done[me] && connection == CUT ->
        connection_is_lost()
    }

    /* The other's datagrams. */
    :: d_step { REPEATS_HALF_CLOSE(other) && !done[me] && !knows_final[me] -> knows_final[me] = 1 }
    :: d_step { REPEATS_CLOSE(other) && !done[me] && !aborted[me] && !other_closed[me] -> hears_close(me) }
    :: d_step { REPEATS_RESET(other) && !done[me] -> was_reset[me] = 1; done[me] = 1 }

    /* CONF of our own; a tombstone confirms, too. */
    :: d_step { REPEATS_HALF_CLOSE(me) && knows_final[other] && ANSWERS(other) -> half_conf[me] = 1 }
    :: d_step { REPEATS_CLOSE(me) && other_closed[other] && ANSWERS(other) -> close_conf[me] = 1 }
    :: d_step { REPEATS_RESET(me) && done[other] && ANSWERS(other) -> done[me] = 1 }
#ifdef CONF_WITHOUT_ID
    :: d_step { REPEATS_CLOSE(me) && knows_final[other] && ANSWERS(other) -> close_conf[me] = 1 }
#endif

    /* Complete. */
    :: d_step {
        !done[me] && !aborted[me] && COMPLETE(me) ->
        done[me] = 1;
        /* Nothing is missing, unless an application closed before it had read everything. */
        assert(closed[other] || received[other] == sent[me]);
        assert(closed[me] || received[me] == sent[other])
    }
#ifdef EXITS
    :: d_step { done[me] && !exited[me] && !done[other] -> exited[me] = 1 }
    :: d_step { /* another process answers at its address, or nobody does: proof that it is gone */
        exited[other] && !done[me] ->
        assert(aborted[me] || (SAYS_CLOSE(me) && other_closed[me])); /* nothing is missing: to end here is no error */
        done[me] = 1
    }
#endif
    od
}

/* ------------------------------------------------------------------------------------------------ resume and breaks */

/* What a RESUME or RESUMED of a peer tells beside the count. */
inline tells(me)
{
    if
    :: SAYS_CLOSE(me) -> hears_close(1 - me)
    :: !SAYS_CLOSE(me) && shut[me] -> knows_final[1 - me] = 1
    :: else
    fi
}

proctype network()
{
    do
    :: FINISHED -> break

    :: d_step {
        connection == DOWN && !done[0] && !aborted[0] && !done[1] && !aborted[1] ->
        tells(0);
        tells(1);
        connection = UP;
        lo[0] = received[1];
        hi[0] = received[1];
        lo[1] = received[0];
        hi[1] = received[0]
    }
    :: d_step { /* the server's tombstone refuses: IS_CLOSED under the session's key is as good as its CLOSE and CONF */
        connection == DOWN && !done[0] && !aborted[0] && done[1] && !was_reset[1] && !exited[1] &&
        !(other_closed[0] && close_conf[0]) ->
        assert(closed[0] || received[0] == sent[1]);
        hears_close(0);
        close_conf[0] = 1
    }

    :: d_step { budget > 0 && connection == UP -> budget--; connection = CUT }
    :: d_step { connection == CUT && lo[0] < hi[0] -> hi[0]-- }
    :: d_step { connection == CUT && lo[1] < hi[1] -> hi[1]-- }
    od
}

init
{
    atomic {
        run peer(0);
        run peer(1);
        run network()
    }
}
