/* Listening sockets, and the handshakes of connections that came in. See inside_loop.h; PROTOCOL.md "Opening". */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTS_PER_EVENT 64
#define RETRY_MS          200u /* told to clients refused for want of room */

/* ------------------------------------------------------------------------------------------------ half-open ones */

void rtcp_listener_add_half_open(struct rtcp_link *link)
{
    struct rtcp_endpoint *e = link->endpoint;

    link->is_half_open = true;
    link->next = NULL;
    link->prev = e->half_open_last;
    if (e->half_open_last != NULL) {
        e->half_open_last->next = link;
    } else {
        e->half_open_first = link;
    }
    e->half_open_last = link;
    e->half_open++;
    if (e->half_open > RTCP_HALF_OPEN_MAX) {
        e->stats.handshakes_dropped++;
        rtcp_endpoint_complain(e, &e->half_open_first->peer, "handshake dropped", "too many at once: the oldest goes");
        rtcp_link_close(e->half_open_first, false); /* P41 */
    }
}

void rtcp_listener_remove_half_open(struct rtcp_link *link)
{
    struct rtcp_endpoint *e = link->endpoint;

    if (!link->is_half_open) {
        return;
    }
    link->is_half_open = false;
    if (link->prev != NULL) {
        link->prev->next = link->next;
    } else {
        e->half_open_first = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    } else {
        e->half_open_last = link->prev;
    }
    e->half_open--;
}

/* ------------------------------------------------------------------------------------------------ requests */

static struct rtcp_registry_place place_of(const struct rtcp_listener *listener)
{
    return (struct rtcp_registry_place){
        .incarnation = listener->endpoint->incarnation,
        .name = listener->name,
        .is_listening = listener->is_open && !listener->endpoint->drain.is_on,
        .shared = rtcp_keyring_current(&listener->endpoint->keys),
        .keys = &listener->endpoint->keys,
    };
}

static const char *reason_text(uint8_t reason)
{
    static const char *const text[] = {
        [RTCP_WIRE_FINE] = "no reason",
        [RTCP_WIRE_NOT_LISTENING] = "the application accepts no new streams",
        [RTCP_WIRE_FULL] = "too many streams",
        [RTCP_WIRE_WRONG_NAME] = "it looks for another service",
        [RTCP_WIRE_BAD_KEY] = "its key or tag is wrong",
        [RTCP_WIRE_NO_SESSION] = "its session is not known here",
        [RTCP_WIRE_IS_CLOSED] = "its session is over: closed",
        [RTCP_WIRE_IS_RESET] = "its session is over: aborted",
        [RTCP_WIRE_UNCONFIRMED] = "its session is over: never confirmed",
        [RTCP_WIRE_BAD_VERSION] = "it speaks another version",
        [RTCP_WIRE_BAD_COUNT] = "its count is impossible",
        [RTCP_WIRE_NOT_HERE] = "that kind of connection is not served",
    };

    return reason < sizeof text / sizeof text[0] ? text[reason] : text[0];
}

static void count_refusal(struct rtcp_endpoint *e, uint8_t reason)
{
    e->stats.keys_refused += reason == RTCP_WIRE_BAD_KEY ? 1 : 0;
    e->stats.full_refused += reason == RTCP_WIRE_FULL ? 1 : 0;
}

/* shared: the key of the request. */
static void refuse(struct rtcp_link *link, const struct rtcp_wire_request *request,
                   const struct rtcp_auth_shared *shared, uint8_t reason)
{
    struct rtcp_registry_place place = place_of(link->listener);
    uint8_t bytes[RTCP_WIRE_ANSWER];

    place.shared = shared;
    count_refusal(link->endpoint, reason);
    rtcp_endpoint_complain(link->endpoint, &link->peer, "handshake refused", reason_text(reason));
    rtcp_registry_refuse(&place, request, reason, RETRY_MS, bytes);
    rtcp_link_refuse(link, bytes, sizeof bytes);
}

