/* How a client's attempt finds the server: its addresses, tried side by side, and names that are looked up again. See
 * inside_loop.h; PROTOCOL.md "Freeze and resume", "When to try".
 *
 * The session knows attempts, not addresses: the first connection of an attempt that is there carries it. A lookup runs
 * in a thread of its own that ends with it, because it may block; nothing else here waits for anything.
 *
 * Must never know: why a connection is wanted.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Shared by the loop's thread and the one that looks up. It belongs to the loop's until the endpoint goes: threads that
 * nobody waits for any more are threads, too, and count. */
struct rtcp_lookup {
    struct rtcp_lookup *next; /* in the endpoint's list of those that nobody waits for */
    pthread_mutex_t lock;
    struct ev_loop *loop;
    ev_async *done; /* NULL: nobody waits any more */
    bool is_done;
    bool is_left; /* the endpoint is gone: the thread frees it */
    int status;   /* count, or why there are none */
    struct rtcp_address address[RTCP_ADDRESSES_MAX];
    char text[];
};

struct rtcp_dial {
    struct rtcp_stream *stream;
    int count;
    int first; /* where the next attempt begins */

    bool is_on; /* an attempt has no connection yet */
    uint32_t attempt;
    int next;     /* the address to be tried next */
    int untried;  /* addresses that this attempt has not tried */
    int evidence; /* what its failures said; -1: nothing, or different things */
    bool has_failed;
    bool is_fresh; /* a connection was begun in this turn */
    struct rtcp_link *race[RTCP_RACE_MAX];
    ev_timer stagger;

    struct rtcp_lookup *lookup; /* under way */
    ev_async looked_up;
    base_time looked_at;
    bool is_unknown;               /* the first lookup said that there is no such host */
    char *names;                   /* what is looked up; "": numbers only */
    struct rtcp_address address[]; /* as many as were given; RTCP_ADDRESSES_MAX where names are looked up */
};

static void try_next(struct rtcp_dial *d, base_time now);

static int racers(const struct rtcp_dial *d)
{
    int count = 0;

    for (int i = 0; i < RTCP_RACE_MAX; i++) {
        count += d->race[i] != NULL ? 1 : 0;
    }
    return count;
}

static void note_failure(struct rtcp_dial *d, int evidence)
{
    d->evidence = d->has_failed && d->evidence != evidence ? RTCP_EVIDENCE_UNREACHABLE : evidence;
    d->has_failed = true;
}

/* ------------------------------------------------------------------------------------------------ names */

static void lookup_free(struct rtcp_lookup *l)
{
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void *look_up(void *argument)
{
    struct rtcp_lookup *l = argument;
    struct rtcp_address address[RTCP_ADDRESSES_MAX];
    int status = rtcp_address_look_up(l->text, 0, address);
    bool is_left;

    pthread_mutex_lock(&l->lock);
    l->status = status;
    base_copy(l->address, address, sizeof address);
    l->is_done = true;
    is_left = l->is_left;
    if (l->done != NULL) {
        ev_async_send(l->loop, l->done);
    }
    pthread_mutex_unlock(&l->lock);
    if (is_left) {
        lookup_free(l);
    }
    return NULL;
}

static bool start_thread(struct rtcp_lookup *l)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    bool is_started;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* signals are the program's, not this thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    is_started = pthread_create(&thread, &attributes, look_up, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return is_started;
}

/* Whether its thread is through with it; if not, and is_leaving, the thread frees it. */
static bool is_over(struct rtcp_lookup *l, bool is_leaving)
{
    bool is_done;

    pthread_mutex_lock(&l->lock);
    is_done = l->is_done;
    l->is_left = is_leaving;
    pthread_mutex_unlock(&l->lock);
    return is_done;
}

/* Frees those that nobody waits for and that are over. */
static void reap(struct rtcp_endpoint *endpoint)
{
    struct rtcp_lookup **at = &endpoint->left_lookups;

    while (*at != NULL) {
        struct rtcp_lookup *l = *at;

        if (is_over(l, false)) {
            *at = l->next;
            endpoint->lookups--;
            lookup_free(l);
        } else {
            at = &l->next;
        }
    }
}

