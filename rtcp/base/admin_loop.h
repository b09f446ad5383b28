/* The admin socket of a process: who runs it may ask it questions, one line each, and gets lines of JSON.
 *
 * Owns      the local socket and its file, the clients, the list of commands, and how an answer is written.
 * Relies on libev; commands that the layers add, each for its own objects. Everything runs on the loop's thread.
 * Not here  what is answered.
 *
 * Protocol  A client sends a command and a line end. The answer is any number of lines, each one flat JSON object,
 *           and a last one {"end":"COMMAND","lines":N}; a command nobody knows is answered with {"error":"..."}
 *           and the end. "help" lists the commands. Times are in seconds. Fields may be added at any time, never
 *           renamed. Limits below. A client that reads too slowly, sends a line that is too long, or is one too many
 *           is hung up on; others than the own user and root are, too.
 */
#ifndef HOLDFAST_BASE_ADMIN_LOOP_H
#define HOLDFAST_BASE_ADMIN_LOOP_H

#include "rtcp/base/status.h"
#include "rtcp/base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define BASE_ADMIN_CLIENTS_MAX  8
#define BASE_ADMIN_COMMANDS_MAX 32
#define BASE_ADMIN_LINE_MAX     256         /* bytes of a command with its line end */
#define BASE_ADMIN_ANSWER_MAX   (16u << 20) /* bytes; what is more is left out, and a line says so */
#define BASE_ADMIN_PATIENCE     BASE_S(5)   /* how long a client may take no byte of its answer */

struct ev_loop;
struct holdfast_admin;    /* public by this name: rtcp/admin.h */
struct base_admin_answer; /* being written */

/* Answers a command: any number of lines, all of them now. Must not close the socket. */
typedef void base_admin_command(void *user, struct base_admin_answer *answer);

/* Opens the socket at path, mode 0600. A socket file that a dead process left is replaced.
 *
 *   returns 0; BASE_E_INVALID (no path, or longer than a socket address takes), BASE_E_EXISTS (a live process answers
 *           there, or the file is no socket), BASE_E_NOMEM, BASE_E_SYSTEM (errno). */
BASE_MUST_USE int base_admin_open(struct ev_loop *loop, const char *path, struct holdfast_admin **ret_admin);

/* Hangs up on all clients and removes the file. Accepts NULL. */
void base_admin_close(struct holdfast_admin *admin);

/* In a child process, instead of base_admin_close: closes its copies of the descriptors and touches nothing else, so
 * that the file does not seem alive when the parent is not. Accepts NULL. */
void base_admin_close_copies(const struct holdfast_admin *admin);

/* Adds a command: a static word. Two of the same name answer one after the other, into one answer.
 * 0 or BASE_E_RANGE (too many). */
BASE_MUST_USE int base_admin_add(struct holdfast_admin *admin, const char *name, base_admin_command *command,
                                 void *user);

/* Takes all commands of a user out again. */
void base_admin_remove(struct holdfast_admin *admin, const void *user);

/* One line of an answer: begin, fields, end. Keys are static words; texts are escaped. */
void base_admin_begin(struct base_admin_answer *answer);
void base_admin_text(struct base_admin_answer *answer, const char *key, const char *text);
void base_admin_number(struct base_admin_answer *answer, const char *key, uint64_t value);
void base_admin_hex(struct base_admin_answer *answer, const char *key, uint64_t value); /* as text, 16 digits */
void base_admin_time(struct base_admin_answer *answer, const char *key, base_time value);
void base_admin_bool(struct base_admin_answer *answer, const char *key, bool value);
void base_admin_end(struct base_admin_answer *answer);

#endif
