/* metrics.h - what the front thread counts, and all of it as Prometheus text (format 0.0.4; names as vLLM's
 * under our own prefix, so that dashboards port by replacing it). Front thread only. */
#ifndef DAEMON_FRONT_METRICS_H
#define DAEMON_FRONT_METRICS_H

#include <stdio.h>

#include "base/base.h"

enum { METRICS_BOUNDS = 24, METRICS_CODES = 17 };

/* Seconds. count[i]: values up to bound i, not of the bounds before it; the last one: above all. */
struct front_histogram {
	const double *bound; /* (n) rising */
	int n;
	uint64_t count[METRICS_BOUNDS + 1];
	double sum;
};
void front_histogram_add(struct front_histogram *h, double seconds, uint64_t times);

struct front_metrics {
	struct front_histogram first_token, inter_token, e2e, queue, prefill, decode;
	uint64_t finished[6];           /* by enum rpc_finish */
	uint64_t errors[METRICS_CODES]; /* by -ERR_* */
	uint64_t failed, requests;      /* calls that began and ended with an error; Generate and Score asked for */
	uint64_t resumed;               /* of the requests: they began elsewhere */
};
void front_metrics_init(struct front_metrics *m);
struct rpc_request;
void front_metrics_count(struct front_metrics *m,
			 const struct rpc_request *r); /* one that asks for Generate, Chat or Score */

struct front;
/* The whole text; free() it. */
char *front_metrics_text(const struct front *f, size_t *len);

#endif
