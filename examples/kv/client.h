/* One Redis client: from its bytes to commands, and from their answers to its bytes, in order.
 *
 * Owns      its unread input, its requests that wait for answers, its unsent output.
 * Relies on resp for commands; on a service for running them.
 * Not here  sockets: server_loop moves the bytes.
 *
 * Commands are submitted as they come, without waiting for the answers of those before; answers go out in the order of
 * the commands. A command that asks only this server runs when its turn to be answered has come. When too much waits,
 * no further command is read, so the socket fills and the client feels it.
 */
#ifndef KV_CLIENT_H
#define KV_CLIENT_H

#include "examples/kv/machine.h"
#include "examples/kv/resp.h"

struct kv_client;
struct kv_request;

/* What all clients of a server share. */
struct kv_service {
    void *user;
    int (*submit)(void *user, struct base_bytes command, replica_on_answer *on_answer, void *request);
    int (*read)(void *user, replica_on_answer *on_ready, void *request);
    void (*on_stir)(void *user, struct kv_client *client); /* it has output, or can go on: call kv_client_go soon */
    void (*on_room)(void *room_user); /* a client has left room for others, some of which are held; NULL: nobody */
    void *room_user;
    struct kv_machine *machine;
    const struct kv_about *about;
    size_t pending_bytes; /* of commands of all clients that wait for answers */
    size_t input_bytes;   /* of unfinished commands of all clients */
    uint64_t commands;    /* taken so far */
    uint64_t protocol_errors;
    bool has_held;              /* some client waits for room: go on with all of them when there is some */
    struct kv_request *waiting; /* all that wait for the order, also those whose client has gone */
};

/* Forgets all requests: nobody will answer them any more. After the last client. */
void kv_service_deinit(struct kv_service *s);

struct kv_client {
    struct kv_service *service;
    struct kv_resp in;
    struct kv_buffer out;
    struct kv_request *first; /* requests in the order of the commands */
    struct kv_request **end;
    size_t pending; /* requests */
    size_t pending_bytes;
    size_t pending_reply;   /* about what they will bring */
    size_t input_bytes;     /* as counted in the service */
    struct base_bytes held; /* a command that was read and waits for room; data NULL: none */
    bool waits_for_output;  /* it is room in the output that the held command waits for */
    bool has_ended;         /* the client sends no more */
    bool is_ending;         /* no further command is read; done when all is answered and sent */
    bool is_over;           /* its unsent output passed the limit: close it */
    const char *error;      /* why it is ending, if it did wrong: static or in `in` */
};

void kv_client_init(struct kv_client *c, struct kv_service *service);

/* Its commands that were submitted still run; nobody is told. */
void kv_client_deinit(struct kv_client *c);

/* Takes input and goes on. */
void kv_client_receive(struct kv_client *c, const void *data, size_t size);

/* The client will send no more: what it asked for is still answered. */
void kv_client_end(struct kv_client *c);

/* Reads and answers as far as possible now. */
void kv_client_go(struct kv_client *c);

/* Whether the held command can go on, since the output has become smaller: call kv_client_go. */
bool kv_client_can_go(const struct kv_client *c);

/* Whether input would be used; if not, leave it in the socket. */
bool kv_client_wants_input(const struct kv_client *c);

/* Everything is answered and sent, and no more comes. */
bool kv_client_is_done(const struct kv_client *c);

#endif
