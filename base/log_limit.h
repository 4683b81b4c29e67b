/* log_limit.h - bounds log lines that clients can cause: a few of each kind a second, then one line that counts the
 * rest. */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* One kind of line: a static variable beside the code that logs it, used by one thread. */
struct log_limit {
	const char *event;
	uint64_t full_ns; /* token bucket: when it is full again; each line costs a second */
	uint64_t dropped;
	struct log_limit *next; /* list of kinds that have dropped lines */
	bool listed;
};

/* True: the line may be written. Ten at once, one a second from then on. */
bool log_limit(struct log_limit *l);
/* Writes "N more like this" for the kinds that dropped lines; call it about once a second on the same thread. */
void log_limit_flush(void);

#endif
