/* A Promela model of passivation: a client lets its connection go when the server confirmed PASSIVE, and comes back when
 * either side has bytes (rtcp/PROTOCOL.md, "Passivation"). README.md beside this file says what it abstracts from. Steps
 * and datagrams are as in wake.pml; a resume is one step, because resume.pml has shown that it carries the counts over.
 *
 * The server sends BYTES bytes, each at any moment; the client lets go up to LETS times. Each byte must arrive.
 */

#ifndef LETS
#define LETS 3
#endif
#ifndef BREAKS
#define BREAKS 2
#endif
#ifndef BYTES
#define BYTES 3
#endif
#define ATTEMPTS (LETS + BREAKS + BYTES + 1)
#define NONE 0

byte lets = LETS;
byte budget = BREAKS;

bit dead[ATTEMPTS + 1];

byte c_attempt = 1;
byte c_live = 1;
bit c_woken; /* the live connection is to be replaced */
bit c_passive;
byte c_let_go;
byte c_says;  /* PASSIVE for this attempt is repeated */
bit c_heard;  /* the server has it: a CONF may come */

byte s_attempt = 1;
byte s_live = 1;
byte s_wake; /* repeated until CONF or a resume */
bit s_woken; /* the client has it: a CONF may come */
bit silent;  /* the server did not see its connection end */

byte sent;
byte delivered;

#define PENDING (sent > delivered)
#define CARRIES (s_live != NONE && s_live == c_live && !dead[s_live])
#ifdef LETS_GO_WHEN_WOKEN
#define QUIET true
#else
#define QUIET (!c_woken)
#endif
#define DONE (delivered == BYTES)

inline wake(n)
{
    if
    :: s_wake != n -> s_wake = n; s_woken = 0
    :: else
    fi
}

/* The connection ends at the server: what waits wakes the client. */
inline server_loses()
{
    s_live = NONE;
    silent = 0;
#ifndef LOST_BUSY_IS_PASSIVE
    if
    :: PENDING -> wake(s_attempt)
    :: else
    fi
#endif
}

proctype client()
{
    do
    :: DONE -> break

    :: d_step { /* a wish; bytes on their way make no difference to the client */
        lets > 0 && c_says == NONE && c_live != NONE ->
        lets--;
        c_says = c_live;
        c_heard = 0
    }
    :: d_step { /* a break is noticed; the wish is asked anew with the next connection, or dropped */
        c_live != NONE && dead[c_live] ->
        c_live = NONE;
        c_woken = 0;
        c_says = NONE
    }
    :: d_step { /* connect and resume */
        ((c_live == NONE && !c_passive) || c_woken) && c_attempt < ATTEMPTS ->
        c_attempt++;
        c_woken = 0;
        c_says = NONE;
        s_attempt = c_attempt;
        s_live = c_attempt;
        c_live = c_attempt;
        s_wake = NONE;
        silent = 0
    }
    od
}

proctype server()
{
    do
    :: DONE -> break

    :: d_step { /* the application sends */
        sent < BYTES ->
        sent++;
        if
        :: s_live == NONE && s_wake == NONE -> wake(s_attempt)
        :: else
        fi
    }
    :: d_step { PENDING && CARRIES -> delivered++ }
    :: d_step { /* the end is noticed */
        s_live != NONE && dead[s_live] && !silent ->
        server_loses()
    }
    :: d_step { /* nothing moves: the reply to a probe names no connection, or another */
        s_live != NONE && dead[s_live] && silent && PENDING ->
        server_loses()
    }
    od
}

proctype network()
{
    do
    :: DONE -> break

    :: d_step { c_says != NONE && !c_heard -> c_heard = 1 }
#ifdef LETS_GO_AT_ONCE
    :: d_step { c_says != NONE && c_says == c_live ->
#else
    :: d_step { /* its CONF */
        c_says != NONE && c_heard && c_says == c_live && QUIET ->
#endif
        dead[c_live] = 1;
        c_let_go = c_live;
        c_live = NONE;
        c_passive = 1;
        c_says = NONE;
        if
        :: true -> silent = 1 /* the RST is lost */
        :: true -> silent = 0
        fi
    }
    :: d_step { /* WAKE arrives */
        s_wake != NONE && !s_woken ->
        s_woken = 1;
        if
#ifdef WAKE_ONLY_FOR_LATER
        :: c_passive && s_wake > c_let_go -> c_passive = 0
#else
        :: c_passive && s_wake >= c_let_go -> c_passive = 0
#endif
        :: !c_passive && c_live != NONE && c_live <= s_wake -> c_woken = 1
        :: else
        fi
    }
    :: d_step { s_wake != NONE && s_woken -> s_wake = NONE } /* its CONF */
    :: d_step { /* a break */
        budget > 0 && c_live != NONE && !dead[c_live] ->
        budget--;
        dead[c_live] = 1
    }
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
