/* log_limit.h - lines of the log that a client can cause: a few of each kind a second, then one line that counts the
 * rest. */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* One kind of line: a static variable where it is written, with its event's text. Of one thread. */
struct log_limit {
	const char *event;
	uint64_t full_ns; /* when the bucket is full again; each line takes a second of it */
	uint64_t dropped;
	struct log_limit *next; /* of those that have dropped lines */
	bool listed;
};

/* True: the line may be written. Ten at once, one a second from then on. */
bool log_limit(struct log_limit *l);
/* Writes "N more like this" for the kinds that dropped lines; call it about once a second on the same thread. */
void log_limit_flush(void);

#endif