void rtcp_dial_leave_lookups(struct rtcp_endpoint *endpoint)
{
    while (endpoint->left_lookups != NULL) {
        struct rtcp_lookup *l = endpoint->left_lookups;

        endpoint->left_lookups = l->next;
        if (is_over(l, true)) {
            lookup_free(l);
        }
    }
}

/* One lookup at a time, and not too often. */
static void want_lookup(struct rtcp_dial *d, base_time now)
{
    struct ev_loop *loop = d->stream->endpoint->loop;
    size_t size = strlen(d->names) + 1;
    struct rtcp_lookup *l;

    if (size == 1 || d->lookup != NULL || (d->looked_at != 0 && now < d->looked_at + RTCP_LOOKUP_GAP)) {
        return;
    }
    reap(d->stream->endpoint);
    if (d->stream->endpoint->lookups >= RTCP_LOOKUPS_MAX) {
        return;
    }
    l = calloc(1, sizeof *l + size);
    if (l == NULL) {
        return;
    }
    pthread_mutex_init(&l->lock, NULL);
    base_copy(l->text, d->names, size);
    l->loop = loop;
    l->done = &d->looked_up;
    ev_async_start(loop, &d->looked_up);
    if (!start_thread(l)) {
        ev_async_stop(loop, &d->looked_up);
        lookup_free(l);
        return;
    }
    d->stream->endpoint->lookups++;
    d->lookup = l;
    d->looked_at = now;
}

/* The result was taken, or nobody wants it any more. */
static void end_lookup(struct rtcp_dial *d)
{
    struct rtcp_endpoint *endpoint = d->stream->endpoint;
    struct rtcp_lookup *l = d->lookup;

    if (l == NULL) {
        return;
    }
    ev_async_stop(endpoint->loop, &d->looked_up);
    d->lookup = NULL;
    pthread_mutex_lock(&l->lock);
    l->done = NULL;
    pthread_mutex_unlock(&l->lock);
    l->next = endpoint->left_lookups;
    endpoint->left_lookups = l;
    reap(endpoint);
}

static void on_looked_up(struct ev_loop *loop, ev_async *w, int events)
{
    struct rtcp_dial *d = w->data;
    struct rtcp_stream *stream = d->stream;
    base_time now = base_clock_now();
    int status;

    (void)loop;
    (void)events;
    pthread_mutex_lock(&d->lookup->lock); /* held for an instant by the other thread, never while it looks up */
    status = d->lookup->status;
    if (status > 0) {
        base_copy(d->address, d->lookup->address, sizeof d->lookup->address);
        d->first = 0;
    }
    pthread_mutex_unlock(&d->lookup->lock);
    end_lookup(d);
    if (d->count == 0) { /* it may have taken more than one attempt: the first that has an address is the first */
        stream->session.opt.addresses = d->attempt + (d->is_on ? 0 : 1);
    }
    d->is_unknown = status == BASE_E_NOTFOUND && d->count == 0;
    d->count = status > 0 ? status : d->count;
    if (d->is_on && status > 0) { /* also if others race: should they fail, these have not been tried */
        d->untried = status;
        d->next = 0;
    }
    if (d->is_on && racers(d) == 0) { /* the attempt waited for this */
        if (d->count == 0) {
            note_failure(d, d->is_unknown ? RTCP_EVIDENCE_REFUSED : RTCP_EVIDENCE_UNREACHABLE);
        }
        try_next(d, now);
    }
    rtcp_stream_pump(stream, now);
    rtcp_endpoint_turn(stream->endpoint);
}

/* ------------------------------------------------------------------------------------------------ the race */

static bool is_tried(const struct rtcp_dial *d, const struct rtcp_address *to)
{
    int count = 0;

    for (int i = 0; i < RTCP_RACE_MAX; i++) {
        count += d->race[i] != NULL && rtcp_address_equal(&d->race[i]->peer, to) ? 1 : 0;
    }
    return count > 0;
}

