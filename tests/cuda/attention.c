/* Attention over a paged cache against float64: head sizes, groups, lengths around page borders, cuts of the key axis,
 * chunks, 16-bit and 8-bit caches, ALiBi, soft caps and windows. */
#include "tests/cuda/device.h"

enum { MAX_SEQS = 6 };

struct scene {
	enum k_type type;
	enum k_kv kv;
	int heads, kv_heads, dim, n_seqs;
	int length[MAX_SEQS], fresh[MAX_SEQS]; /* keys; new tokens of this step, the last ones */
	bool alibi;
	float cap;
	int window;
	/* made from these */
	int tokens, n_runs, group, block_at[MAX_SEQS], n_blocks;
	bool rounds; /* an 8-bit number times its scale is rounded to 16 bits */
	size_t head_bytes;
	uint16_t *qkv, *out;
	unsigned char *pool;
	double *cached; /* the numbers of `pool`, head by head */
	int32_t *blocks, *kv_of_head;
	float slopes[64];
	struct attn_run runs[64];
	struct attn_args a; /* device pointers */
	void *device[10];
};

/* The pool's head that holds it. */
static size_t head_at(const struct scene *s, int seq, int key, int h)
{
	return (size_t)s->blocks[s->block_at[seq] + key / KV_BLOCK] * 2 * (size_t)s->kv_heads + (size_t)h;
}

/* The numbers of one token of one K or V head. */
static double *cached_at(const struct scene *s, int seq, int key, int h)
{
	return s->cached + (head_at(s, seq, key, h) * KV_BLOCK + (size_t)(key % KV_BLOCK)) * (size_t)s->dim;
}

/* One token of one K or V head: numbers in [-1, 1], then zeros. */
static void make_head(struct scene *s, struct rng *r, unsigned char *head, int at)
{
	const int stored = K_CACHE_DIM(s->dim);

	for (int d = 0; d < stored; d++) {
		unsigned char code = (unsigned char)rng_next(r);
		if (s->kv == K_KV_16) {
			((uint16_t *)(void *)head)[at * stored + d] = d < s->dim ? down(rng_unit(r), s->type) : 0;
			continue;
		}
		if ((code & 0x7f) == (s->kv == K_KV_FP8 ? 0x7f : 0)) /* NaN, and -128 is not used */
			code ^= 0x81;
		head[at * stored + d] = d < s->dim ? code : 0;
	}
	if (s->kv != K_KV_16)
		((float *)(void *)(head + KV_BLOCK * stored))[at] =
			(0.6f + 0.4f * rng_unit(r)) / (float)largest8(s->kv);
}

static void read_head(const struct scene *s, const unsigned char *head, int at, double *to)
{
	for (int d = 0; d < s->dim; d++) {
		double v = cached(head, s->kv, s->type, s->dim, at, d);
		to[d] = s->rounds ? (double)up(down((float)v, s->type), s->type) : v;
	}
}

static void make_pool(struct scene *s, struct rng *r)
{
	for (int i = 0; i < s->n_seqs; i++) {
		s->block_at[i] = s->n_blocks;
		s->n_blocks += div_up(s->length[i], KV_BLOCK);
	}
	s->head_bytes = (size_t)K_HEAD_BYTES(s->dim, s->kv != K_KV_16);
	s->blocks = xalloc((size_t)s->n_blocks, 4);
	s->pool = xalloc((size_t)(s->n_blocks * 2 * s->kv_heads), s->head_bytes);
	memset(s->pool, 0xff,
	       (size_t)(s->n_blocks * 2 * s->kv_heads) * s->head_bytes); /* NaN where nothing was stored */
	for (int i = 0; i < s->n_blocks; i++)                            /* blocks of a sequence lie scattered */
		s->blocks[i] = (int32_t)((i * 7 + 3) % s->n_blocks);
	for (int i = 0; s->n_blocks % 7 == 0 && i < s->n_blocks; i++)
		s->blocks[i] = s->n_blocks - 1 - i;
	s->cached = xalloc((size_t)(s->n_blocks * 2 * s->kv_heads * KV_BLOCK * s->dim), sizeof *s->cached);
	for (int q = 0; q < s->n_seqs; q++)
		for (int key = 0; key < s->length[q]; key++)
			for (int h = 0; h < 2 * s->kv_heads; h++) {
				unsigned char *head = s->pool + head_at(s, q, key, h) * s->head_bytes;
				make_head(s, r, head, key % KV_BLOCK);
				read_head(s, head, key % KV_BLOCK, cached_at(s, q, key, h));
			}
}

