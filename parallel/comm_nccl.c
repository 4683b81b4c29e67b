/* comm_nccl.c - sums and gathers between devices. The communicator is blocking: a call returns once its work is
 * enqueued. The first calls of a kind also connect the ranks on the host; where one has died, the watch thread ends the
 * process meanwhile (board.h). What breaks on the devices later is looked for in every wait (check_async). */
#include "parallel/comm_nccl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/comm_nccl_start.h"
#include "parallel/world.h"

/* Device memory that NCCL reads and writes: one allocation, laid out alike on all ranks, as a symmetric window
 * requires.
 */
enum piece {
	PARTS,    /* (n_parts, max_rows, max_cols) */
	ALL,      /* fixed: (size, n_parts, max_rows, max_cols) */
	COLUMNS,  /* (gather_rows, share) */
	GATHERED, /* (size, gather_rows, share) */
	RESULTS,  /* (max_rows, max_cols) each */
	PIECES = RESULTS + COMM_RESULTS
};

struct layout {
	size_t at[PIECES + 1]; /* floats; then the end */
	int n_parts;           /* that a sum sends: 1, or with `fixed` the most of any rank */
};

struct comm_nccl {
	struct comm base;
	struct comm_device_options how;
	struct nccl nccl; /* its comm is NULL: one rank */
	struct layout lay;
	float *memory; /* device, `lay` */
	float *host;   /* pinned (gather_rows, gather_cols), rank 0 */
};

static float *piece(const struct comm_nccl *n, int which)
{
	return n->memory + n->lay.at[which];
}

static void check(cudaError_t e, const char *what)
{
	if (e)
		die("CUDA, %s: %s", what, cudaGetErrorString(e));
}

static void *parts(struct comm *c, const struct split *k, int rows, int cols)
{
	(void)k, (void)rows, (void)cols;
	return piece((struct comm_nccl *)c, PARTS);
}

static float *result(struct comm *c, int i)
{
	struct comm_nccl *n = (struct comm_nccl *)c;

	return n->nccl.comm ? piece(n, RESULTS + i) : NULL;
}

/* Gathers all ranks' partials and adds them in leaf order. Each rank sends n_parts, of which the first ones, its own
 * count, are used. */
static void sum_fixed(struct comm_nccl *n, float *out, const struct split *k, size_t length)
{
	struct tree_input in[TREE_MAX_INPUTS];
	struct part p[SHARD_MAX_PARTS];
	int count = 0;

	if (n->nccl.comm)
		nccl_must(&n->nccl,
			  ncclAllGather(piece(n, PARTS), piece(n, ALL), (size_t)n->lay.n_parts * length, ncclFloat32,
					n->nccl.comm, n->how.stream),
			  "NCCL all-gather");
	for (int r = 0; r < n->base.size; r++) {
		struct span own = split_leaves(k->n_leaves, r, n->base.size);
		int m = leaf_parts(own.first, own.count, p);
		const float *from =
			n->nccl.comm ? piece(n, ALL) + (size_t)r * (size_t)n->lay.n_parts * length : piece(n, PARTS);

		for (int i = 0; i < m; i++)
			in[count++] = (struct tree_input){from + (size_t)i * length, p[i].count};
	}
	n->how.tree(n->how.device, out, in, count, length);
}

static void sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols)
{
	struct comm_nccl *n = (struct comm_nccl *)c;
	size_t length = (size_t)rows * (size_t)cols;
	float *mine = piece(n, PARTS);
	struct tree_input one = {mine, 1};

	REQUIRE(type == DT_F32 || (type == DT_BF16 && !n->how.fixed && n->nccl.comm));
	if (!length)
		return;
	if (n->how.fixed) {
		sum_fixed(n, out, k, length);
		return;
	}
	if (!n->nccl.comm) {
		n->how.tree(n->how.device, out, &one, 1, length);
		return;
	}
	if (!k->count) /* this rank owns no leaves, so nothing was written */
		check(cudaMemsetAsync(mine, 0, length * dtype_size(type), n->how.stream), "clearing an empty share");
	nccl_must(&n->nccl,
		  ncclAllReduce(mine, out, length, type == DT_F32 ? ncclFloat32 : ncclBfloat16, ncclSum, n->nccl.comm,
				n->how.stream),
		  "NCCL sum");
}

