/* rtcp-cat: standard input into a robust stream, and the stream to standard output.
 *
 *   cat.c          the program: one stream, two directions, how it ends
 *   cat_options.c  command line
 *   cat_pipe.c     standard input and output that never block the loop
 *   cat_report.c   what is said on standard error, as text or JSON lines
 *
 * Owns      how a stream and two descriptors are joined, with back-pressure both ways.
 * Relies on the public headers of rtcp and on libev.
 * Not here  connections, retries, cuts: that is what the library is for.
 */
#ifndef HOLDFAST_RTCP_CAT_H
#define HOLDFAST_RTCP_CAT_H

#include "rtcp/rtcp.h"

#include <stdarg.h>
#include <sys/types.h>

/* ------------------------------------------------------------------------------------------------ cat_options.c */

struct cat_options {
    bool is_listening;
    bool retry;
    bool progress;
    bool json;
    const char *address;
    const char *service;
    const char *key_file;
    const char *admin;
    uint32_t key_id;
    uint32_t ring; /* 0: the library's default */
};

/* 0; 2 after a message on standard error. --help and --version print and end the program. */
int cat_options_parse(struct cat_options *o, int argc, char **argv);

/* ------------------------------------------------------------------------------------------------ cat_pipe.c */

/* One of the standard descriptors. */
struct cat_pipe {
    int fd;
    bool is_socket;
    bool is_terminal;
    bool may_block; /* passes one portion, and only after the loop said that it is ready */
};

/* Descriptors 0 to 2 that the caller closed become ones that fail when used, so that no socket gets their number. */
void cat_pipe_fill_holes(void);

/* Makes fd safe for the loop without touching its flags, which other processes may share: a pipe or terminal is opened
 * anew; where that is not allowed, small portions do. */
void cat_pipe_open(struct cat_pipe *p, int fd, bool is_input);

/* As read and write, but never blocking: EAGAIN (in errno) instead, and no SIGPIPE with sockets. */
ssize_t cat_pipe_read(const struct cat_pipe *p, void *at, size_t size);
ssize_t cat_pipe_write(const struct cat_pipe *p, const void *at, size_t size);

/* Ends it, so that its other end sees the end; 0, or -1 and errno: a file system may tell of a lost write only here. */
int cat_pipe_close(struct cat_pipe *p);

/* ------------------------------------------------------------------------------------------------ cat_report.c */

struct cat_report {
    bool progress;
    bool json;
    bool is_terminal; /* standard error: the progress line is drawn over */
    bool has_line;    /* a progress line is open */
    base_time began, last_at, down_at;
    uint64_t last_sent, last_received;
};

void cat_report_init(struct cat_report *r, const struct cat_options *o);
/* An error: always said. */
__attribute__((format(printf, 2, 3))) void cat_report_error(struct cat_report *r, const char *format, ...);
void cat_report_listening(struct cat_report *r, const char *address);
void cat_report_link(struct cat_report *r, const struct rtcp_stream *stream, bool up);
void cat_report_evidence(struct cat_report *r, enum rtcp_evidence evidence);
void cat_report_progress(struct cat_report *r, const struct rtcp_info *info);
/* The totals; unacknowledged as on_closed told it. */
void cat_report_done(struct cat_report *r, const struct rtcp_info *info, bool is_ok, int status,
                     uint64_t unacknowledged);
/* "12.3 MiB" */
#define CAT_SIZE_TEXT 32
const char *cat_report_size(char text[CAT_SIZE_TEXT], double bytes);

#endif
