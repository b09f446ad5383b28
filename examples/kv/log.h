/* What the server tells its operator: one line an event on standard error, as text or as JSON.
 *
 * Owns      the format and, for each kind of trouble, when it was told last: at most once a second, with a count of
 * what was left out. Relies on the wall clock.
 */
#ifndef KV_LOG_H
#define KV_LOG_H

#include "rtcp/base/time.h"
#include "rtcp/base/trace.h"

#include <stdbool.h>

/* Kinds of trouble that clients or the network can cause at will. */
enum kv_trouble {
    KV_TROUBLE_ACCEPT,
    KV_TROUBLE_CLIENTS,
    KV_TROUBLE_PROTOCOL,
    KV_TROUBLE_OUTPUT,
    KV_TROUBLE_HANDSHAKE, /* on the members' port: connections of strangers */
    KV_TROUBLE_DATAGRAM,  /* ... and their datagrams */
    KV_TROUBLES,
};

struct kv_log {
    bool is_json;
    uint32_t self;
    struct {
        base_time told;
        uint64_t left_out;
    } trouble[KV_TROUBLES];
};

/* One value of an event: a text, or a number when text is NULL. */
struct kv_field {
    const char *key;
    const char *text;
    uint64_t number;
};

/* Tells an event; fields end with a NULL key. Texts may hold anything. */
void kv_log_event(const struct kv_log *log, const char *event, const struct kv_field *fields);

/* Tells trouble, unless this kind was told within the last second. At most 6 fields. */
void kv_log_trouble(struct kv_log *log, enum kv_trouble kind, base_time now, const char *event,
                    const struct kv_field *fields);

/* Tells an event of the library: struct base_trace, with the struct kv_log as user. */
void kv_log_trace(void *user, const struct base_event *event);

/* The same, but only what strangers do to the members' port, as trouble. */
void kv_log_strangers(void *user, const struct base_event *event);

#endif