/* The last word of a session that is over or as good as over: under its own key. */
static void refuse_by_session(struct rtcp_link *link, const struct rtcp_session *s,
                              const struct rtcp_wire_request *request, uint8_t reason)
{
    uint8_t bytes[RTCP_WIRE_ANSWER];
    struct rtcp_tombstone word;

    rtcp_endpoint_complain(link->endpoint, &link->peer, "handshake refused", reason_text(reason));
    rtcp_tombstone_make(&word, s);
    word.reason = reason;
    rtcp_tombstone_refuse(&word, request, link->endpoint->incarnation, link->listener->name, bytes);
    rtcp_link_refuse(link, bytes, sizeof bytes);
}

void rtcp_listener_wrong_version(struct rtcp_link *link)
{
    struct rtcp_wire_request nothing = {.attempt = 1};

    refuse(link, &nothing, rtcp_keyring_current(&link->endpoint->keys), RTCP_WIRE_BAD_VERSION);
}

/* Gives a connection to its session, as the attempt it asks for. */
static void hand_over(struct rtcp_link *link, struct rtcp_stream *stream, const struct rtcp_wire_request *request)
{
    rtcp_listener_remove_half_open(link);
    ev_timer_stop(link->endpoint->loop, &link->timer);
    link->stream = stream;
    link->attempt = request->attempt;
    link->state = RTCP_LINK_WAITING;
    link->in_size = 0;
    if (request->kind == RTCP_WIRE_OPEN && stream->session.opt.shared->is_set) {
        link->confirm_in = RTCP_WIRE_CONFIRM;
        link->early_in = request->early;
    }
    stream->trying = link;
    rtcp_address_print(&link->peer, stream->peer_text);
}

/* Room for one more stream; the last descriptors are kept for those that come back. */
static bool has_room(const struct rtcp_listener *listener)
{
    const struct rtcp_endpoint *e = listener->endpoint;

    return !e->is_scarce && e->stats.sessions < e->options.streams_max &&
           (listener->streams_max == 0 || listener->streams < listener->streams_max) &&
           (listener->has_room == NULL || listener->has_room(listener->user));
}

struct rtcp_stream *rtcp_oldest_orphan(const struct rtcp_endpoint *endpoint, base_time *ret_silent)
{
    struct rtcp_stream *oldest = NULL;
    base_time since = BASE_NEVER;

    for (struct rtcp_stream *stream = endpoint->streams; stream != NULL; stream = stream->next) {
        const struct rtcp_session *s = &stream->session;
        bool is_orphan = !s->opt.is_client && s->life == RTCP_LIFE_OPEN && s->path == RTCP_PATH_DETACHED;

        if (is_orphan && rtcp_session_silent_since(s) < since) {
            since = rtcp_session_silent_since(s);
            oldest = stream;
        }
    }
    if (oldest != NULL && ret_silent != NULL) {
        *ret_silent = base_time_since(base_clock_now(), since);
    }
    return oldest;
}

/* Never silently: who must refuse for want of room says what takes it (P31). */
static void name_oldest(struct rtcp_endpoint *e, base_time now)
{
    struct base_event event = {.at = now, .object = "listener", .name = "full", .text = "the oldest without a client"};
    const struct rtcp_stream *oldest;
    base_time silent = 0;

    if (!rtcp_endpoint_may_complain(e)) {
        return;
    }
    oldest = rtcp_oldest_orphan(e, &silent);
    if (oldest == NULL) {
        return;
    }
    event.id = oldest->session.opt.id;
    event.field[0].key = "silent_ms";
    event.field[0].value = silent / BASE_MS(1);
    event.field[1].key = "unacknowledged";
    event.field[1].value = oldest->session.out.upto - oldest->session.out.first;
    base_trace_emit(&e->options.trace, &event);
}

