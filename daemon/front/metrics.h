/* metrics.h - what the front thread counts, and the Prometheus text of it (format 0.0.4). Names are vLLM's under the
 * prefix xverse_, so that a dashboard ports by replacing its prefix. Front thread only. */
#ifndef DAEMON_FRONT_METRICS_H
#define DAEMON_FRONT_METRICS_H

#include <stdio.h>

#include "base/base.h"

enum { METRICS_BOUNDS = 24, METRICS_CODES = 17 };

/* Of seconds. count[i]: values above bound i - 1, up to bound i; count[n]: values above all bounds. */
struct front_histogram {
	const double *bound; /* (n) ascending */
	int n;
	uint64_t count[METRICS_BOUNDS + 1];
	double sum;
};
void front_histogram_add(struct front_histogram *h, double seconds, uint64_t times);

struct front_metrics {
	struct front_histogram first_token, inter_token, e2e, queue, prefill, decode;
	uint64_t finished[6];           /* by enum xv_finish */
	uint64_t errors[METRICS_CODES]; /* by -ERR_* */
	uint64_t failed, requests; /* calls that began and ended with an error; Generate, Chat and Score requests */
	uint64_t resumed;          /* calls that go on with an earlier stream */
};
void front_metrics_init(struct front_metrics *m);

#endif