static void make_runs(struct scene *s)
{
	s->kv_of_head = xalloc((size_t)s->heads, 4);
	for (int h = 0; h < s->heads; h++)
		s->kv_of_head[h] = h * s->kv_heads / s->heads;
	for (int h = 0; h < s->heads;) {
		int n = 1;
		while (n < attn_group(s->dim) && h + n < s->heads && s->kv_of_head[h + n] == s->kv_of_head[h])
			n++;
		s->runs[s->n_runs++] = (struct attn_run){h, n, s->kv_of_head[h]};
		s->group = max_int(s->group, n);
		h += n;
	}
}

/* Positions and slopes. */
static void put_bend(struct scene *s)
{
	int32_t *pos = xalloc((size_t)s->tokens, sizeof *pos);
	int token = 0;

	for (int q = 0; q < s->n_seqs; q++)
		for (int i = 0; i < s->fresh[q]; i++)
			pos[token++] = s->length[q] - s->fresh[q] + i;
	for (int h = 0; h < s->heads; h++)
		s->slopes[h] = 0.13f / (float)(1 + h);
	s->device[8] = dev_put(pos, (size_t)s->tokens * sizeof *pos);
	s->device[9] = dev_put(s->slopes, (size_t)s->heads * sizeof *s->slopes);
	free(pos);
}

static void open_scene(struct scene *s)
{
	struct rng r = {(uint64_t)(s->heads * 100 + s->length[0])};
	size_t n, out;

	for (int i = 0; i < s->n_seqs; i++)
		s->tokens += s->fresh[i];
	n = (size_t)(s->tokens * (s->heads + 2 * s->kv_heads) * s->dim), out = (size_t)(s->tokens * s->heads * s->dim);
	s->qkv = random_halves(&r, n, s->type);
	for (size_t i = 0; i < n; i++)
		s->qkv[i] = down(3 * up(s->qkv[i], s->type), s->type);
	make_pool(s, &r);
	make_runs(s);
	s->out = xalloc(out, 2);
	s->device[0] = dev_put(s->qkv, n * 2);
	s->device[1] = dev_put(s->pool, (size_t)(s->n_blocks * 2 * s->kv_heads) * s->head_bytes);
	s->device[2] = dev_put(s->blocks, (size_t)s->n_blocks * 4);
	s->device[3] = dev_put(s->runs, (size_t)s->n_runs * sizeof *s->runs);
	s->device[4] = dev_put(s->kv_of_head, (size_t)s->heads * 4);
	s->device[5] = dev_new(out * 2);
	put_bend(s);
	s->a = (struct attn_args){.qkv = s->device[0],
				  .out = s->device[5],
				  .blocks = s->device[2],
				  .runs = s->device[3],
				  .kv_of_head = s->device[4],
				  .cache = {s->device[1], s->kv_heads, s->dim, s->kv, 0},
				  .heads = s->heads,
				  .n_runs = s->n_runs,
				  .scale = 1 / sqrtf((float)s->dim),
				  .pos = s->device[8],
				  .slopes = s->alibi ? s->device[9] : NULL,
				  .cap = s->cap,
				  .window = s->window};
}

