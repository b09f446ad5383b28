/* The command line of transfer.
 *
 * Owns      the settings and the text of --help.
 * Relies on nothing of the library but the limits of its options.
 * Not here  what the settings do: examples/transfer.c.
 */
#ifndef HOLDFAST_EXAMPLES_TRANSFER_OPTIONS_H
#define HOLDFAST_EXAMPLES_TRANSFER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct transfer_settings {
    bool is_server;
    const char *address;
    const char *in;      /* file to send, or NULL */
    uint64_t generate;   /* bytes to make up and send when there is no file */
    const char *out;     /* file for what arrives, or NULL */
    const char *service; /* name of the service, or NULL */
    const char *key;     /* file of the pre-shared key, or NULL */
    const char *admin;   /* path of the admin socket, or NULL */
    uint64_t rate;       /* bytes a second sent at most; 0: as many as possible */
    uint64_t read_rate;  /* bytes a second read at most; 0: as many as possible */
    uint32_t ring;
    double idle_probe; /* seconds; 0: the default */
    bool retry;        /* client: wait for a server that is not there yet */
    bool hold;         /* do not end the own direction */
    bool keep;         /* server: go on after the first stream */
    bool watch;        /* progress events on stdout */
    bool is_quiet;
};

/* Reads the command line into *s, whose members are zero before; the texts stay those of argv. False after a message
 * on stderr. --help prints and ends the program. */
bool transfer_parse(int argc, char **argv, struct transfer_settings *s);

#endif
