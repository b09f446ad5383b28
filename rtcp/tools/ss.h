/* rtcp-ss: the streams of running processes, asked at their admin sockets (rtcp/admin.h).
 *
 *   ss.c        command line, asking, rounds of --watch
 *   ss_table.c  flat JSON lines as an aligned table
 *
 * Owns      how an answer is shown.
 * Relies on the lines that rtcp/admin.h describes, and on nothing else of the library.
 * Not here  changes to the process that is asked: there are none.
 */
#ifndef HOLDFAST_RTCP_SS_H
#define HOLDFAST_RTCP_SS_H

#include <stdbool.h>
#include <stddef.h>

/* The value of a field of one line, without quotes, into text of size bytes; false: it is not there, or the line is no
 * flat object. Escapes stay as they are. */
bool ss_table_field(const char *line, const char *key, char *text, size_t size);

/* Prints lines (each ends with \n; the whole ends with \0) as a table on standard output, with its head. */
void ss_table_sessions(const char *lines);
/* Prints each line as "name value" lines. */
void ss_table_stats(const char *lines);

#endif
