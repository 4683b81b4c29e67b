/* log_out.h - writes log lines to standard error; private to log.c. */
#ifndef BASE_LOG_OUT_H
#define BASE_LOG_OUT_H

#include <stddef.h>
#include <stdint.h>

/* Never blocks: a line for which standard error has no room is dropped and counted. Before the next line that is
 * written, lost_line() formats a line, newline included, with the count. Any thread. */
void log_out(const char *line, size_t n, size_t (*lost_line)(char *out, size_t size, uint64_t lost));

#endif
