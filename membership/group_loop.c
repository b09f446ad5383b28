/* Implements membership.h: opening and closing a group, and the calls of its user. Turns are in turn_loop.c.
 *
 * A volatile member: its memory is all it has, so its incarnation is drawn at every start and PERSIST is answered at
 * once. See PROTOCOL.md.
 */
#include "membership/group_inside_loop.h"
#include "membership/memory_loop.h"
#include "membership/view.h"

#include "rtcp/base/clock_loop.h"

#include <sodium.h>

#define GROUP_NUMBER    1u /* of the group on its links; more of them may share one mesh later */
#define FOUND_REPEAT    BASE_MS(500)
#define TIMEOUT_DEFAULT BASE_MS(600)
#define TIMEOUT_MIN     BASE_MS(100)
#define TIMEOUT_MAX     BASE_S(60)
#define LOG_DEFAULT     ((size_t)256 << 20)
#define LOG_MIN         ((size_t)1 << 20)
#define PENDING_DEFAULT 65536u
#define PENDING_MAX     ((size_t)1 << 24)
#define KEY_MIN         16u
#define KEY_MAX         64u

void group_options_default(struct group_options *o)
{
    *o = (struct group_options){
        .election_timeout = TIMEOUT_DEFAULT, .log_bytes_max = LOG_DEFAULT, .pending_max = PENDING_DEFAULT};
}

/* ---------------------------------------------------------------------------------------------------- options */

static int check_options(const struct group_options *o)
{
    size_t name = o->name == NULL ? 0 : strlen(o->name);

    if (name < 1 || name > GROUP_NAME_MAX || o->member == NULL) {
        return BASE_E_INVALID;
    }
    if (o->member_count < 1 || o->member_count > GROUP_MEMBERS_MAX || o->election_timeout < TIMEOUT_MIN ||
        o->election_timeout > TIMEOUT_MAX) {
        return BASE_E_RANGE;
    }
    if (o->log_bytes_max < LOG_MIN || o->pending_max < 1 || o->pending_max > PENDING_MAX) {
        return BASE_E_RANGE;
    }
    return o->key != NULL && (o->key_size < KEY_MIN || o->key_size > KEY_MAX) ? BASE_E_RANGE : 0;
}

/* Puts a member in its place by id. */
static int take_member(struct group *g, const struct group_address *from)
{
    size_t size = from->address == NULL ? 0 : strlen(from->address);
    uint32_t at = g->count;

    if (from->id < 1 || from->id > VIEW_ID_MAX || size < 1 || size >= GROUP_ADDRESS_SIZE) {
        return BASE_E_INVALID;
    }
    while (at > 0 && g->member[at - 1].id >= from->id) {
        if (g->member[at - 1].id == from->id) {
            return BASE_E_INVALID;
        }
        g->member[at].id = g->member[at - 1].id;
        base_copy(g->address[at], g->address[at - 1], GROUP_ADDRESS_SIZE);
        at--;
    }
    g->member[at].id = from->id;
    base_zero(g->address[at], GROUP_ADDRESS_SIZE);
    base_copy(g->address[at], from->address, size);
    g->count++;
    return 0;
}

static int take_members(struct group *g, const struct group_options *o)
{
    bool has_self = false;

    for (uint32_t i = 0; i < o->member_count; i++) {
        int status = take_member(g, &o->member[i]);

        if (status != 0) {
            return status;
        }
        has_self = has_self || o->member[i].id == o->self;
    }
    for (uint32_t i = 0; i < g->count; i++) {
        g->member[i].address = g->address[i];
    }
    return has_self ? 0 : BASE_E_INVALID;
}

