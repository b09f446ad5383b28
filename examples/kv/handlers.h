/* What each command does. See command.h for the table that names them. */
#ifndef KV_HANDLERS_H
#define KV_HANDLERS_H

#include "examples/kv/command.h"

/* strings.c */
kv_handler kv_run_append;
kv_handler kv_run_decr;
kv_handler kv_run_decrby;
kv_handler kv_run_get;
kv_handler kv_run_getset;
kv_handler kv_run_incr;
kv_handler kv_run_incrby;
kv_handler kv_run_mget;
kv_handler kv_run_mset;
kv_handler kv_run_set;
kv_handler kv_run_setnx;
kv_handler kv_run_strlen;

/* keys.c */
kv_handler kv_run_dbsize;
kv_handler kv_run_del;
kv_handler kv_run_exists;
kv_handler kv_run_flushall;
kv_handler kv_run_keys;
kv_handler kv_run_scan;
kv_handler kv_run_type;

/* local.c */
kv_handler kv_run_command;
kv_handler kv_run_config;
kv_handler kv_run_echo;
kv_handler kv_run_hello;
kv_handler kv_run_info;
kv_handler kv_run_ping;
kv_handler kv_run_quit;
kv_handler kv_run_select;

/* holdfast.c */
kv_handler kv_run_holdfast;

#endif
