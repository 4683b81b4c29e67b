/* Several ranks on one device: NCCL refuses them, so partials go to pinned memory, a comm_host adds them, and the sum
 * comes back. Slow, but the same additions. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/comm_nccl.h"
#include "parallel/world.h"

struct comm_staged {
	struct comm base;
	struct comm_device_options how;
	struct comm *host;
	float *parts, *columns; /* device */
	float *out, *back;      /* pinned: what leaves the device, what comes back */
	float *logits;          /* pinned (gather_rows, gather_cols), rank 0: on their way to the device */
};

static void check(cudaError_t e, const char *what)
{
	if (e)
		die("CUDA, %s: %s", what, cudaGetErrorString(e));
}

static void *parts(struct comm *c, const struct split *k, int rows, int cols)
{
	(void)k, (void)rows, (void)cols;
	return ((struct comm_staged *)c)->parts;
}

static void fetch(struct comm_staged *s, float *to, const float *from, size_t n)
{
	if (!n)
		return;
	check(cudaMemcpyAsync(s->out, from, n * sizeof *to, cudaMemcpyDeviceToHost, s->how.stream), "reading partials");
	s->how.wait(s->how.device);
	memcpy(to, s->out, n * sizeof *to);
}

static void sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols)
{
	struct comm_staged *s = (struct comm_staged *)c;
	struct split whole = {.n_leaves = c->size, .first = c->rank, .count = 1}; /* one partial a rank */
	const struct split *ship = s->how.fixed ? k : &whole;
	struct part p[SHARD_MAX_PARTS];
	size_t length = (size_t)rows * (size_t)cols;
	float *window;

	REQUIRE(type == DT_F32);
	if (!length)
		return;
	if (!s->how.fixed && !k->count) /* this rank owns no leaves, so nothing was written */
		check(cudaMemsetAsync(s->parts, 0, length * sizeof(float), s->how.stream), "clearing an empty share");
	window = comm_parts(s->host, ship, rows, cols);
	fetch(s, window, s->parts, (size_t)split_parts(ship, p) * length);
	comm_sum(s->host, s->back, DT_F32, ship, rows, cols);
	check(cudaMemcpyAsync(out, s->back, length * sizeof(float), cudaMemcpyHostToDevice, s->how.stream),
	      "writing a sum");
	s->how.wait(s->how.device); /* `back` is written again by the next one */
}

static float *columns(struct comm *c, int rows, int cols)
{
	(void)rows, (void)cols;
	return ((struct comm_staged *)c)->columns;
}

static void gather(struct comm *c, float *out, int rows, const int *cols_of_rank)
{
	struct comm_staged *s = (struct comm_staged *)c;
	float *window = comm_columns(s->host, rows, cols_of_rank[c->rank]);
	size_t width = 0;

	fetch(s, window, s->columns, (size_t)rows * (size_t)cols_of_rank[c->rank]);
	if (c->rank || comm_memory_of(out) != cudaMemoryTypeDevice) {
		comm_gather(s->host, out, rows, cols_of_rank);
		return;
	}
	for (int r = 0; r < c->size; r++)
		width += (size_t)cols_of_rank[r];
	comm_gather(s->host, s->logits, rows, cols_of_rank);
	check(cudaMemcpyAsync(out, s->logits, (size_t)rows * width * sizeof *out, cudaMemcpyHostToDevice,
			      s->how.stream),
	      "writing logits");
	s->how.wait(s->how.device);
}

static void destroy(struct comm *c)
{
	struct comm_staged *s = (struct comm_staged *)c;

	s->how.wait(s->how.device);
	s->how.quiet(s->how.device);
	comm_destroy(s->host);
	cudaFree(s->parts), cudaFree(s->columns);
	cudaFreeHost(s->out), cudaFreeHost(s->back), cudaFreeHost(s->logits);
	free(s);
}

static const struct comm_ops ops = {
	.name = "staged", .parts = parts, .sum = sum, .columns = columns, .gather = gather, .destroy = destroy};

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

int comm_staged_create(struct comm **out, struct world *w, const struct comm_limits *limits,
		       const struct comm_device_options *how, struct why *why)
{
	struct comm_staged *s = xalloc(1, sizeof *s);
	size_t row = (size_t)limits->max_rows * (size_t)limits->max_cols * sizeof(float);
	size_t all = row * (size_t)(how->fixed ? limits->max_parts : 1);
	size_t cols = (size_t)limits->gather_rows * (size_t)comm_share(limits, w->size) * sizeof(float);
	void *p[5] = {NULL};

	(void)why;
	s->base = (struct comm){.ops = &ops, .rank = w->rank, .size = w->size, .limits = *limits};
	s->how = *how;
	snprintf(s->base.about, sizeof s->base.about, "by the host, f32: ranks share a GPU");
	s->host = comm_host_create(w, limits);
	check(cudaMalloc(&p[0], all), "memory for sums between ranks");
	check(cudaMalloc(&p[1], cols), "memory for logits");
	check(cudaMallocHost(&p[2], max_size(all, cols)), "pinned memory for sums");
	check(cudaMallocHost(&p[3], row), "pinned memory for sums");
	if (w->rank == 0)
		check(cudaMallocHost(&p[4], (size_t)limits->gather_rows * (size_t)limits->gather_cols * sizeof(float)),
		      "pinned memory for logits");
	check(cudaMemsetAsync(p[0], 0, all, how->stream), "clearing memory for sums");
	how->wait(how->device);
	s->parts = p[0], s->columns = p[1], s->out = p[2], s->back = p[3], s->logits = p[4];
	*out = &s->base;
	return 0;
}