/* Begins one connection; false: it failed at once. */
static bool try_one(struct rtcp_dial *d, const struct rtcp_address *to)
{
    struct rtcp_link *link;
    int evidence = -1;

    rtcp_address_print(to, d->stream->peer_text);
    link = rtcp_control_open(d->stream->endpoint, &(struct rtcp_address){.family = to->family}) < 0
               ? NULL
               : rtcp_link_connect(d->stream, d->attempt, to, &evidence);
    if (link == NULL) {
        note_failure(d, evidence);
        return false;
    }
    for (int i = 0; i < RTCP_RACE_MAX; i++) {
        if (d->race[i] == NULL) {
            d->race[i] = link;
            d->is_fresh = true;
            rtcp_endpoint_make_ready(d->stream); /* the end of the turn looks at it, see rtcp_dial_look */
            return true;
        }
    }
    CHECK(!"more racers than places");
}

static void arm(struct rtcp_dial *d, base_time after)
{
    struct ev_loop *loop = d->stream->endpoint->loop;

    ev_timer_stop(loop, &d->stagger);
    ev_now_update(loop); /* a long callback: else its time would be taken from the wait */
    ev_timer_set(&d->stagger, (double)after / 1e9, 0.);
    ev_timer_start(loop, &d->stagger);
}

static void fail(struct rtcp_dial *d, base_time now)
{
    rtcp_dial_stop(d->stream);
    rtcp_session_broke(&d->stream->session, now, d->attempt, d->evidence, "connecting failed");
}

/* The next address; the attempt has failed when none is left and nobody races. An opening waits for names first. */
static void try_next(struct rtcp_dial *d, base_time now)
{
    const struct rtcp_stream *stream = d->stream;

    while (d->untried > 0 && racers(d) < RTCP_RACE_MAX) {
        const struct rtcp_address *to = &d->address[d->next % d->count];

        d->next = (d->next + 1) % d->count;
        d->untried--;
        if (try_one(d, to)) {
            arm(d, d->untried > 0 ? RTCP_RACE_NEXT : RTCP_RACE_AGAIN);
            return;
        }
    }
    if (racers(d) == 0 && (d->lookup == NULL || stream->session.life != RTCP_LIFE_OPENING)) {
        fail(d, now);
    }
}

/* Nobody answered yet. Another address; or, where no datagram can tell that the path is back, another SYN: the kernel
 * repeats one only after 1, 3, 7 seconds. */
static void on_stagger(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_dial *d = w->data;
    struct rtcp_stream *stream = d->stream;
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    if (d->untried > 0) {
        try_next(d, now);
    } else if (stream->session.route == NULL && racers(d) < RTCP_RACE_MAX) {
        for (int i = 0; i < d->count; i++) {
            const struct rtcp_address *to = &d->address[d->next % d->count];

            d->next = (d->next + 1) % d->count;
            if (is_tried(d, to)) {
                (void)try_one(d, to);
                break;
            }
        }
        arm(d, RTCP_RACE_AGAIN);
    }
    rtcp_stream_pump(stream, now);
    rtcp_endpoint_turn(stream->endpoint);
}

/* ------------------------------------------------------------------------------------------------ for the driver */

int rtcp_dial_new(struct rtcp_stream *stream, const struct rtcp_address *list, int count, const char *names)
{
    size_t size = strlen(names) + 1;
    size_t places = size > 1 ? RTCP_ADDRESSES_MAX : (size_t)count;
    struct rtcp_dial *d = calloc(1, sizeof *d + places * sizeof d->address[0] + size);

    if (d == NULL) {
        return BASE_E_NOMEM;
    }
    CHECK(count >= 0 && count <= RTCP_ADDRESSES_MAX && (count > 0 || size > 1));
    base_copy(d->address, list, (size_t)count * sizeof *list);
    d->count = count;
    d->names = (char *)&d->address[places];
    base_copy(d->names, names, size);
    d->stream = stream;
    ev_init(&d->stagger, on_stagger);
    d->stagger.data = d;
    ev_async_init(&d->looked_up, on_looked_up);
    d->looked_up.data = d;
    stream->dial = d;
    return 0;
}