static void close_scene(struct scene *s)
{
	for (int i = 0; i < 10; i++)
		dev_free(s->device[i]);
	free(s->qkv), free(s->pool), free(s->cached), free(s->out), free(s->blocks), free(s->kv_of_head);
}

static void fetch(struct scene *s)
{
	dev_get(s->out, s->device[5], (size_t)(s->tokens * s->heads * s->dim) * 2);
}

/* One token and head in float64. */
static void reference(const struct scene *s, int seq, int token, int head, int keys, double *out)
{
	const uint16_t *q = s->qkv + (size_t)(token * (s->heads + 2 * s->kv_heads) * s->dim) + (size_t)(head * s->dim);
	double top = -INFINITY, sum = 0, *p = xalloc((size_t)keys, sizeof *p), wide[256];
	int kv = s->kv_of_head[head], from = s->window ? max_int(keys - s->window, 0) : 0;

	for (int d = 0; d < s->dim; d++)
		wide[d] = (double)up(q[d], s->type), out[d] = 0;
	for (int key = from; key < keys; key++) {
		const double *k = cached_at(s, seq, key, kv);
		for (int d = 0; d < s->dim; d++)
			p[key] += wide[d] * k[d];
		p[key] *= (double)s->a.scale;
		if (s->cap > 0)
			p[key] = s->cap * tanh(p[key] / s->cap);
		if (s->alibi)
			p[key] += (double)s->slopes[head] * (key - (keys - 1));
		top = fmax(top, p[key]);
	}
	for (int key = from; key < keys; key++) {
		const double *v = cached_at(s, seq, key, s->kv_heads + kv);
		sum += p[key] = exp(p[key] - top);
		for (int d = 0; d < s->dim; d++)
			out[d] += p[key] * v[d];
	}
	for (int d = 0; d < s->dim; d++)
		out[d] /= sum;
	free(p);
}

/* weights: half a unit in the last place of what the kernel rounds p to. */
static void check_scene(struct scene *s, double weights)
{
	double want[256];
	int token = 0;

	fetch(s);
	for (int q = 0; q < s->n_seqs; q++)
		for (int i = 0; i < s->fresh[q]; i++, token++)
			for (int h = 0; h < s->heads; h++) {
				reference(s, q, token, h, s->length[q] - s->fresh[q] + i + 1, want);
				for (int d = 0; d < s->dim; d++)
					CHECK_NEAR(up(s->out[(size_t)((token * s->heads + h) * s->dim + d)], s->type),
						   want[d], fabs(want[d]) * rounding(s->type) * 1.05 + weights + 4e-6,
						   "dim %d heads %d/%d: sequence %d token %d head %d d %d", s->dim,
						   s->heads, s->kv_heads, q, i, h, d);
			}
}

/* Every token by itself, its keys cut every `chunk` (0: not cut). */
static void run_decode(struct scene *s, int chunk, int range)
{
	struct attn_item *items = xalloc(4096, sizeof *items);
	struct attn_join *joins = xalloc((size_t)s->tokens + 1, sizeof *joins);
	int n = 0, parts = 0, n_joins = 0, token = 0;
	size_t tickets;
	uint32_t *ticket;
	void *di, *dj;

	for (int q = 0; q < s->n_seqs; q++)
		for (int i = 0; i < s->fresh[q]; i++, token++) {
			int end = s->length[q] - s->fresh[q] + i + 1, step = range ? range : KV_BLOCK,
			    from = s->window ? max_int(end - s->window, 0) / step * step : 0, keys = end - from,
			    per = chunk ? chunk : keys, first = parts;
			for (int at = 0; at < keys; at += per)
				items[n++] = (struct attn_item){token,
								s->block_at[q],
								from + at,
								min_int(per, keys - at),
								per < keys ? parts++ : 0,
								per < keys ? n_joins : -1};
			if (per < keys)
				joins[n_joins++] = (struct attn_join){first, parts - first};
		}
	items[n++] = (struct attn_item){0, 0, 0, 0, 0, 0}; /* padding has no effect */
	tickets = (size_t)max_int(1, n_joins * s->n_runs);
	ticket = xalloc(tickets, sizeof *ticket);
	s->a.range = range;
	s->device[6] = dev_new((size_t)max_int(1, parts) * (size_t)(s->heads * (s->dim + 2)) * 4);
	s->a.partial = s->device[6];
	di = dev_put(items, (size_t)n * sizeof *items), dj = dev_put(joins, (size_t)n_joins * sizeof *joins);
	s->device[7] = dev_put(ticket, tickets * sizeof *ticket);
	s->a.joins = dj, s->a.tickets = s->device[7];
	CUDA(k_attention_decode(NULL, s->type, s->a, di, n, s->group));
	dev_get(ticket, s->device[7], tickets * sizeof *ticket);
	for (size_t i = 0; i < tickets; i++)
		CHECK_EQ(ticket[i], 0);
	dev_free(di), dev_free(dj), dev_free(s->device[6]), dev_free(s->device[7]);
	s->device[6] = s->device[7] = NULL;
	free(items), free(joins), free(ticket);
}

