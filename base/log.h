/* log.h - log lines, on standard error or handed to a sink.
 *
 * A line has a time, the rank (or the program's name), a level and event="what happened", then data as fields. No line
 * waits for a reader: what standard error has no room for is counted and left out. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init(int rank, enum log_level level); /* rank -1: the process is no rank */
void log_level_set(enum log_level level);
void log_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg); /* NULL: stderr */
/* The whole message is the event. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `fields` is a format that begins with a space: " seconds=%.2f model=\"%s\"". NULL: no fields. */
void log_event(enum log_level level, const char *event, const char *fields, ...) __attribute__((format(printf, 3, 4)));

#endif