void rtcp_dial_stop(struct rtcp_stream *stream)
{
    struct rtcp_dial *d = stream->dial;

    if (d == NULL || !d->is_on) {
        return;
    }
    d->is_on = false;
    ev_timer_stop(stream->endpoint->loop, &d->stagger);
    for (int i = 0; i < RTCP_RACE_MAX; i++) {
        if (d->race[i] != NULL) {
            rtcp_link_close(d->race[i], false);
            d->race[i] = NULL;
        }
    }
}

void rtcp_dial_close_copies(const struct rtcp_stream *stream)
{
    for (int i = 0; stream->dial != NULL && i < RTCP_RACE_MAX; i++) {
        if (stream->dial->race[i] != NULL) {
            close(stream->dial->race[i]->fd);
        }
    }
}

void rtcp_dial_free(struct rtcp_stream *stream)
{
    if (stream->dial != NULL) {
        rtcp_dial_stop(stream);
        end_lookup(stream->dial);
        free(stream->dial);
        stream->dial = NULL;
    }
}

void rtcp_dial_begin(struct rtcp_stream *stream, uint32_t attempt, base_time now)
{
    struct rtcp_dial *d = stream->dial;

    CHECK(!d->is_on);
    d->is_on = true;
    d->attempt = attempt;
    d->evidence = -1;
    d->has_failed = false;
    d->next = d->first;
    d->untried = d->count;
    want_lookup(d, now);
    if (d->count > 0) {
        d->first = (d->first + 1) % d->count; /* should this one be reached, and be of no use */
        try_next(d, now);
    } else if (d->lookup == NULL && now >= d->looked_at + RTCP_LOOKUP_GAP) {
        fail(d, now); /* no thread to be had */
    }                 /* else: the lookup goes on, or the attempt's deadline ends it */
}

bool rtcp_dial_is_on(const struct rtcp_stream *stream, uint32_t attempt)
{
    return stream->dial != NULL && stream->dial->is_on && stream->dial->attempt == attempt;
}

void rtcp_dial_connected(struct rtcp_link *link, base_time now, int error)
{
    struct rtcp_stream *stream = link->stream;
    struct rtcp_dial *d = stream->dial;

    for (int i = 0; i < RTCP_RACE_MAX; i++) {
        if (d->race[i] == link) {
            d->race[i] = NULL;
        }
    }
    if (error == 0) {
        rtcp_dial_stop(stream);
        stream->trying = link;
        rtcp_address_print(&link->peer, stream->peer_text);
        rtcp_session_connected(&stream->session, now, link->attempt);
        return;
    }
    note_failure(d, rtcp_link_evidence(error));
    rtcp_link_close(link, false);
    try_next(d, now);
}

void rtcp_dial_look(struct rtcp_stream *stream)
{
    struct rtcp_dial *d = stream->dial;

    if (d == NULL || !d->is_fresh) {
        return;
    }
    d->is_fresh = false;
    for (int i = 0; i < RTCP_RACE_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;

        if (d->race[i] != NULL && getpeername(d->race[i]->fd, (struct sockaddr *)&peer, &size) == 0) {
            base_time now = rtcp_endpoint_now(stream->endpoint);

            ev_io_stop(stream->endpoint->loop, &d->race[i]->writer);
            rtcp_dial_connected(d->race[i], now, 0);
            rtcp_stream_pump(stream, now);
            return;
        }
    }
}

void rtcp_dial_attached(struct rtcp_stream *stream, const struct rtcp_link *link)
{
    struct rtcp_dial *d = stream->dial;

    for (int i = 0; i < d->count; i++) {
        if (rtcp_address_equal(&d->address[i], &link->peer)) {
            d->first = i; /* the next attempt begins with what worked */
            return;
        }
    }
}

bool rtcp_dial_is_unknown(const struct rtcp_stream *stream)
{
    return stream->dial != NULL && stream->dial->is_unknown;
}
