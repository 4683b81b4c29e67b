/* counts.h - what the HTTP side counts, for /metrics. */
#ifndef RPC_GATEWAY_HTTP_COUNTS_H
#define RPC_GATEWAY_HTTP_COUNTS_H

#include <stdint.h>

struct http_counts {
	uint64_t by_class[6]; /* responses by the first digit of their status */
	uint64_t streams, pings, hang_ups, stalls, deadlines, log_lost;
	uint64_t refused_filter, refused_key, refused_framing, refused_memory;
	int connections, exchanges; /* open now */
	int64_t held;               /* bytes that all exchanges hold now */
};

#endif
