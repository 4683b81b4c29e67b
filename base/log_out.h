/* log_out.h - the way of a log line to standard error; private to parallel/. */
#ifndef BASE_LOG_OUT_H
#define BASE_LOG_OUT_H

#include <stddef.h>
#include <stdint.h>

/* Never waits: a line for which there is no room is counted, and lost_line() writes one that says how many, newline
 * included, before the next line that goes out. Any thread. */
void log_out(const char *line, size_t n, size_t (*lost_line)(char *out, size_t size, uint64_t lost));

#endif
