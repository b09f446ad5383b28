/* See pages.h. */
#include "tests/sim/pages.h"

#include "rtcp/base/check.h"
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/base/status.h"
#include "tests/sim/real.h"

#include <stdlib.h>
#include <string.h>

#define FD_FIRST 1000000 /* descriptors of rings: far from those of sockets */

struct reference {
    struct reference *next;
    uint64_t offset;
    const uint8_t *page;
    size_t size;
};

struct sim_pages {
    struct reference *first, *last;
};

/* Their memory is never used again in this world: a queue may still refer to it. */
struct ring {
    uint8_t *at;
    size_t size;
    int node;
    uint32_t life;
    bool is_open;
};

static struct {
    struct ring *at;
    int count, room;
} rings;

const struct base_ringmem_source *__wrap_base_ringmem_pages(void);

/* ------------------------------------------------------------------------------------------------ references */

struct sim_pages *sim_pages_new(void)
{
    return sim_object_new(sizeof(struct sim_pages));
}

void sim_pages_refer(struct sim_pages *p, uint64_t offset, const uint8_t *page, size_t size)
{
    struct reference *r = sim_object_new(sizeof *r);

    *r = (struct reference){NULL, offset, page, size};
    if (p->last != NULL) {
        p->last->next = r;
    } else {
        p->first = r;
    }
    p->last = r;
}

static void drop_first(struct sim_pages *p)
{
    struct reference *r = p->first;

    p->first = r->next;
    if (p->first == NULL) {
        p->last = NULL;
    }
    sim_object_free(r);
}

void sim_pages_show(struct sim_pages *p, uint64_t offset, uint8_t *data, size_t size)
{
    uint64_t end = offset + size;

    while (p->first != NULL && p->first->offset < end) {
        const struct reference *r = p->first;
        uint64_t from = r->offset > offset ? r->offset : offset;
        uint64_t upto = r->offset + r->size < end ? r->offset + r->size : end;

        if (from < upto) {
            memcpy(data + (from - offset), r->page + (from - r->offset), (size_t)(upto - from));
        }
        if (r->offset + r->size > end) {
            return;
        }
        drop_first(p);
    }
}

/* ------------------------------------------------------------------------------------------------ rings */

static int take_ring(void *user, size_t size, struct base_ringmem *ret_ring)
{
    struct ring *r;

    (void)user;
    if (rings.count == rings.room) {
        rings.room = rings.room == 0 ? 64 : rings.room * 2;
        rings.at = real_realloc(rings.at, (size_t)rings.room * sizeof *rings.at);
        CHECK(rings.at != NULL);
    }
    r = &rings.at[rings.count];
    *r = (struct ring){sim_object_new(size), size, sim.current->id, sim.current->life, true};
    *ret_ring =
        (struct base_ringmem){.at = r->at, .size = size, .is_mirrored = false, .handle = FD_FIRST + rings.count};
    rings.count++;
    return 0;
}

static void give_ring(void *user, struct base_ringmem *ring)
{
    struct ring *r = &rings.at[ring->handle - FD_FIRST];

    (void)user;
    CHECK(r->is_open && r->at == ring->at && r->node == sim.current->id && r->life == sim.current->life);
    r->is_open = false;
    ring->at = NULL;
}

const struct base_ringmem_source *__wrap_base_ringmem_pages(void)
{
    static const struct base_ringmem_source source = {NULL, take_ring, give_ring};

    return &source;
}

const uint8_t *sim_pages_of(int fd, size_t *ret_size)
{
    const struct ring *r = fd < FD_FIRST || fd >= FD_FIRST + rings.count ? NULL : &rings.at[fd - FD_FIRST];

    if (r == NULL || !r->is_open || r->node != sim.current->id || r->life != sim.current->life) {
        return NULL;
    }
    *ret_size = r->size;
    return r->at;
}

int sim_pages_held(const struct sim_node *node)
{
    int held = 0;

    for (int i = 0; i < rings.count; i++) {
        held += rings.at[i].is_open && rings.at[i].node == node->id && rings.at[i].life == node->life;
    }
    return held;
}

void sim_pages_begin(void)
{
    memset(&rings, 0, sizeof rings);
}

void sim_pages_end(void)
{
    real_free(rings.at); /* their memory goes with the world's objects */
    memset(&rings, 0, sizeof rings);
}
