/* Sums and gathers between devices. NCCL's communicator is non-blocking: every call may answer "in progress", and is then asked
 * about until a deadline. NCCL does not notice a dead peer on the same host, so the wait loops look at the board, which ends the
 * process: an abort of the communicator could hang itself and would free nothing that the end of the process does not. */
#include "parallel/comm_nccl.h"

#include <cuda_runtime_api.h>
#include <nccl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parallel/world.h"

struct comm_nccl {
	struct comm base;
	struct comm_device_options how;
	ncclComm_t nccl; /* NULL: one rank */
	float *parts;    /* device (parts, max_rows, max_cols) */
	float *all;      /* device, fixed: (size, parts, max_rows, max_cols) */
	float *columns;  /* device (gather_rows, share) */
	float *gathered; /* device (size, gather_rows, share) */
	float *host;     /* pinned (gather_rows, gather_cols), rank 0 */
	int n_parts;     /* that a sum ships: 1, or fixed: the most of any rank */
};

static void check(cudaError_t e, const char *what)
{
	if (e)
		die("%s: %s", what, cudaGetErrorString(e));
}

static void nap(void)
{
	struct timespec t = {0, 50000};

	nanosleep(&t, NULL);
}

/* Until the call before is through. */
static ncclResult_t settle(struct comm_nccl *n, ncclResult_t r, const char *what)
{
	uint64_t start = now_ns();

	while (r == ncclInProgress) {
		ncclResult_t e = ncclCommGetAsyncError(n->nccl, &r);
		if (e)
			return e;
		if (r != ncclInProgress)
			break;
		if (n->how.wait_ns && now_ns() - start > (uint64_t)n->how.wait_ns)
			die("%s: the other ranks did not join within %.0f s", what, (double)n->how.wait_ns / 1e9);
		if (n->how.idle)
			n->how.idle(n->how.idle_arg);
		nap();
	}
	return r;
}

static void must(struct comm_nccl *n, ncclResult_t r, const char *what)
{
	r = settle(n, r, what);
	if (r)
		die("%s: %s: %s", what, ncclGetErrorString(r), ncclGetLastError(n->nccl));
}

static float *parts(struct comm *c, const struct split *k, int rows, int cols)
{
	(void)k, (void)rows, (void)cols;
	return ((struct comm_nccl *)c)->parts;
}

/* All ranks' partials, in leaf order; each rank shipped n_parts of them, of which its own count is true. */
static void sum_fixed(struct comm_nccl *n, float *out, const struct split *k, size_t length)
{
	struct tree_input in[TREE_MAX_INPUTS];
	struct part p[SHARD_MAX_PARTS];
	int count = 0;

	if (n->nccl)
		must(n, ncclAllGather(n->parts, n->all, (size_t)n->n_parts * length, ncclFloat32, n->nccl, n->how.stream),
		     "NCCL all-gather");
	for (int r = 0; r < n->base.size; r++) {
		struct span own = split_leaves(k->n_leaves, r, n->base.size);
		int m = leaf_parts(own.first, own.count, p);
		const float *from = n->nccl ? n->all + (size_t)r * (size_t)n->n_parts * length : n->parts;

		for (int i = 0; i < m; i++)
			in[count++] = (struct tree_input){from + (size_t)i * length, p[i].count};
	}
	n->how.tree(n->how.device, out, in, count, length);
}

static void sum(struct comm *c, float *out, const struct split *k, int rows, int cols)
{
	struct comm_nccl *n = (struct comm_nccl *)c;
	size_t length = (size_t)rows * (size_t)cols;
	struct tree_input one = {n->parts, 1};

	if (!length)
		return;
	if (n->how.fixed) {
		sum_fixed(n, out, k, length);
		return;
	}
	if (!n->nccl) {
		n->how.tree(n->how.device, out, &one, 1, length);
		return;
	}
	if (!k->count) /* nobody wrote here */
		check(cudaMemsetAsync(n->parts, 0, length * sizeof(float), n->how.stream), "clearing an empty share");
	must(n, ncclAllReduce(n->parts, out, length, ncclFloat32, ncclSum, n->nccl, n->how.stream), "NCCL sum");
}

static float *columns(struct comm *c, int rows, int cols)
{
	(void)rows, (void)cols;
	return ((struct comm_nccl *)c)->columns;
}

static size_t share(const struct comm_nccl *n)
{
	return (size_t)comm_share(&n->base.limits, n->base.size);
}

enum cudaMemoryType comm_memory_of(const void *p)
{
	struct cudaPointerAttributes a;

	if (cudaPointerGetAttributes(&a, p)) {
		cudaGetLastError();
		return cudaMemoryTypeUnregistered;
	}
	return a.type;
}