static float *columns(struct comm *c, int rows, int cols)
{
	(void)rows, (void)cols;
	return piece((struct comm_nccl *)c, COLUMNS);
}

static size_t share(const struct comm_nccl *n)
{
	return (size_t)comm_share(&n->base.limits, n->base.size);
}

enum cudaMemoryType comm_memory_of(const void *p)
{
	struct cudaPointerAttributes a;

	check(cudaPointerGetAttributes(&a, p), "whose memory it is");
	return a.type;
}

/* Each rank's columns arrive in one piece; copies place them side by side. */
static void gather(struct comm *c, float *out, int rows, const int *cols_of_rank)
{
	struct comm_nccl *n = (struct comm_nccl *)c;
	size_t each = (size_t)rows * share(n), width = 0, at = 0;
	enum cudaMemoryType memory = c->rank ? cudaMemoryTypeUnregistered : comm_memory_of(out);
	float *to = memory == cudaMemoryTypeUnregistered ? n->host : out;

	if (n->nccl.comm && rows)
		nccl_must(&n->nccl,
			  ncclAllGather(piece(n, COLUMNS), piece(n, GATHERED), each, ncclFloat32, n->nccl.comm,
					n->how.stream),
			  "NCCL gather");
	if (c->rank)
		return;
	for (int r = 0; r < c->size; r++)
		width += (size_t)cols_of_rank[r];
	for (int r = 0; r < c->size; r++) {
		size_t cols = (size_t)cols_of_rank[r] * sizeof(float);
		const float *from = n->nccl.comm ? piece(n, GATHERED) + (size_t)r * each : piece(n, COLUMNS);

		if (cols && rows)
			check(cudaMemcpy2DAsync(to + at, width * sizeof(float), from, cols, cols, (size_t)rows,
						memory == cudaMemoryTypeDevice ? cudaMemcpyDeviceToDevice
									       : cudaMemcpyDeviceToHost,
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

static void bcast(struct comm *c, int32_t *ids, int count)
{
	struct comm_nccl *n = (struct comm_nccl *)c;

	if (n->nccl.comm && count)
		nccl_must(&n->nccl, ncclBroadcast(ids, ids, (size_t)count, ncclInt32, 0, n->nccl.comm, n->how.stream),
			  "NCCL broadcast");
}

/* Finds failures of NCCL's own threads or between the devices while enqueued work is awaited. */
static void check_async(struct comm *c)
{
	struct comm_nccl *n = (struct comm_nccl *)c;
	ncclResult_t e, r = ncclSuccess;

	if (!n->nccl.comm)
		return;
	e = ncclCommGetAsyncError(n->nccl.comm, &r);
	r = e ? e : r;
	if (r && r != ncclInProgress)
		die("NCCL, after the call: %s: %s", ncclGetErrorString(r), ncclGetLastError(n->nccl.comm));
}

/* CUDA graphs that hold NCCL's calls go first, then the window, its memory, the communicator. */
static void destroy(struct comm *c)
{
	struct comm_nccl *n = (struct comm_nccl *)c;

	n->how.wait(n->how.device);
	n->how.quiet(n->how.device);
	if (n->nccl.comm) {
		nccl_close_window(&n->nccl);
		nccl_must(&n->nccl, ncclMemFree(n->memory), "NCCL, freeing memory");
		nccl_leave(&n->nccl);
	} else
		cudaFree(n->memory);
	cudaFreeHost(n->host);
	free(n);
}

static const struct comm_ops ops = {.name = "nccl",
				    .parts = parts,
				    .sum = sum,
				    .result = result,
				    .columns = columns,
				    .gather = gather,
				    .bcast = bcast,
				    .check = check_async,
				    .destroy = destroy};

static struct layout layout_of(int size, const struct comm_limits *l, bool fixed)
{
	enum { ALIGN = 4096 / sizeof(float) };
	struct layout out = {.n_parts = fixed ? l->max_parts : 1};
	size_t each = (size_t)l->max_rows * (size_t)l->max_cols,
	       cols = (size_t)l->gather_rows * (size_t)comm_share(l, size);
	size_t floats[PIECES] = {[PARTS] = (size_t)out.n_parts * each, [COLUMNS] = cols};

	if (size > 1) {
		floats[ALL] = fixed ? (size_t)size * floats[PARTS] : 0;
		floats[GATHERED] = (size_t)size * cols;
		for (int i = 0; i < COMM_RESULTS; i++)
			floats[RESULTS + i] = each;
	}
	for (int i = 0; i < PIECES; i++)
		out.at[i + 1] = out.at[i] + round_up(floats[i], ALIGN);
	return out;
}

uint64_t comm_nccl_bytes(int size, const struct comm_limits *limits, bool fixed)
{
	enum {
		NCCL_OWN = 384 << 20, /* NCCL's own buffers and kernels, about */
		NVLS = 32 << 20, /* for each GPU behind NVSwitch, from three on: 16 channels of two buffers of 1 MiB, as
				    NCCL logs it on eight H100 (nvlsTotalSize) */
		PAGE = 2 << 20
	};
	struct layout l = layout_of(size, limits, fixed);

	/* Without the results: their places are counted where they are when there is no communicator. */
	return round_up(l.at[PIECES] * sizeof(float), PAGE) - (l.at[PIECES] - l.at[RESULTS]) * sizeof(float) +
	       (size > 1 ? NCCL_OWN : 0) + (size > 2 ? (uint64_t)size * NVLS : 0);
}

/* How sums travel, for the log and Status. */
static void describe(struct comm_nccl *n)
{
	const struct nccl *l = &n->nccl;
	char version[24];

	snprintf(version, sizeof version, "%d.%d.%d", l->version / 10000, l->version / 100 % 100, l->version % 100);
	snprintf(n->base.about, sizeof n->base.about, "NCCL %s, %s%s%s%s", version,
		 n->how.fixed ? "f32 in fixed order" : dtype_name(n->how.sum),
		 l->window ? ", in windows" : ", no windows", l->window ? "" : ": ", l->window ? "" : l->why_no_window);
	if (n->base.rank == 0)
		log_event(LOG_INFO, "sums between GPUs", " by=NCCL version=%s type=%s window_bytes=%zu%s%s%s", version,
			  dtype_name(n->how.sum), l->window ? n->lay.at[PIECES] * sizeof(float) : 0,
			  l->window ? "" : " no_windows=\"", l->window ? "" : l->why_no_window, l->window ? "" : "\"");
}

static void take_memory(struct comm_nccl *n, struct world *w)
{
	size_t bytes = n->lay.at[PIECES] * sizeof(float);
	void *p = NULL;

	if (n->nccl.comm)
		nccl_must(&n->nccl, ncclMemAlloc(&p, bytes), "NCCL, memory for sums between ranks");
	else
		check(cudaMalloc(&p, bytes), "memory for sums between ranks");
	n->memory = p;
	check(cudaMemsetAsync(p, 0, bytes, n->how.stream), "clearing memory for sums");
	n->how.wait(n->how.device);
	if (!n->nccl.comm)
		return;
	nccl_open_window(&n->nccl, w, p, bytes);
	describe(n);
}

int comm_nccl_create(struct comm **out, struct world *w, const struct comm_limits *limits,
		     const struct comm_device_options *how, struct why *why)
{
	struct comm_nccl *n = xalloc(1, sizeof *n);
	void *host = NULL;
	int err;

	n->base = (struct comm){
		.ops = &ops, .rank = w->rank, .size = w->size, .alone = w->size == 1 && !how->fixed, .limits = *limits};
	n->how = *how;
	n->lay = layout_of(w->size, limits, how->fixed);
	n->nccl = (struct nccl){.wait_ns = how->wait_ns, .idle = how->idle, .idle_arg = how->idle_arg};
	err = w->size > 1 ? nccl_join(&n->nccl, w, why) : 0;
	if (err) {
		free(n);
		return err;
	}
	take_memory(n, w);
	if (w->rank == 0)
		check(cudaMallocHost(&host, (size_t)limits->gather_rows * (size_t)limits->gather_cols * sizeof(float)),
		      "pinned memory for logits");
	n->host = host;
	*out = &n->base;
	return 0;
}
