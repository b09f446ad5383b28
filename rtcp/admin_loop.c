/* Implements admin.h: what an endpoint shows of itself, with the socket of base/admin_loop.h. Reads the objects of the
 * driver and changes none of them.
 */
#include "rtcp/admin.h"

#include "rtcp/base/admin_loop.h"
#include "rtcp/inside_loop.h"

static const char *state_name(enum rtcp_state state)
{
    switch (state) {
    case RTCP_OPENING:
        return "OPENING";
    case RTCP_ATTACHED:
        return "ATTACHED";
    case RTCP_DETACHED:
        return "DETACHED";
    case RTCP_PASSIVE:
        return "PASSIVE";
    case RTCP_CLOSING:
        return "CLOSING";
    case RTCP_DEAD:
        return "DEAD";
    }
    return "?";
}

static const char *evidence_name(int evidence)
{
    if (evidence < 0) {
        return "";
    }
    switch ((enum rtcp_evidence)evidence) {
    case RTCP_EVIDENCE_NONE:
        return "";
    case RTCP_EVIDENCE_REFUSED:
        return "REFUSED";
    case RTCP_EVIDENCE_UNREACHABLE:
        return "UNREACHABLE";
    case RTCP_EVIDENCE_SILENT:
        return "SILENT";
    case RTCP_EVIDENCE_WRONG_PEER:
        return "WRONG_PEER";
    case RTCP_EVIDENCE_UNKNOWN:
        return "UNKNOWN";
    case RTCP_EVIDENCE_HEARD:
        return "HEARD";
    }
    return "?";
}

static void show_stream(const struct rtcp_stream *stream, struct base_admin_answer *answer)
{
    const struct rtcp_session *s = &stream->session;
    const uint64_t name = s->opt.is_client && s->peer_name != 0 ? s->peer_name : s->opt.name;
    struct rtcp_info info;

    rtcp_info(stream, &info);
    base_admin_begin(answer);
    base_admin_number(answer, "id", info.id);
    base_admin_text(answer, "role", info.is_client ? "client" : "server");
    base_admin_text(answer, "state", state_name(info.state));
    base_admin_text(answer, "peer", rtcp_peer_address(stream));
    if (name != 0) {
        base_admin_hex(answer, "service", name);
    }
    base_admin_bool(answer, "confirmed", info.is_confirmed);
    base_admin_number(answer, "sent", info.sent);
    base_admin_number(answer, "received", info.received);
    base_admin_number(answer, "unacknowledged", info.unacknowledged);
    base_admin_time(answer, "oldest", info.oldest_unacknowledged);
    base_admin_time(answer, "blocked_send", info.blocked_send);
    base_admin_time(answer, "blocked_receive", info.blocked_receive);
    base_admin_number(answer, "repeated", info.repeated);
    base_admin_number(answer, "connections", info.connections);
    base_admin_number(answer, "attempt", info.attempt);
    base_admin_time(answer, "disconnected", info.disconnected);
    base_admin_time(answer, "round_trip", info.round_trip);
    base_admin_time(answer, "silent", info.silent);
    base_admin_text(answer, "evidence", evidence_name(s->evidence));
    base_admin_number(answer, "ring", info.ring);
    base_admin_number(answer, "ring_max", info.ring_max);
    base_admin_hex(answer, "incarnation", stream->endpoint->incarnation);
    base_admin_hex(answer, "peer_incarnation", info.peer_incarnation);
    base_admin_end(answer);
}

static void show_sessions(void *user, struct base_admin_answer *answer)
{
    const struct rtcp_endpoint *endpoint = user;

    for (const struct rtcp_stream *stream = endpoint->streams; stream != NULL; stream = stream->next) {
        show_stream(stream, answer);
    }
}

static void show_stats(void *user, struct base_admin_answer *answer)
{
    const struct rtcp_endpoint *endpoint = user;
    struct rtcp_stats stats;

    rtcp_endpoint_stats(endpoint, &stats);
    base_admin_begin(answer);
    base_admin_hex(answer, "incarnation", endpoint->incarnation);
    base_admin_number(answer, "sessions", stats.sessions);
    base_admin_number(answer, "connections_accepted", stats.connections_accepted);
    base_admin_number(answer, "handshakes_refused", stats.handshakes_refused);
    base_admin_number(answer, "keys_refused", stats.keys_refused);
    base_admin_number(answer, "full_refused", stats.full_refused);
    base_admin_number(answer, "handshakes_dropped", stats.handshakes_dropped);
    base_admin_number(answer, "resumes", stats.resumes);
    base_admin_number(answer, "datagrams_sent", stats.datagrams_sent);
    base_admin_number(answer, "datagrams_received", stats.datagrams_received);
    base_admin_number(answer, "messages_dropped", stats.messages_dropped);
    base_admin_number(answer, "acks_stale", stats.acks_stale);
    base_admin_number(answer, "passive", stats.passive);
    base_admin_number(answer, "lingering", stats.lingering);
    base_admin_number(answer, "expired", stats.expired);
    base_admin_number(answer, "bytes_lost", stats.bytes_lost);
    base_admin_end(answer);
}

int holdfast_admin_open(struct ev_loop *loop, const char *path, struct holdfast_admin **ret_admin)
{
    return base_admin_open(loop, path, ret_admin);
}

void holdfast_admin_close(struct holdfast_admin *admin)
{
    base_admin_close(admin);
}

int rtcp_endpoint_admin(struct rtcp_endpoint *endpoint, struct holdfast_admin *admin)
{
    int status = base_admin_add(admin, "sessions", show_sessions, endpoint);

    if (status == 0) {
        status = base_admin_add(admin, "stats", show_stats, endpoint);
        if (status < 0) {
            base_admin_remove(admin, endpoint);
        }
    }
    return status;
}
