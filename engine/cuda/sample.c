/* sample.c - sampling on the device: its memory, one copy in, the kernels, and one copy out that is waited for later.
 */
#include "engine/cuda/cuda.h"

#include <stdlib.h>

_Static_assert((int)SAMPLE_TOP == (int)SAMPLE_MAX_TOP, "top tokens reported for a row");

struct cuda_sampler {
	struct sample_args args;
	char *host, *device;           /* pinned and device: rows, then the ids of all rows */
	struct sample_result *results; /* pinned (rows) */
	cudaEvent_t done;              /* recorded after the copy of results */
	int rows, room;                /* rows at most; room for ids */
	struct sample_book book;
};

/* Lists are copied each step, histories when a call begins. The host samples what does not fit. */
static int room_of(const struct cuda *c, int rows, int vocab)
{
	enum { LISTS = 1024, MOST = 1 << 20 };
	int64_t all = (int64_t)rows * (c->how.max_context + LISTS + mask_words(vocab));

	return all < MOST ? (int)all : MOST;
}

static size_t packed_bytes(int n, int ids)
{
	return (size_t)n * sizeof(struct sample_row) + (size_t)ids * sizeof(int32_t);
}

struct allocation {
	void **at;
	size_t bytes;
};
enum { PIECES = 9 };

static void pieces_of(struct cuda_sampler *p, struct allocation out[PIECES])
{
	struct sample_args *a = &p->args;
	size_t rows = (size_t)p->rows, words = rows * (size_t)a->vocab, cuts = rows * SAMPLE_SELECTS * SAMPLE_PASSES;
	struct allocation all[PIECES] = {
		{(void **)&a->raw, words * sizeof *a->raw},
		{(void **)&a->x, words * sizeof *a->x},
		{(void **)&a->count, words * sizeof *a->count},
		{(void **)&a->bins, cuts * SAMPLE_BINS * sizeof *a->bins},
		{(void **)&a->select, cuts * sizeof *a->select},
		{(void **)&a->best, rows * 3 * (size_t)k_sample_parts(a->vocab) * sizeof *a->best},
		{(void **)&a->spread, rows * sizeof *a->spread},
		{(void **)&a->result, rows * sizeof *a->result},
		{(void **)&a->history, (size_t)p->book.seqs * (size_t)p->book.max_history * sizeof *a->history}};

	for (int i = 0; i < PIECES; i++)
		out[i] = all[i];
}

float *cuda_sample_open(struct backend *b, int rows, int vocab)
{
	struct cuda *c = cuda_of(b);
	struct cuda_sampler *p;
	struct allocation piece[PIECES];
	void *pinned[2] = {NULL};

	if (vocab > SAMPLE_MAX_VOCAB)
		return NULL;
	p = xalloc(1, sizeof *p);
	*p = (struct cuda_sampler){.args = {.vocab = vocab, .max_history = c->how.max_context},
				   .rows = rows,
				   .room = room_of(c, rows, vocab)};
	p->book = (struct sample_book){NULL, c->how.limits.max_seqs, c->how.max_context, 0, vocab};
	pieces_of(p, piece);
	for (int i = 0; i < PIECES; i++)
		*piece[i].at = cuda_take(c, piece[i].bytes);
	p->device = cuda_take(c, packed_bytes(rows, p->room));
	c->sampler = p;
	if (c->how.dry)
		return (float *)(uintptr_t)p->args.raw;
	p->book.kept = xalloc_touched((size_t)p->book.seqs, sizeof *p->book.kept);
	cuda_check(cudaMemsetAsync(p->args.count, 0, piece[2].bytes, c->stream), "clearing memory");
	cuda_check(cudaMallocHost(&pinned[0], packed_bytes(rows, p->room)), "pinned memory for sampling");
	cuda_check(cudaMallocHost(&pinned[1], (size_t)rows * sizeof *p->results), "pinned memory for sampling");
	cuda_check(cudaEventCreateWithFlags(&p->done, cudaEventDisableTiming), "an event");
	p->host = pinned[0], p->results = pinned[1];
	return (float *)(uintptr_t)p->args.raw;
}

void cuda_sample_close(struct cuda *c)
{
	struct cuda_sampler *p = c->sampler;
	struct allocation piece[PIECES];

	if (!p)
		return;
	pieces_of(p, piece);
	for (int i = 0; i < PIECES; i++)
		cuda_give(c, *piece[i].at, piece[i].bytes);
	cuda_give(c, p->device, packed_bytes(p->rows, p->room));
	if (!c->how.dry)
		cudaFreeHost(p->host), cudaFreeHost(p->results), cudaEventDestroy(p->done);
	free(p->book.kept);
	free(p);
}

static void enqueue(struct cuda *c, struct cuda_sampler *p, int first, int n, int ids)
{
	struct sample_args a = p->args;

	a.rows = n;
	a.row = (const struct sample_row *)p->device;
	a.ids = (const int32_t *)(p->device + (size_t)n * sizeof(struct sample_row));
	a.sampled = c->sampled + first;
	cuda_check(cudaMemcpyAsync(p->device, p->host, packed_bytes(n, ids), cudaMemcpyHostToDevice, c->stream),
		   "copying rows to sample");
	cuda_check(k_sample(c->stream, a, sample_needs_of((const struct sample_row *)p->host, n)), "sampling");
	cuda_check(cudaMemcpyAsync(p->results, a.result, (size_t)n * sizeof *p->results, cudaMemcpyDeviceToHost,
				   c->stream),
		   "reading what was sampled");
	cuda_check(cudaEventRecord(p->done, c->stream), "an event");
}

/* One sampling at a time: cuda_sampled() still reads `host` and `results`. */
void cuda_sample(struct backend *b, int first, int n, const struct sample *what, bool *left)
{
	struct cuda *c = cuda_of(b);
	struct cuda_sampler *p = c->sampler;
	struct sample_row *row = (struct sample_row *)p->host;
	int32_t *ids = (int32_t *)(p->host + (size_t)n * sizeof *row);
	int used = 0, ours = 0;

	p->book.step += !first;
	REQUIRE(n <= p->rows && first + n <= c->how.limits.max_tokens);
	for (int i = 0; i < n; i++) {
		used += sample_pack(&row[i], ids, used, p->room, &what[i], &p->book);
		left[i] = row[i].skip;
		ours += !left[i];
	}
	if (ours)
		enqueue(c, p, first, n, used);
}

void cuda_sampled(struct backend *b, int n, struct sampled *out)
{
	struct cuda *c = cuda_of(b);
	struct cuda_sampler *p = c->sampler;
	const struct sample_row *row = (const struct sample_row *)p->host;

	cuda_wait(c, p->done, "sampling");
	for (int i = 0; i < n; i++)
		if (!row[i].skip)
			sample_unpack(&out[i], &p->results[i], row[i].n_top);
}