/* Ranks' columns come whole, each in its own stretch; copies lay them side by side. */
static void gather(struct comm *c, float *out, int rows, const int *cols_of_rank)
{
	struct comm_nccl *n = (struct comm_nccl *)c;
	size_t each = (size_t)rows * share(n), width = 0, at = 0;
	enum cudaMemoryType memory = c->rank ? cudaMemoryTypeUnregistered : comm_memory_of(out);
	float *to = memory == cudaMemoryTypeUnregistered ? n->host : out;

	if (n->nccl && rows)
		must(n, ncclAllGather(n->columns, n->gathered, each, ncclFloat32, n->nccl, n->how.stream), "NCCL gather");
	if (c->rank)
		return;
	for (int r = 0; r < c->size; r++)
		width += (size_t)cols_of_rank[r];
	for (int r = 0; r < c->size; r++) {
		size_t cols = (size_t)cols_of_rank[r] * sizeof(float);
		const float *from = n->nccl ? n->gathered + (size_t)r * each : n->columns;

		if (cols && rows)
			check(cudaMemcpy2DAsync(to + at, width * sizeof(float), from, cols, cols, (size_t)rows,
						memory == cudaMemoryTypeDevice ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost,
						n->how.stream),
			      "reading logits");
		at += (size_t)cols_of_rank[r];
	}
	if (memory == cudaMemoryTypeDevice)
		return;
	n->how.wait(n->how.device);
	if (rows && width && to != out)
		memcpy(out, n->host, (size_t)rows * width * sizeof(float));
}

static void destroy(struct comm *c)
{
	struct comm_nccl *n = (struct comm_nccl *)c;
	float *device[] = {n->parts, n->all, n->columns, n->gathered};

	n->how.wait(n->how.device);
	n->how.quiet(n->how.device);
	if (n->nccl) {
		must(n, ncclCommFinalize(n->nccl), "NCCL end");
		ncclCommDestroy(n->nccl);
	}
	for (int i = 0; i < 4; i++)
		cudaFree(device[i]);
	cudaFreeHost(n->host);
	free(n);
}

static const struct comm_ops ops = {
	.name = "nccl", .parts = parts, .sum = sum, .columns = columns, .gather = gather, .destroy = destroy};

struct sizes {
	size_t parts, all, columns, gathered; /* floats */
	int n_parts;
};

static struct sizes sizes_of(int size, const struct comm_limits *l, bool fixed)
{
	struct sizes s = {.n_parts = fixed ? l->max_parts : 1};

	s.parts = (size_t)s.n_parts * (size_t)l->max_rows * (size_t)l->max_cols;
	s.all = fixed && size > 1 ? s.parts * (size_t)size : 0;
	s.columns = (size_t)l->gather_rows * (size_t)comm_share(l, size);
	s.gathered = size > 1 ? s.columns * (size_t)size : 0;
	return s;
}

uint64_t comm_nccl_bytes(int size, const struct comm_limits *limits, bool fixed)
{
	enum { NCCL_OWN = 384 << 20 }; /* NCCL's own buffers and kernels, about; measured by others on 8 GPUs of a node */
	struct sizes s = sizes_of(size, limits, fixed);

	return (s.parts + s.all + s.columns + s.gathered) * sizeof(float) + (size > 1 ? NCCL_OWN : 0);
}

static float *device_floats(size_t n)
{
	void *p = NULL;

	if (!n)
		return NULL;
	check(cudaMalloc(&p, n * sizeof(float)), "memory for sums between ranks");
	check(cudaMemset(p, 0, n * sizeof(float)), "CUDA, clearing memory for sums");
	return p;
}

static int join(struct comm_nccl *n, struct world *w, struct why *why)
{
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
	ncclUniqueId id;
	ncclResult_t r = ncclSuccess;

	memset(&id, 0, sizeof id);
	if (w->rank == 0)
		r = ncclGetUniqueId(&id);
	if (world_min(w, r ? 0 : 1) == 0) /* the others must not wait for an id that is none */
		return fail(why, ERR_UNKNOWN, "NCCL makes no id on rank 0: %s", ncclGetErrorString(r));
	world_bcast(w, &id, sizeof id);
	config.blocking = 0;
	r = ncclCommInitRankConfig(&n->nccl, w->size, id, w->rank, &config);
	if (r == ncclInProgress)
		r = settle(n, r, "NCCL start");
	if (r)
		return fail(why, ERR_UNKNOWN, "NCCL start: %s", ncclGetErrorString(r));
	return 0;
}

int comm_nccl_create(struct comm **out, struct world *w, const struct comm_limits *limits, const struct comm_device_options *how,
		     struct why *why)
{
	struct sizes s = sizes_of(w->size, limits, how->fixed);
	struct comm_nccl *n = xalloc(1, sizeof *n);
	void *host = NULL;
	int err;

	n->base = (struct comm){.ops = &ops, .rank = w->rank, .size = w->size, .limits = *limits};
	n->how = *how;
	n->n_parts = s.n_parts;
	err = w->size > 1 ? join(n, w, why) : 0;
	if (err) {
		free(n);
		return err;
	}
	n->parts = device_floats(s.parts);
	n->all = device_floats(s.all);
	n->columns = device_floats(s.columns);
	n->gathered = device_floats(s.gathered);
	if (w->rank == 0)
		check(cudaMallocHost(&host, (size_t)limits->gather_rows * (size_t)limits->gather_cols * sizeof(float)),
		      "pinned memory for logits");
	n->host = host;
	check(cudaDeviceSynchronize(), "start of the communicator");
	*out = &n->base;
	return 0;
}
