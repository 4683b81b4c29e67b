/* bench.h - inside tests/gpu/bench: one rank's device, the model's shape and how measurements become lines. */
#ifndef TESTS_GPU_BENCH_H
#define TESTS_GPU_BENCH_H

#include "engine/cuda/cuda.h"
#include "engine/models/model.h"
#include "engine/sample/sample.h"
#include "parallel/comm.h"
#include "parallel/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEAT = 15 };

struct bench_options {
	bool tiny, fixed;
	int layers, ranks, rank;
	bool default_l1;  /* L1 and shared memory are split as the driver likes */
	const char *only; /* parts to run, separated by commas; NULL: all */
	const char *label;
};

struct bench {
	struct bench_options how;
	struct backend *b;
	struct comm *comm;
	struct model *m;
	struct kv kv;
	struct step step;
	struct model_config cfg;
	struct step_limits lim;
	struct world world;
	struct sampling sampling;
	int context, repeat;
	int nodes;                 /* calls of an operation in one CUDA graph */
	float *logits;             /* device (lim.rows, vocab); rank 0 */
	double copy, read, flops;  /* ceilings: bytes/s moved, bytes/s read, FLOP/s; 0: not measured */
	bool e4m3;                 /* the device has products of e4m3 numbers */
	bool can_overlap, overlap; /* whether kernels may overlap: as the device can; now */
	bool graphs;               /* as the backend was made */
	uint16_t *random;          /* RANDOM 16-bit numbers (bf16) of about normal size */
	int profile;               /* --profile: kernels that were marked for a profiler so far; -1: it measures */
};
enum { RANDOM = 1 << 22 };

static inline struct cuda *device(struct bench *t)
{
	return cuda_of(t->b);
}

/* ---- bench.c ---- */
/* Prints a line: name, time in us, rate, unit, % of the ceiling (0: there is none). */
void bench_line(struct bench *t, const char *name, double seconds, double amount, double ceiling, const char *unit);
void bench_say(struct bench *t, const char *name, const char *text);
bool bench_wants(const struct bench *t, const char *part);
/* What is measured: enqueues call i. */
typedef void bench_call(struct bench *t, int i, void *arg);
/* Returns the median seconds of one call, by events around it. */
double bench_time(struct bench *t, bench_call *fn, void *arg);
/* Returns the median seconds of one of the calls that follow each other in a CUDA graph, so that no launch by the
 * host is in it. With --profile it marks one call for the profiler instead, and returns 0. */
double bench_nodes(struct bench *t, bench_call *fn, void *arg);
void bench_overlap(struct bench *t, bool on);
/* Device memory full of random 16-bit numbers. */
void *bench_random(struct bench *t, size_t bytes);
/* Matrices with random numbers, all alike: only their addresses matter to the caches. */
void bench_weights(struct bench *t, struct weight **w, int count, int n, int k, enum quant quant, bool paired);
/* A cache for n_layers with random numbers. */
void bench_cache(struct bench *t, const struct kv_shape *shape, int n_layers, int n_blocks);
/* Plans a step of `seqs` sequences with `fresh` new tokens each, the last of `context`. */
void bench_plan(struct bench *t, int seqs, int fresh, int context, int rows);
double bench_kv_number(enum dtype type, int head_dim); /* bytes that a number of the cache takes, scales included */

/* ---- the parts ---- */
void bench_ceilings(struct bench *t);
void bench_gaps(struct bench *t);
void bench_steps(struct bench *t);
void bench_layer(struct bench *t);   /* each kernel of a layer, as far as its part is wanted */
void bench_profile(struct bench *t); /* the kernels that a profiler looks at, one call each */

/* ---- ranks.c ---- */
/* Forks the other ranks and fills in `world`; each process returns with its own rank. */
void ranks_fork(struct bench_options *how);
/* Rank 0 waits for the others; returns whether all ended well. */
bool ranks_wait(const struct bench_options *how);

/* ---- read.cu ---- */
#ifdef __cplusplus
extern "C"
#endif
	cudaError_t
	k_read(cudaStream_t stream, float *out, const void *data, size_t bytes);

#endif
