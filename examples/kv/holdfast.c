/* HOLDFAST VIEW, STATUS and DIGEST: what this member knows of the group, for people and programs. See handlers.h.
 *
 * Each reply is one bulk string of lines `key:value`; a member's line holds `name=value` pairs with commas between. The
 * keys are part of the interface: they may become more, but are not renamed. None of these commands takes a place in
 * the order, and DIGEST does not go through save.
 *
 *   VIEW    view, index, instance, members; member<ID>:role=,incarnation=,address=
 *   STATUS  self, leader, term, last, commit, applied, commands, keys, quorum, view, views, elections, pending,
 * unknown, log_bytes, save_calls, load_calls;
 *           member<ID>:link=,leader=,acked=,behind=,unacknowledged=,entries_sent=,entries_repeated=,entries_pulled=,
 *           received_again=,snapshots_sent=,snapshots_received=,links=,silent_ms=
 *   DIGEST  index, keys, sha256 (digest.h says of what): equal index and equal state give equal digests
 */
#include "examples/kv/handlers.h"
#include "examples/kv/reply.h"

#include <inttypes.h>

static void number(struct kv_buffer *b, const char *name, uint64_t value)
{
    kv_buffer_print(b, "%s:%" PRIu64 "\r\n", name, value);
}

static void print_view(struct kv_call *c, struct kv_buffer *b)
{
    const struct group_view *view = c->about->view(c->about->user);

    number(b, "view", view == NULL ? 0 : view->id);
    number(b, "index", view == NULL ? 0 : view->index);
    kv_buffer_print(b, "instance:%016" PRIx64 "\r\n", view == NULL ? 0 : view->instance);
    number(b, "members", view == NULL ? 0 : view->count);
    for (uint32_t i = 0; view != NULL && i < view->count; i++) {
        const struct group_member *m = &view->member[i];

        kv_buffer_print(b, "member%" PRIu32 ":role=%s,incarnation=%016" PRIx64 ",address=%s\r\n", m->id,
                        m->role == GROUP_VOTER ? "voter" : "learner", m->incarnation, m->address);
    }
}

static void print_member(struct kv_buffer *b, const struct group_member_stats *m)
{
    kv_buffer_print(b, "member%" PRIu32 ":link=%s,leader=%d,acked=%" PRIu64 ",behind=%" PRIu64, m->id,
                    m->link_up ? "up" : "down", m->is_leader ? 1 : 0, m->acked, m->behind);
    kv_buffer_print(b, ",unacknowledged=%" PRIu64 ",entries_sent=%" PRIu64 ",entries_repeated=%" PRIu64,
                    m->unacknowledged, m->entries_sent, m->entries_repeated);
    kv_buffer_print(b, ",entries_pulled=%" PRIu64 ",received_again=%" PRIu64, m->entries_pulled,
                    m->entries_received_again);
    kv_buffer_print(b, ",snapshots_sent=%" PRIu64 ",snapshots_received=%" PRIu64, m->snapshots_sent,
                    m->snapshots_received);
    kv_buffer_print(b, ",links=%" PRIu64 ",silent_ms=%" PRIu64 "\r\n", m->links, m->silent / BASE_MS(1));
}

static void print_status(struct kv_call *c, struct kv_buffer *b)
{
    const struct group_view *view = c->about->view(c->about->user);
    struct replica_stats s = {0};

    c->about->stats(c->about->user, &s);
    number(b, "self", s.group.self);
    number(b, "leader", s.group.leader);
    number(b, "term", s.group.term);
    number(b, "last", s.group.last);
    number(b, "commit", s.group.commit);
    number(b, "applied", s.applied);
    number(b, "commands", s.commands);
    number(b, "keys", c->store->count);
    number(b, "quorum", s.group.has_quorum ? 1 : 0);
    number(b, "view", view == NULL ? 0 : view->id);
    number(b, "views", s.group.views);
    number(b, "elections", s.group.elections);
    number(b, "pending", s.pending);
    number(b, "unknown", s.unknown);
    number(b, "log_bytes", s.group.log_bytes);
    number(b, "save_calls", s.save_calls);
    number(b, "load_calls", s.load_calls);
    for (uint32_t i = 0; i < s.group.count; i++) {
        print_member(b, &s.group.member[i]);
    }
}

static void print_digest(struct kv_call *c, struct kv_buffer *b)
{
    uint8_t digest[KV_DIGEST_SIZE];

    kv_digest_final(&c->store->digest, digest);
    number(b, "index", c->index);
    number(b, "keys", c->store->count);
    kv_buffer_add_text(b, "sha256:");
    for (size_t i = 0; i < sizeof digest; i++) {
        kv_buffer_print(b, "%02x", digest[i]);
    }
    kv_buffer_add_text(b, "\r\n");
}

void kv_run_holdfast(struct kv_call *c)
{
    static const struct {
        const char *name;
        void (*print)(struct kv_call *c, struct kv_buffer *b);
    } subcommands[] = {{"VIEW", print_view}, {"STATUS", print_status}, {"DIGEST", print_digest}};
    struct kv_buffer text;

    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (c->args->count == 2 && kv_args_is(c->args, 1, subcommands[i].name)) {
            kv_buffer_init(&text, 65536);
            subcommands[i].print(c, &text);
            kv_reply_bulk(c->reply, kv_buffer_bytes(&text));
            kv_buffer_deinit(&text);
            return;
        }
    }
    kv_reply_error(c->reply, "ERR HOLDFAST knows VIEW, STATUS and DIGEST");
}
