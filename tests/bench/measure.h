/* measure.h - options, and one measurement with the limit beside it. */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include "tests/bench/limits.h"

#include <jansson.h>
#include <sched.h>
#include <stdio.h>

enum { MAX_REPS = 64 };

static struct {
	int threads, reps;
	double seconds; /* for one measurement */
	enum cpu_isa isa;
	bool cpu_clock;
	const char *only, *class, *json;
} opt = {.reps = 3, .seconds = 1, .isa = CPU_AUTO};

static struct limits limits;
static json_t *records;

/* The CPUs of this process's mask, as many as threads; NULL where there are fewer. */
static const int *bench_cpus(int threads)
{
	static int list[CPU_SETSIZE];
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof set, &set))
		return NULL;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			list[n++] = cpu;
	return n >= threads ? list : NULL;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* ---- one measurement ---- */
struct work {
	double ops, bytes; /* of one run: operations at `rate`, bytes read from memory */
	enum rate rate;
	double units; /* tokens */
};

/* The fastest that a bf16 product can be done: by its own instruction or by f32 ones, whose bits are the
 * same. */
static double probe(enum rate rate)
{
	double best = limits_probe(&limits, rate), f32;

	if (rate == RATE_BF16 && (f32 = limits_probe(&limits, RATE_FMA)) > best)
		best = f32;
	return best;
}

/* Medians, and the least time against the highest limit: what it would be on a machine of its own. */
static inline void record(const char *group, const char *class, const char *what, const struct work *w, double *seconds,
			  double *share, double *least, int reps)
{
	double s = median(seconds, reps), part = median(share, reps), best = least[0];

	for (int i = 0; i < reps; i++)
		best = least[i] < best ? least[i] : best;
	best /= seconds[0]; /* sorted */
	printf("%-6s %-6s %-30s %10.3f ms %9.1f GFLOP/s %7.2f GB/s", group, class, what, s * 1e3, w->ops / s / 1e9,
	       w->bytes / s / 1e9);
	printf(" %9.2f tokens/s  %5.1f %%  best %9.3f ms %5.1f %%\n", w->units / s, part * 100, seconds[0] * 1e3,
	       best * 100);
	fflush(stdout);
	json_array_append_new(records,
			      json_pack("{s:s,s:s,s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:i}", "group", group, "class", class,
					"what", what, "ms", s * 1e3, "gflops", w->ops / s / 1e9, "gbytes",
					w->bytes / s / 1e9, "tokens_per_s", w->units / s, "share", part, "best_ms",
					seconds[0] * 1e3, "best_share", best, "reps", reps));
}

/* Runs fn for about opt.seconds, each time after probes of the limits; the share is the limit's time over the
 * time. */
static inline void measure(const char *group, const char *class, const char *what, const struct work *w,
			   void (*fn)(void *arg, int rep), void *arg)
{
	double seconds[MAX_REPS], share[MAX_REPS], least[MAX_REPS];
	uint64_t begin = now_ns();
	int r = 0;

	fn(arg, 0); /* warm */
	while (r < MAX_REPS && (r < opt.reps || (double)(now_ns() - begin) < opt.seconds * 1e9)) {
		double read = w->bytes / probe(RATE_READ), peak = w->ops > 0 ? w->ops / probe(w->rate) : 0;
		uint64_t start = clock_ns();
		fn(arg, r + 1);
		seconds[r] = (double)(clock_ns() - start) / 1e9;
		least[r] = read > peak ? read : peak;
		share[r] = least[r] / seconds[r];
		r++;
	}
	record(group, class, what, w, seconds, share, least, r);
}

#endif