static void open_new(struct rtcp_link *link, const struct rtcp_wire_request *request,
                     const struct rtcp_auth_shared *shared, base_time now)
{
    struct rtcp_listener *listener = link->listener;
    struct rtcp_endpoint *e = link->endpoint;
    struct rtcp_session_options options;
    struct rtcp_stream *stream;

    if (!has_room(listener) || (shared->is_set && e->proving >= RTCP_HALF_OPEN_MAX)) {
        name_oldest(e, now);
        refuse(link, request, shared, RTCP_WIRE_FULL);
        return;
    }
    stream = rtcp_stream_new(e, NULL, NULL);
    if (stream == NULL) {
        refuse(link, request, shared, RTCP_WIRE_FULL);
        return;
    }
    rtcp_endpoint_session_options(e, &listener->stream, &options);
    options.name = listener->name;
    options.shared = shared;
    if (rtcp_session_accept(&stream->session, &options, now, request) < 0) {
        rtcp_stream_free(stream);
        refuse(link, request, shared, RTCP_WIRE_FULL);
        return;
    }
    rtcp_keyring_hold(&e->keys, shared);
    stream->listener = listener;
    stream->no_pages = !listener->stream.sendfile;
    stream->coalesce = listener->stream.coalesce;
    stream->burst.is_off = listener->stream.at_once;
    listener->users++;
    listener->streams++;
    if (rtcp_registry_add(&e->registry, &stream->session) < 0) {
        rtcp_stream_free(stream);
        refuse(link, request, shared, RTCP_WIRE_FULL);
        return;
    }
    if (stream->session.life == RTCP_LIFE_OPENING) {
        stream->is_proving = true;
        e->proving++;
    }
    stream->has_promise = rtcp_registry_promise(&e->registry);
    stream->held_until_confirmed = !stream->has_promise;
    hand_over(link, stream, request);
    rtcp_stream_pump(stream, now);
}

static void pass_on(struct rtcp_link *link, struct rtcp_session *s, const struct rtcp_wire_request *request,
                    struct base_bytes raw, base_time now)
{
    struct rtcp_stream *stream = (struct rtcp_stream *)(void *)s; /* the session is its first member */
    uint8_t reason = 0;

    switch (rtcp_session_asked(s, now, request, raw, &reason)) {
    case RTCP_ASKED_TAKEN:
        if (stream->trying != NULL) {
            rtcp_link_close(stream->trying, false);
        }
        hand_over(link, stream, request);
        break;
    case RTCP_ASKED_STALE:
        rtcp_link_close(link, true);
        break;
    case RTCP_ASKED_FORGED:
        refuse(link, request, s->opt.shared, RTCP_WIRE_BAD_KEY);
        break;
    case RTCP_ASKED_REFUSED:
        refuse_by_session(link, s, request, reason);
        break;
    }
    rtcp_stream_pump(stream, now);
}

void rtcp_listener_request(struct rtcp_link *link, base_time now)
{
    struct rtcp_endpoint *e = link->endpoint;
    struct rtcp_registry_place place = place_of(link->listener);
    struct base_bytes raw = {link->in, link->in_size};
    struct rtcp_wire_request request;
    struct rtcp_judgement judgement;

    if (rtcp_wire_get_request(raw, &request) < 0) {
        e->stats.handshakes_dropped++;
        rtcp_endpoint_complain(e, &link->peer, "handshake dropped", "a field is impossible");
        rtcp_link_close(link, false);
        return;
    }
    rtcp_registry_judge(&e->registry, &place, &request, raw, &judgement);
    switch (judgement.kind) {
    case RTCP_JUDGED_NEW:
        open_new(link, &request, judgement.shared, now);
        break;
    case RTCP_JUDGED_KNOWN:
        pass_on(link, judgement.session, &request, raw, now);
        break;
    case RTCP_JUDGED_CONTROL:
        rtcp_courier_accepted(link, judgement.answer);
        break;
    case RTCP_JUDGED_REFUSED:
        count_refusal(e, judgement.answer[RTCP_WIRE_PREFIX]);
        rtcp_endpoint_complain(e, &link->peer, "handshake refused", reason_text(judgement.answer[RTCP_WIRE_PREFIX]));
        rtcp_link_refuse(link, judgement.answer, sizeof judgement.answer);
        break;
    }
}