static void decode(enum k_type type, enum k_kv kv, int heads, int kv_heads, int dim, int chunk, int range)
{
	struct scene s = {.type = type,
			  .kv = kv,
			  .heads = heads,
			  .kv_heads = kv_heads,
			  .dim = dim,
			  .n_seqs = 6,
			  .length = {1, 31, 32, 33, 100, 300},
			  .fresh = {1, 1, 1, 1, 2, 1}};

	open_scene(&s);
	run_decode(&s, chunk, range);
	check_scene(&s, 0);
	close_scene(&s);
}

TEST(decode_heads_and_sizes)
{
	static const int shape[][2] = {{1, 1}, {3, 3}, {4, 2}, {5, 1}, {4, 1}, {6, 2}, {3, 1}};

	for (int i = 0; i < 14; i++) {
		decode(both[i & 1], K_KV_16, shape[i / 2][0], shape[i / 2][1], 128, i % 3 ? 64 : 0, 0);
		decode(both[i & 1], K_KV_16, shape[i / 2][0], shape[i / 2][1], 64, i % 3 == 1 ? 0 : 96, 0);
	}
}

enum bend { ALIBI = 1, CAP = 2, WINDOW = 4 };
static void bend(struct scene *s, int how, int window)
{
	s->alibi = how & ALIBI, s->cap = how & CAP ? 2.5f : 0, s->window = how & WINDOW ? window : 0;
}

/* Every built head size in every cache, others in some, and what bends scores alone and together; a window ends inside
 * a page, covers one key, or is longer than some sequences. */
TEST(decode_of_bent_scores)
{
	static const int dim[] = {64, 80, 96, 128, 256, 100, 72, 160, 22, 250}, window[] = {45, 1, 64, 97};

	for (int i = 0; i < 60; i++)
		for (int how = i % 2; how < 8; how += 2) {
			struct scene s = {.type = both[(i + how / 2) & 1],
					  .kv = K_KV_16 + i / 2 % 3,
					  .heads = 5,
					  .kv_heads = how & WINDOW ? 5 : 1,
					  .dim = dim[i / 6],
					  .n_seqs = 4,
					  .length = {1, 31, 64, 150},
					  .fresh = {1, 1, 2, 1}};
			bend(&s, how, window[i % 4]);
			open_scene(&s);
			run_decode(&s, i % 3 ? 64 : 0, 0);
			check_scene(&s, 0);
			close_scene(&s);
		}
}

TEST(decode_of_8_bit_caches)
{
	static const int shape[][2] = {{2, 2}, {4, 2}, {5, 1}};

	for (int i = 0; i < 12; i++) {
		enum k_kv kv = i & 2 ? K_KV_FP8 : K_KV_INT8;
		decode(both[i & 1], kv, shape[i / 4][0], shape[i / 4][1], 128, i % 3 ? 64 : 0, 0);
		decode(both[i & 1], kv, shape[i / 4][0], shape[i / 4][1], 64, i % 3 == 1 ? 0 : 96, 0);
	}
}