static const char *address_of(const struct group *g, uint32_t id)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->member[i].id == id) {
            return g->address[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------- opening */

/* Never from the seed: two lives, or two processes, must not have the same (P of G7). */
static uint64_t draw_incarnation(void)
{
    uint64_t number = 0;

    while (number == 0) {
        randombytes_buf(&number, sizeof number);
    }
    return number;
}

static void make_self(struct group *g, const struct group_options *o)
{
    g->self = (struct hello_self){
        .id = o->self,
        .incarnation = draw_incarnation(),
        .name = hello_name_hash(o->name),
        .token = o->token,
        .founders = g->is_open_only ? 0 : found_founders_hash(g->member, g->count),
        .count = g->count,
    };
    g->self.life = g->self.incarnation; /* volatile: one life of the process is one of its memory */
    for (uint32_t i = 0; i < g->count; i++) {
        g->self.member[i] = g->member[i].id;
    }
}

static int open_found(struct group *g, const struct group_options *o)
{
    struct found_options f = {.name = o->name,
                              .token = o->token,
                              .self = o->self,
                              .incarnation = g->self.incarnation,
                              .id = g->self.member,
                              .count = g->count,
                              .is_founder = !g->is_open_only,
                              .repeat = FOUND_REPEAT,
                              .trace = o->trace};

    return found_init(&g->found, &f, base_clock_now());
}

static int open_order(struct group *g, const struct group_options *o)
{
    struct order_image image = order_image_fresh();
    struct order_options options;

    order_options_default(&options);
    options.memory = g->memory;
    options.self = o->self;
    options.incarnation = g->self.incarnation;
    options.group = GROUP_NUMBER;
    options.election_timeout = o->election_timeout;
    options.log_bytes_max = o->log_bytes_max;
    options.pending_max = o->pending_max;
    options.seed = o->seed != 0 ? o->seed + o->self : g->self.incarnation;
    options.trace = o->trace;
    return order_open(&options, &image, base_clock_now(), &g->order);
}

static int open_mesh(struct group *g, const struct group_options *o)
{
    struct mesh_options m = {.memory = g->memory,
                             .name = g->name,
                             .listen = o->listen != NULL ? o->listen : address_of(g, o->self),
                             .self = &g->self,
                             .member = g->member,
                             .count = g->count,
                             .key = o->key,
                             .key_size = o->key_size,
                             .seed = o->seed != 0 ? o->seed + o->self : 0,
                             .trace = o->trace};

    return mesh_open(g->loop, &m, group_turn_mesh_callbacks(), g, &g->mesh);
}

static void start_watchers(struct group *g)
{
    ev_prepare_init(&g->prepare, group_turn_on_prepare);
    g->prepare.data = g;
    ev_prepare_start(g->loop, &g->prepare);
    ev_timer_init(&g->timer, group_turn_on_timer, 0., 0.);
    g->timer.data = g;
    ev_idle_init(&g->awake, group_turn_on_idle);
    group_turn_due(g); /* a founder that is alone has something to tell at once */
}

static int open_parts(struct group *g, const struct group_options *o)
{
    int status = take_members(g, o);

    if (status != 0) {
        return status;
    }
    if (sodium_init() < 0) {
        return BASE_E_SYSTEM;
    }
    make_self(g, o);
    status = open_found(g, o);
    if (status == 0) {
        status = open_order(g, o);
    }
    return status == 0 ? open_mesh(g, o) : status;
}

static int open_group(struct ev_loop *loop, const struct group_options *o, const struct group_callbacks *callbacks,
                      void *user, bool is_open_only, struct group **ret_group)
{
    int status = check_options(o);
    struct group *g;

    if (status != 0) {
        return status;
    }
    g = base_memory_new(memory_of_group(), 1, sizeof *g);
    if (g == NULL) {
        return BASE_E_NOMEM;
    }
    g->loop = loop;
    g->memory = memory_of_group();
    g->callbacks = *callbacks;
    g->user = user;
    g->trace = o->trace;
    g->is_open_only = is_open_only;
    g->log_bytes_max = o->log_bytes_max;
    base_copy(g->name, o->name, strlen(o->name));
    status = open_parts(g, o);
    if (status != 0) {
        order_close(g->order);
        base_memory_free(g->memory, g);
        return status;
    }
    start_watchers(g);
    *ret_group = g;
    return 0;
}

int group_found(struct ev_loop *loop, const struct group_options *options, const struct group_callbacks *callbacks,
                void *user, struct group **ret_group)
{
    return open_group(loop, options, callbacks, user, false, ret_group);
}

int group_open(struct ev_loop *loop, const struct group_options *options, const struct group_callbacks *callbacks,
               void *user, struct group **ret_group)
{
    return open_group(loop, options, callbacks, user, true, ret_group);
}

void group_close(struct group *g)
{
    if (g == NULL) {
        return;
    }
    ev_prepare_stop(g->loop, &g->prepare);
    ev_timer_stop(g->loop, &g->timer);
    ev_idle_stop(g->loop, &g->awake);
    if (!g->is_out) {
        group_turn_say_goodbye(g); /* so that the others elect at once */
    }
    mesh_close(g->mesh);
    order_close(g->order);
    group_view_release(g->view);
    base_memory_free(g->memory, g);
}

/* ---------------------------------------------------------------------------------------------------- use */

int group_broadcast(struct group *g, struct base_bytes data, uint64_t *ret_number)
{
    int status;

    if (g->is_out) {
        return BASE_E_EXCLUDED;
    }
    status = order_submit(g->order, data, base_clock_now(), ret_number);
    group_turn_due(g);
    return status == BASE_E_CLOSED ? BASE_E_EXCLUDED : status; /* stopped: on_excluded is on its way */
}

const struct group_view *group_view(const struct group *g)
{
    return g->view;
}

static void fill_member(const struct group *g, struct group_member_stats *s)
{
    struct mesh_member_stats m;

    if (s->id == g->self.id) {
        s->link_up = true;
        return;
    }
    mesh_stats(g->mesh, s->id, &m);
    s->link_up = m.path_up;
    s->links = m.paths;
    s->unacknowledged = m.unacknowledged;
    s->silent = m.silent;
}

void group_stats(const struct group *g, struct group_stats *ret_stats)
{
    order_stats(g->order, ret_stats);
    ret_stats->self = g->self.id;
    ret_stats->delivered = g->delivered;
    ret_stats->views = g->views;
    if (ret_stats->count == 0) { /* no view yet: the founders */
        ret_stats->count = g->count;
        for (uint32_t i = 0; i < g->count; i++) {
            ret_stats->member[i].id = g->member[i].id;
        }
    }
    for (uint32_t i = 0; i < ret_stats->count; i++) {
        fill_member(g, &ret_stats->member[i]);
    }
}
