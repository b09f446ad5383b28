/* A Promela model of WAKE: how a server gets a connection replaced that its client believes in (rtcp/PROTOCOL.md,
 * "Finding out"). README.md beside this file says what it abstracts from. Steps are as in resume.pml, datagrams as in
 * close.pml: a WAKE may arrive as long as it is repeated, its CONF as well, and up to LATE_COPIES old ones arrive at
 * any time.
 *
 * The client sends nothing and never looks at a silent connection: the server's bytes depend on WAKE alone.
 */

#ifndef BREAKS
#define BREAKS 3
#endif
#ifndef LATE_COPIES
#define LATE_COPIES 2
#endif
#ifndef BYTES
#define BYTES 2
#endif
#define ATTEMPTS (BREAKS + 1)
#define NONE 0

byte budget = BREAKS; /* breaks, and false alarms of either side */
byte late = LATE_COPIES;

/* A connection is named by its attempt number. The first one is attached at both ends. */
bit dead[ATTEMPTS + 1];
bit silent[ATTEMPTS + 1];  /* its client will not notice that it is dead */
bit resume[ATTEMPTS + 1];  /* RESUME in flight */
bit resumed[ATTEMPTS + 1]; /* RESUMED in flight */

byte c_attempt = 1;
byte c_live = 1;
byte c_old;
byte c_try;
byte c_woken; /* the newest attempt that a WAKE named */

byte s_attempt = 1;
byte s_live = 1;
byte s_wake;  /* the attempt to be replaced: repeated until CONF or a resume */
byte s_woke;  /* the newest attempt that was asked to be replaced */
bit woken[ATTEMPTS + 1]; /* WAKEs ever sent: each may arrive late and again */

byte delivered;

#define CARRIES (s_live != NONE && s_live == c_live && !dead[s_live])
#define DONE (delivered == BYTES)

/* A WAKE concerns the named connection and every older one: after a thaw the client's may be older (finding 5). */
#ifdef WAKE_ONLY_FOR_THE_LIVE
#define CONCERNS(n) (n == c_live || n == c_old)
#else
#define CONCERNS(n) true
#endif

inline client_hears_wake(n)
{
#ifdef WAKE_WITHOUT_ATTEMPT
    c_woken = c_attempt;
    /* A connection is replaced only for a cause. */
    assert(c_live == NONE || !CARRIES || s_wake == c_live)
#else
    if
    :: n > c_woken && CONCERNS(n) -> c_woken = n
    :: else
    fi
#endif
}

/* A level, not an edge: it holds until a connection newer than the named one is attached, failed attempts or not. */
#define C_NEEDS (c_live == NONE || c_live <= c_woken)

inline client_tries()
{
    c_attempt++;
    c_try = c_attempt;
    c_old = c_live;
    c_live = NONE;
    resume[c_try] = 1
}

proctype client()
{
    do
    :: DONE -> break

    :: d_step { /* connect, freeze, RESUME */
        c_try == NONE && C_NEEDS ->
        assert(c_live == NONE || !CARRIES || s_woke >= c_live); /* only for a cause */
        assert(c_attempt < ATTEMPTS);
        client_tries()
    }
    :: d_step { /* a false alarm: if the attempt fails, nothing is wanted any more */
        c_try == NONE && !C_NEEDS && budget > 0 ->
        budget--;
        client_tries()
    }
    :: d_step { /* RESUMED */
        c_try != NONE && resumed[c_try] ->
        resumed[c_try] = 0;
        c_live = c_try;
        c_old = NONE;
        c_try = NONE
    }
    :: d_step { /* the attempt failed: thaw */
        c_try != NONE && dead[c_try] ->
        resumed[c_try] = 0;
        c_live = c_old;
        c_old = NONE;
        c_try = NONE;
#ifdef THAW_FORGETS_WAKE
        c_woken = NONE
#endif
    }
    :: d_step { /* a break is noticed */
        c_live != NONE && dead[c_live] && !silent[c_live] ->
        c_live = NONE
    }
    od
}

#define SERVER_HEARS_RESUME(n)                                                                                         \
    d_step {                                                                                                           \
        resume[n] ->                                                                                                   \
        resume[n] = 0;                                                                                                 \
        if                                                                                                             \
        :: n > s_attempt ->                                                                                            \
            if                                                                                                         \
            :: s_live != NONE && !dead[s_live] -> dead[s_live] = 1; silent[s_live] = 1                                 \
            :: else                                                                                                    \
            fi;                                                                                                        \
            s_attempt = n;                                                                                             \
            s_live = n;                                                                                                \
            s_wake = NONE; /* a resume cancels WAKE */                                                                 \
            if                                                                                                         \
            :: !dead[n] -> resumed[n] = 1                                                                              \
            :: else                                                                                                    \
            fi                                                                                                         \
        :: else -> dead[n] = 1                                                                                         \
        fi                                                                                                             \
    }

proctype server()
{
    do
    :: DONE -> break

    :: d_step { CARRIES && delivered < BYTES -> delivered++ }

    :: SERVER_HEARS_RESUME(2)
#if ATTEMPTS > 2
    :: SERVER_HEARS_RESUME(3)
#endif
#if ATTEMPTS > 3
    :: SERVER_HEARS_RESUME(4)
#endif

    :: d_step { /* a break is noticed */
        s_live != NONE && dead[s_live] ->
        s_live = NONE
    }
    :: d_step { /* no progress, or the client names another attempt: ask once for each attempt */
        !CARRIES && s_wake == NONE && s_woke < s_attempt && !resumed[s_attempt] ->
        s_wake = s_attempt;
        s_woke = s_attempt;
        woken[s_wake] = 1
    }
    :: d_step { /* a false alarm */
        CARRIES && s_wake == NONE && s_woke < s_attempt && budget > 0 ->
        budget--;
        s_wake = s_attempt;
        s_woke = s_attempt;
        woken[s_wake] = 1
    }
    od
}

#define LATE_WAKE(n)                                                                                                   \
    d_step { woken[n] && late > 0 -> late--; client_hears_wake(n) }

#define BREAKS_CONNECTION(n)                                                                                           \
    d_step { budget > 0 && n <= c_attempt && !dead[n] -> budget--; dead[n] = 1 }                                       \
    :: d_step { budget > 0 && n <= c_attempt && !dead[n] -> budget--; dead[n] = 1; silent[n] = 1 }                     \
    :: d_step { dead[n] && resume[n] -> resume[n] = 0 }                                                                \
    :: d_step { dead[n] && resumed[n] -> resumed[n] = 0 }

proctype network()
{
    do
    :: DONE -> break

    :: d_step { s_wake != NONE && c_woken < s_wake -> client_hears_wake(s_wake) }
    :: d_step { /* CONF: heard, so not repeated any more */
        s_wake != NONE && (c_woken >= s_wake || !CONCERNS(s_wake)) ->
        s_wake = NONE
    }
    :: d_step { late > 0 -> late-- } /* no copy is left */
    :: LATE_WAKE(1)
    :: LATE_WAKE(2)
    :: BREAKS_CONNECTION(1)
    :: BREAKS_CONNECTION(2)
#if ATTEMPTS > 2
    :: LATE_WAKE(3)
    :: BREAKS_CONNECTION(3)
#endif
#if ATTEMPTS > 3
    :: LATE_WAKE(4)
    :: BREAKS_CONNECTION(4)
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