TEST(decode_cuts)
{
	static const int chunk[] = {32, 64, 128, 256, 17};

	for (int i = 0; i < 5; i++)
		decode(K_BF16, K_KV_16 + i % 3, 2, 2, 128, chunk[i], 0);
}

TEST(decode_one_long_sequence)
{
	struct scene s = {
		.type = K_BF16, .heads = 2, .kv_heads = 1, .dim = 128, .n_seqs = 1, .length = {3001}, .fresh = {1}};

	open_scene(&s);
	run_decode(&s, 512, 0);
	check_scene(&s, 0);
	close_scene(&s);
}

/* Ranges are folded in order: the bits are the same whether a token's keys are cut over blocks or not. */
TEST(decode_ranges_give_the_same_bits)
{
	for (int i = 0; i < 6; i++) {
		int dim = i & 1 ? 128 : i == 2 ? 80 : 64;
		struct scene s = {.type = K_BF16,
				  .kv = K_KV_16 + i / 2,
				  .heads = 4,
				  .kv_heads = 2,
				  .dim = dim,
				  .n_seqs = 3,
				  .length = {900, 256, 257},
				  .fresh = {1, 1, 1}};
		uint16_t *one;
		size_t bytes;

		bend(&s, i % 3 ? WINDOW | ALIBI : 0, 300);
		open_scene(&s);
		bytes = (size_t)(s.tokens * s.heads * s.dim) * 2;
		one = xalloc(1, bytes);
		run_decode(&s, 0, 256);
		check_scene(&s, 0);
		memcpy(one, s.out, bytes);
		run_decode(&s, 256, 256);
		fetch(&s);
		CHECK(!memcmp(one, s.out, bytes));
		free(one);
		close_scene(&s);
	}
}

static void run_prefill(struct scene *s, bool wgmma)
{
	struct attn_tile *tiles = xalloc(256, sizeof *tiles);
	int n = 0, token = 0;
	void *dt;

	for (int q = 0; q < s->n_seqs; q++) {
		for (int i = 0; i < s->fresh[q]; i += ATTN_TILE)
			tiles[n++] = (struct attn_tile){token + i, min_int(ATTN_TILE, s->fresh[q] - i),
							s->length[q] - s->fresh[q] + i, s->block_at[q]};
		token += s->fresh[q];
	}
	tiles[n++] = (struct attn_tile){0, 0, 0, 0}; /* padding has no effect */
	dt = dev_put(tiles, (size_t)n * sizeof *tiles);
	CUDA(cudaMemset(s->device[5], 0xff, (size_t)(s->tokens * s->heads * s->dim) * 2));
	CUDA((wgmma ? k_attention_wgmma_init : k_attention_init)());
	CUDA((wgmma ? k_attention_prefill_wgmma : k_attention_prefill)(NULL, s->type, s->a, dt, n));
	CUDA(cudaDeviceSynchronize());
	dev_free(dt);
	free(tiles);
}

static bool hopper(void)
{
	int major = 0, minor = 0;

	CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
	CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
	return major == 9 && minor == 0;
}

static void bent_prefill(enum k_type type, enum k_kv kv, int heads, int kv_heads, int dim, const int *length,
			 const int *fresh, int n, int how, int window)
{
	struct scene s = {.type = type,
			  .kv = kv,
			  .heads = heads,
			  .kv_heads = kv_heads,
			  .dim = dim,
			  .n_seqs = n,
			  .rounds = kv != K_KV_16};

	memcpy(s.length, length, (size_t)n * sizeof *length);
	memcpy(s.fresh, fresh, (size_t)n * sizeof *fresh);
	bend(&s, how, window);
	open_scene(&s);
	for (int wgmma = 0; wgmma <= (kv == K_KV_16 && (dim == 64 || dim == 128) && hopper()); wgmma++) {
		run_prefill(&s, wgmma);
		check_scene(&s, rounding(type)); /* |v| <= 1: rounded weights move a sum by no more */
	}
	close_scene(&s);
}