/* ------------------------------------------------------------------------------------------------ accepting */

static void take_spare(struct rtcp_endpoint *e)
{
    if (e->spare_fd < 0) {
        e->spare_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
}

/* No accepting for a while: without descriptors the loop would call again and again. */
static void pause_accepting(struct rtcp_listener *listener)
{
    ev_io_stop(listener->endpoint->loop, &listener->acceptor);
    ev_timer_again(listener->endpoint->loop, &listener->pause);
}

/* The process has no descriptors left: gives the spare one away, for one connection at a time. True: accept again. */
static bool give_spare(struct rtcp_endpoint *e, int error)
{
    if ((error != EMFILE && error != ENFILE) || e->spare_fd < 0) {
        return false;
    }
    close(e->spare_fd);
    e->spare_fd = -1;
    e->is_scarce = true;
    return true;
}

/* One connection; false: no more now. */
static bool accept_one(struct rtcp_listener *listener)
{
    struct rtcp_endpoint *e = listener->endpoint;
    struct sockaddr_storage from;
    struct rtcp_address peer;
    struct rtcp_link *link;
    socklen_t size = sizeof from;
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (give_spare(e, errno)) {
            return true;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener);
        }
        return false; /* everything else is the connection's own trouble (P43) */
    }
    e->stats.connections_accepted++;
    rtcp_address_from_sock(&from, &peer);
    link = rtcp_link_accepted(listener, fd, &peer);
    if (link != NULL) {
        base_time now = link->began_at;

        /* On the last descriptor it must say soon that it comes back to a session; an opening is refused. */
        link->began_at -= e->is_scarce ? RTCP_HANDSHAKE_TOTAL - RTCP_SCARCE_HANDSHAKE : 0;
        rtcp_link_read_request(link, now); /* on short ways it is here already */
    }
    if (e->is_scarce) {
        pause_accepting(listener);
    }
    return !e->is_scarce;
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_listener *listener = w->data;
    struct rtcp_endpoint *endpoint = listener->endpoint;

    (void)loop;
    (void)events;
    listener->users++; /* of ours: what is accepted may push out the last one that a closed listener is kept for */
    for (int i = 0; i < ACCEPTS_PER_EVENT && accept_one(listener); i++) {
    }
    rtcp_listener_release(listener);
    rtcp_endpoint_turn(endpoint);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_listener *listener = w->data;

    (void)events;
    if (listener->endpoint->is_scarce) {
        take_spare(listener->endpoint);
        listener->endpoint->is_scarce = listener->endpoint->spare_fd < 0;
    }
    if (!listener->endpoint->is_scarce) {
        ev_timer_stop(loop, w);
        ev_io_start(loop, &listener->acceptor);
    } /* else the timer repeats */
}

/* ------------------------------------------------------------------------------------------------ names */

static size_t read_file(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = 0;

    if (f != NULL) {
        n = fread(out, 1, size, f);
        fclose(f);
    }
    return n;
}

/* The name of a place: this machine, this network namespace, this address (design 2.3). */
static uint64_t default_name(const char *address)
{
    char text[RTCP_ADDRESS_TEXT + 128];
    char machine[64] = "";
    size_t size = read_file("/etc/machine-id", machine, sizeof machine - 1);
    struct stat ns = {0};
    int n;

    if (size == 0) {
        (void)gethostname(machine, sizeof machine - 1);
    }
    (void)stat("/proc/self/ns/net", &ns);
    n = snprintf(text, sizeof text, "%s/%llu/%s", machine, (unsigned long long)ns.st_ino, address);
    return rtcp_auth_name((struct base_bytes){(const uint8_t *)text, (size_t)n});
}

/* ------------------------------------------------------------------------------------------------ public */

