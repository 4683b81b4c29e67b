/* bench_report.h - what a load test measured, and how it is shown. Times in milliseconds. */
#ifndef RPC_CLI_BENCH_REPORT_H
#define RPC_CLI_BENCH_REPORT_H

#include "rpc/cli/cli.h"

struct samples {
	double *value;
	size_t n, max;
};
void samples_add(struct samples *s, double value, int times);
void samples_sort(struct samples *s);

enum { BENCH_CODES = 17 };

struct bench_result {
	int sent, done, failed;
	int errors[BENCH_CODES]; /* by -ERR_* */
	uint64_t prompt_tokens, output_tokens, cached_tokens;
	double seconds;                       /* from the first request sent to the last answer */
	struct samples first, between, whole; /* first token; between tokens of an answer; whole answers */
	char *model, *numerics_class;
	unsigned ranks;
	bool interrupted;
};
void bench_finish(struct bench_result *b);

void bench_table(const struct args *a, const struct bench_result *b);
json_t *bench_json(const struct args *a, const struct bench_result *b);

#endif