static void prefill(enum k_type type, enum k_kv kv, int heads, int kv_heads, int dim, const int *length,
		    const int *fresh, int n)
{
	bent_prefill(type, kv, heads, kv_heads, dim, length, fresh, n, 0, 0);
}

TEST(prefill_lengths)
{
	static const int length[] = {1, 2, 31, 32, 33, 65};

	for (int t = 0; t < 2; t++)
		for (int dim = 64; dim <= 128; dim *= 2)
			prefill(both[t], K_KV_16, 2, 2, dim, length, length, 6);
}

TEST(prefill_after_a_cached_beginning)
{
	static const int length[] = {40, 64, 97, 200}, fresh[] = {8, 32, 1, 70};

	prefill(K_BF16, K_KV_16, 2, 1, 128, length, fresh, 4);
	prefill(K_F16, K_KV_16, 3, 3, 64, length, fresh, 4);
}

TEST(prefill_of_several_tiles)
{
	static const int length[] = {ATTN_TILE, ATTN_TILE + 1, 300}, fresh[] = {ATTN_TILE, ATTN_TILE + 1, 300};

	prefill(K_BF16, K_KV_16, 1, 1, 128, length, fresh, 3);
	prefill(K_F16, K_KV_16, 2, 1, 64, length, fresh, 3);
}

TEST(prefill_of_a_chunk_far_in)
{
	static const int length[] = {1500}, fresh[] = {40};

	prefill(K_BF16, K_KV_16, 1, 1, 128, length, fresh, 1);
}

/* --full, for a GPU: thousands of keys. */
TEST(prefill_of_a_long_prompt)
{
	const int length = check_full ? 4001 : 141;

	prefill(K_BF16, K_KV_16, 1, 1, 128, &length, &length, 1);
	prefill(K_F16, K_KV_INT8, 2, 1, 64, &length, &length, 1);
}

TEST(prefill_of_8_bit_caches)
{
	static const int length[] = {33, 64, 97, 200}, fresh[] = {33, 30, 5, 140};

	for (int i = 0; i < 4; i++) {
		prefill(both[i & 1], i & 2 ? K_KV_FP8 : K_KV_INT8, 2, 1, 128, length, fresh, 4);
		prefill(both[i & 1], i & 2 ? K_KV_FP8 : K_KV_INT8, 2, 2, 64, length, fresh, 4);
	}
}

/* Windows shorter than a tile of keys, so that rows have none in its first ones, and longer than the sequence. */
TEST(prefill_of_bent_scores)
{
	static const int dim[] = {64, 80, 96, 128, 256, 100, 72, 160, 22, 250}, length[] = {33, 190},
			 fresh[] = {33, 140}, window[] = {20, 500, 1, 150}, short_length[] = {17, 75},
			 short_fresh[] = {17, 60};

	for (int i = 0; i < 60; i++)
		bent_prefill(both[i / 30], K_KV_16 + i % 3, 2, 1, dim[i / 3 % 10], short_length, short_fresh, 2,
			     1 + i % 7, (window[i % 4] + 1) / 2);
	for (int i = 0; i < 8; i++)
		bent_prefill(both[i & 1], K_KV_16, 2, 2, i & 2 ? 128 : 64, length, fresh, 2, 1 + (i * 3) % 7,
			     window[i / 2]);
	for (int i = 0; i < 3; i++)
		bent_prefill(both[i & 1], K_KV_16 + i % 3, 2, 1, dim[1 + i + i / 2], length, length, 2, 0, 0);
}

CHECK_MAIN()