void rtcp_listen_options_default(struct rtcp_listen_options *o)
{
    base_zero(o, sizeof *o);
    rtcp_stream_options_default(&o->stream);
    o->backlog = 128;
}

static int open_socket(const struct rtcp_address *at, int backlog, struct rtcp_address *ret_bound)
{
    struct sockaddr_storage address;
    socklen_t size = rtcp_address_to_sock(at, &address);
    int one = 1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->family == 6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    rtcp_link_no_delay(fd); /* those that are accepted inherit it */
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, backlog) < 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    rtcp_address_from_sock(&address, ret_bound);
    return fd;
}

static int check_options(const struct rtcp_listen_options *o)
{
    bool is_fine = o->backlog >= 1 && (o->service == NULL || strlen(o->service) <= RTCP_NAME_MAX);

    return is_fine ? rtcp_stream_options_check(&o->stream) : BASE_E_RANGE;
}

int rtcp_listen(struct rtcp_endpoint *endpoint, const char *address, const struct rtcp_listen_options *options,
                rtcp_on_accept *on_accept, void *user, struct rtcp_listener **ret_listener)
{
    struct rtcp_address at[RTCP_ADDRESSES_MAX];
    struct rtcp_listen_options defaults;
    struct rtcp_listener *listener;
    struct rtcp_address bound;
    int status;

    rtcp_listen_options_default(&defaults);
    options = options == NULL ? &defaults : options;
    status = endpoint->drain.is_on ? BASE_E_CLOSED : check_options(options);
    if (status == 0) {
        status = rtcp_address_parse(address, at);
    }
    if (status < 0) {
        return status;
    }
    listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        return BASE_E_NOMEM;
    }
    listener->fd = open_socket(&at[0], options->backlog, &bound);
    if (listener->fd < 0) {
        free(listener);
        return BASE_E_SYSTEM;
    }
    status = rtcp_control_open(endpoint, &bound);
    if (status < 0) {
        int error = errno;

        close(listener->fd);
        free(listener);
        errno = error;
        return status;
    }
    rtcp_address_print(&bound, listener->text);
    listener->endpoint = endpoint;
    listener->is_open = true;
    listener->stream = options->stream;
    listener->streams_max = options->streams_max;
    listener->on_accept = on_accept;
    listener->user = user;
    listener->name =
        options->service == NULL
            ? default_name(listener->text)
            : rtcp_auth_name((struct base_bytes){(const uint8_t *)options->service, strlen(options->service)});
    listener->next = endpoint->listeners;
    endpoint->listeners = listener;
    ev_io_init(&listener->acceptor, on_acceptable, listener->fd, EV_READ);
    listener->acceptor.data = listener;
    ev_io_start(endpoint->loop, &listener->acceptor);
    ev_timer_init(&listener->pause, on_pause_over, 0., (double)RTCP_SCARCE_PAUSE / 1e9);
    listener->pause.data = listener;
    take_spare(endpoint);
    *ret_listener = listener;
    return 0;
}

const char *rtcp_listener_address(const struct rtcp_listener *listener)
{
    return listener->text;
}

void rtcp_listener_free(struct rtcp_listener *listener)
{
    struct rtcp_listener **at = &listener->endpoint->listeners;

    while (*at != listener) {
        at = &(*at)->next;
    }
    *at = listener->next;
    ev_io_stop(listener->endpoint->loop, &listener->acceptor);
    ev_timer_stop(listener->endpoint->loop, &listener->pause);
    close(listener->fd);
    free(listener);
}

void rtcp_listener_release(struct rtcp_listener *listener)
{
    CHECK(listener->users > 0);
    if (--listener->users == 0 && !listener->is_open) {
        rtcp_listener_free(listener);
    }
}

void rtcp_listener_close(struct rtcp_listener *listener)
{
    if (listener == NULL || !listener->is_open) {
        return;
    }
    listener->is_open = false;
    if (listener->users == 0) {
        rtcp_listener_free(listener);
    }
}
