/* See tokens.h. */
#include "rtcp/tokens.h"

#include "rtcp/base/check.h"

void rtcp_connection_init(struct rtcp_connection *c, int fd, uint32_t attempt)
{
    *c = (struct rtcp_connection){.fd = fd, .attempt = attempt};
}

bool rtcp_connection_use(struct rtcp_connection *c)
{
    if (c->is_dead) {
        return false;
    }
    CHECK(!c->is_closed && c->users < UINT32_MAX);
    c->users++;
    return true;
}

/* Nobody is inside and nobody can come in: said once in the life of a connection. */
static unsigned last_one_out(struct rtcp_connection *c)
{
    CHECK(c->is_dead && c->users == 0 && !c->is_closed);
    c->is_closed = true;
    return RTCP_ORDER_CLOSE | (c->is_frozen ? RTCP_ORDER_DRAIN | RTCP_ORDER_POST : 0u);
}

unsigned rtcp_connection_leave(struct rtcp_connection *c)
{
    CHECK(c->users > 0 && !c->is_closed);
    c->users--;
    return c->is_dead && c->users == 0 ? last_one_out(c) : 0;
}

unsigned rtcp_connection_kill(struct rtcp_connection *c, bool is_freeze)
{
    if (c->is_dead) {
        if (!is_freeze) {
            c->is_frozen = false; /* dropped while the freeze waited: nobody asks for its bytes any more */
        }
        return 0;
    }
    c->is_dead = true;
    c->is_frozen = is_freeze;
    if (c->users == 0) {
        return last_one_out(c);
    }
    c->users++; /* of the killer: else the last one out could close the number before it is shut down */
    return RTCP_ORDER_SHUTDOWN;
}

bool rtcp_connection_counts(const struct rtcp_connection *c)
{
    return !c->is_dead || c->is_frozen;
}

/* ------------------------------------------------------------------------------------------------ the reader */

bool rtcp_reader_take(struct rtcp_reader *r, bool is_again)
{
    if (r->is_taken) {
        r->waiting += is_again ? 0 : 1;
        return false;
    }
    if (is_again) {
        CHECK(r->waiting > 0);
        r->waiting--;
    }
    r->is_taken = true;
    return true;
}

static unsigned wake_reader(const struct rtcp_reader *r)
{
    return !r->is_taken && r->waiting > 0 ? RTCP_ORDER_WAKE : 0;
}

unsigned rtcp_reader_forget(struct rtcp_reader *r)
{
    CHECK(r->waiting > 0);
    r->waiting--;
    return wake_reader(r); /* the wake-up may have been meant for us: pass it on */
}

unsigned rtcp_reader_give(struct rtcp_reader *r)
{
    CHECK(r->is_taken);
    r->is_taken = false;
    return wake_reader(r);
}

/* ------------------------------------------------------------------------------------------------ the writer */

bool rtcp_writer_take(struct rtcp_writer *w, bool is_control)
{
    if (w->state == RTCP_WRITER_CONTROL && is_control) {
        return true; /* it was handed over, or kept while the kernel was full */
    }
    if (w->state != RTCP_WRITER_FREE) {
        w->has_more = true;
        return false;
    }
    w->state = is_control ? RTCP_WRITER_CONTROL : RTCP_WRITER_THREAD;
    w->has_more = false;
    return true;
}

void rtcp_writer_look(struct rtcp_writer *w)
{
    CHECK(w->state != RTCP_WRITER_FREE);
    w->has_more = false;
}

bool rtcp_writer_give(struct rtcp_writer *w)
{
    CHECK(w->state != RTCP_WRITER_FREE);
    if (w->has_more) {
        return false;
    }
    w->state = RTCP_WRITER_FREE;
    return true;
}

unsigned rtcp_writer_blocked(struct rtcp_writer *w, bool has_room)
{
    CHECK(w->state != RTCP_WRITER_FREE);
    if (w->state == RTCP_WRITER_CONTROL || !has_room) {
        return 0; /* the control thread watches the connection; a thread with bytes left waits for it itself */
    }
    w->state = RTCP_WRITER_CONTROL;
    return RTCP_ORDER_CONTROL;
}

bool rtcp_writer_may_grow(const struct rtcp_writer *w, bool is_control)
{
    return w->state == (is_control ? RTCP_WRITER_CONTROL : RTCP_WRITER_THREAD);
}
