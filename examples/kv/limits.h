/* All limits of the key-value server in one place.
 *
 * Owns      the numbers and how they relate.
 * Relies on replication.h for the size of a command.
 */
#ifndef KV_LIMITS_H
#define KV_LIMITS_H

#include "replication/replication.h"

#define KV_BULK_MAX      ((size_t)1 << 20)   /* bytes of one argument, and of a value that APPEND makes */
#define KV_ARGS_MAX      ((size_t)1 << 16)   /* arguments of one command */
#define KV_COMMAND_MAX   ((size_t)8 << 20)   /* bytes of one command as it stands in the log */
#define KV_INLINE_MAX    ((size_t)64 << 10)  /* bytes of one inline command */
#define KV_HEAD_MAX      ((size_t)32)        /* bytes of a line that holds a length */
#define KV_REPLY_MAX     ((size_t)16 << 20)  /* bytes of one reply */
#define KV_PENDING_MAX   ((size_t)1024)      /* commands of one client that wait for their answers */
#define KV_PENDING_BYTES ((size_t)1 << 20)   /* bytes of those, where there is more than one */
#define KV_PENDING_TOTAL ((size_t)16 << 20)  /* bytes of those of all clients, where there is more than one */
#define KV_PENDING_REPLY ((size_t)4 << 20)   /* bytes of replies that a client's waiting commands will about bring */
#define KV_INPUT_TOTAL   ((size_t)32 << 20)  /* bytes of unfinished commands of all clients; */
#define KV_INPUT_SMALL   ((size_t)64 << 10)  /* a client with no more than this may always finish its command */
#define KV_OUTPUT_SOFT   ((size_t)256 << 10) /* unsent bytes of a client above which its commands wait */
#define KV_OUTPUT_MAX    ((size_t)32 << 20)  /* unsent bytes of a client above which it is closed */
#define KV_CLIENTS_MAX   4000                /* clients at once, unless an option says fewer */

_Static_assert(KV_COMMAND_MAX <= REPLICA_COMMAND_MAX, "every command fits the log");
_Static_assert(KV_BULK_MAX < KV_COMMAND_MAX, "every argument fits a command");
_Static_assert(KV_INLINE_MAX <= KV_BULK_MAX, "an inline command is one line of arguments");
_Static_assert(KV_BULK_MAX + 64 < KV_REPLY_MAX, "every value fits a reply");
_Static_assert(KV_REPLY_MAX < KV_OUTPUT_MAX, "every reply fits the output");

#endif
