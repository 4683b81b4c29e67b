/* Every kind of kernel runs after one whose result it reads: the bits are the same whether kernels may overlap or not,
 * one by one and as a CUDA graph. */
#include "engine/cuda/cuda.h"
#include "tests/cuda/device.h"

enum {
	T = 5,
	HEADS = 2,
	DIM = 64,
	H = HEADS * DIM,
	QKV = 3 * H,
	FFN = 96,
	VOCAB = 300,
	FIRST = 60 /* position */,
	BLOCKS = 3,
	CUT = 32
};
enum { POOL = BLOCKS * 2 * HEADS * K_HEAD_BYTES(DIM, false), PARTS = T * (FIRST / CUT + 2) };

struct buffer {
	void *p;
	size_t bytes;
};
struct chain {
	struct rng r;
	cudaStream_t stream;
	int major;                 /* of the compute capability */
	struct buffer written[22]; /* written by kernels: NaN at first */
	int n_written;
	void *x, *act, *qkv, *mid, *delta, *parts, *gate_up, *logits, *chosen, *halves, *act8;
	float *act_scale;    /* (T) */
	unsigned char *pool; /* its initial contents */
	struct k_cache cache;
	void *table, *norm, *w_qkv, *w_o, *w_gate_up, *w_down, *head, *int8 /* (H, H) */, *int4,
		*fp8 /* the same bytes as e4m3 */, *scale /* (VOCAB) */, *rope, *ids, *pos, *slot, *row, *segments[2];
	struct attn_args attn;
	void *items, *tiles;
	int n_items;
	struct sample_args sample;
	const struct sample_row *plain; /* other rows: they are sampled from as they are */
	struct cuda cuda;               /* as far as products of cuBLASLt need it */
	struct cuda_weight gemm_o, gemm_qkv;
};
/* The final results. */
struct result {
	float logits[T * VOCAB], x[T * H];
	unsigned char pool[POOL];
	uint16_t halves[H * H];
	struct sample_result sampled[T];
};

static void *written(struct chain *c, size_t bytes)
{
	struct buffer *b = &c->written[c->n_written++];

	*b = (struct buffer){dev_new(bytes), bytes};
	return b->p;
}

static void *weight(struct chain *c, int rows, int cols)
{
	uint16_t *h = random_halves(&c->r, (size_t)(rows * cols), K_BF16);
	void *p = dev_put(h, (size_t)(rows * cols) * 2);

	free(h);
	return p;
}

static void make_weights(struct chain *c)
{
	float *f = random_floats(&c->r, 100 * DIM);
	uint16_t *same = xalloc(H * H, sizeof *same);
	char *int8 = random_integers(&c->r, same, H, H, K_BF16, 8),
	     *int4 = random_integers(&c->r, same, H, H, K_BF16, 4);
	float scale[VOCAB];
	unsigned char *fp8 = random_fp8(&c->r, same, scale, H, H, K_BF16);

	for (int i = 0; i < VOCAB; i++)
		scale[i] = 0x1p-8f;
	c->fp8 = dev_put(fp8, H * H), c->scale = dev_put(scale, sizeof scale);

	c->table = weight(c, VOCAB, H), c->w_qkv = weight(c, QKV, H), c->w_o = weight(c, H, H),
	c->w_gate_up = weight(c, 2 * FFN, H);
	c->w_down = weight(c, H, FFN), c->head = weight(c, VOCAB, H);
	c->int8 = dev_put(int8, H * K_INT8_ROW(H)), c->norm = dev_put(f, H * 4), c->rope = dev_put(f, 100 * DIM * 4);
	c->int4 = dev_put(int4, H * K_INT4_ROW(H));
	free(f), free(same), free(int8), free(int4), free(fp8);
}

static void make_attention(struct chain *c)
{
	static const struct attn_run runs[HEADS] = {{0, 1, 0}, {1, 1, 1}};
	static const int32_t blocks[BLOCKS] = {2, 0, 1}, kv_of_head[HEADS] = {0, 1};
	struct attn_item item[PARTS];
	struct attn_join join[T];
	struct attn_tile tile = {0, T, FIRST, 0};
	int n = 0;

	for (int t = 0; t < T; t++) {
		join[t] = (struct attn_join){n, 0};
		for (int at = 0; at <= FIRST + t; at += CUT, n++, join[t].count++)
			item[n] = (struct attn_item){t, 0, at, min_int(CUT, FIRST + t + 1 - at), n, t};
	}
	c->n_items = n, c->items = dev_put(item, (size_t)n * sizeof *item), c->tiles = dev_put(&tile, sizeof tile);
	c->attn = (struct attn_args){.qkv = c->qkv,
				     .out = c->act,
				     .partial = written(c, (size_t)(PARTS * HEADS * (DIM + 2)) * 4),
				     .joins = dev_put(join, sizeof join),
				     .tickets = dev_new(sizeof(uint32_t) * T * HEADS),
				     .blocks = dev_put(blocks, sizeof blocks),
				     .runs = dev_put(runs, sizeof runs),
				     .kv_of_head = dev_put(kv_of_head, sizeof kv_of_head),
				     .cache = c->cache,
				     .heads = HEADS,
				     .n_runs = HEADS,
				     .scale = 0.1f};
	CUDA(cudaMemset(c->attn.tickets, 0, sizeof(uint32_t) * T * HEADS));
}

static void make_sample(struct chain *c)
{
	struct sample_row row[T], plain[T];
	int32_t ids[T] = {3, 1, 4, 1, 5};

	for (int t = 0; t < T; t++)
		row[t] = (struct sample_row){.per_temperature = 1,
					     .per_repetition = 1,
					     .repetition = 1,
					     .stream = 77u + (unsigned)t,
					     .share = 3u << 30,
					     .mode = SAMPLE_DRAW,
					     .n_top = 3,
					     .top_k = 20,
					     .at = t,
					     .n_output = 1,
					     .seq = t,
					     .presence = 1};
	for (int t = 0; t < T; t++)
		plain[t] = row[t], plain[t].share = 1ull << 32, plain[t].top_k = plain[t].n_output = 0,
		plain[t].n_top = -1;
	c->plain = dev_put(plain, sizeof plain);
	c->sample = (struct sample_args){
		.raw = c->logits,
		.row = dev_put(row, sizeof row),
		.ids = dev_put(ids, sizeof ids),
		.vocab = VOCAB,
		.rows = T,
		.x = written(c, T * VOCAB * 4),
		.count = dev_new(T * VOCAB * 4),
		.bins = dev_new((size_t)T * SAMPLE_SELECTS * SAMPLE_PASSES * SAMPLE_BINS * sizeof *c->sample.bins),
		.select = written(c, (size_t)T * SAMPLE_SELECTS * SAMPLE_PASSES * sizeof *c->sample.select),
		.best = written(c, T * 3 * sizeof *c->sample.best),
		.spread = written(c, T * sizeof *c->sample.spread),
		.result = written(c, T * sizeof *c->sample.result),
		.sampled = written(c, T * 4),
		.history = written(c, T * 4),
		.max_history = 1};
	CUDA(cudaMemset(c->sample.count, 0, T * VOCAB * 4));
}

/* w_o and w_qkv again, for cuBLASLt. */
static void make_gemm(struct chain *c)
{
	c->cuda = (struct cuda){.type = K_BF16, .stream = c->stream};
	c->cuda.gemm = gemm_create(&c->cuda);
	c->gemm_o = (struct cuda_weight){.base = {.b = &c->cuda.base, .rows = H, .cols = H}, .data = c->w_o, .ld = H};
	c->gemm_qkv = c->gemm_o;
	c->gemm_qkv.base.rows = QKV, c->gemm_qkv.data = c->w_qkv;
}

static void open_chain(struct chain *c)
{
	static const struct k_segment whole[1] = {{0, H, 0, 0}}, halves[2] = {{0, 64, 0, 0}, {64, FFN - 64, 0, 1}};
	int32_t ids[T] = {5, 17, 3, 250, 99}, pos[T], slot[T], row[T] = {4, 3, 2, 1, 0};
	uint16_t *old;

	*c = (struct chain){.r = {5}};
	CUDA(cudaDeviceGetAttribute(&c->major, cudaDevAttrComputeCapabilityMajor, 0));
	CUDA(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
	for (int t = 0; t < T; t++) /* blocks 2, 0, 1 */
		pos[t] = FIRST + t, slot[t] = (pos[t] < 64 ? 0 : 1) * KV_BLOCK + pos[t] % KV_BLOCK;
	c->ids = dev_put(ids, sizeof ids), c->pos = dev_put(pos, sizeof pos), c->slot = dev_put(slot, sizeof slot);
	c->row = dev_put(row, sizeof row), c->segments[0] = dev_put(whole, sizeof whole),
	c->segments[1] = dev_put(halves, sizeof halves);
	make_weights(c);
	c->x = written(c, T * H * 4), c->act = written(c, T * H * 2), c->qkv = written(c, T * QKV * 2),
	c->mid = written(c, T * FFN * 2);
	c->delta = written(c, T * H * 4), c->parts = written(c, 2 * T * H * 4),
	c->gate_up = written(c, T * 2 * FFN * 2);
	c->logits = written(c, T * VOCAB * 4), c->chosen = written(c, T * H * 2);
	c->halves = written(c, H * H * 2);
	c->act8 = written(c, T * H), c->act_scale = written(c, T * 4);
	old = random_halves(&c->r, POOL / 2, K_BF16);
	c->pool = (unsigned char *)old;
	c->cache = (struct k_cache){dev_new(POOL), HEADS, DIM, K_KV_16, 0};
	make_attention(c);
	make_sample(c);
	make_gemm(c);
}

static cudaError_t norm(struct chain *c, const void *delta)
{
	return k_add_norm(c->stream, K_BF16, c->act, c->x, delta, K_F32, NULL, c->norm, NULL, false, 1e-6f, T, H);
}

/* A layer: attention of single tokens and skinny products, or prefill attention by either kernel, and products of fixed
 * order. */
enum kind { SINGLE, PROMPT, PROMPT_WGMMA };
static void layer(struct chain *c, enum kind kind)
{
	cudaStream_t s = c->stream;
	struct k_tree tree = {.count = 2, .merges = {0, 1}, .data = {c->parts, (float *)c->parts + T * H}};

	CUDA(k_linear_skinny(s, K_BF16, c->qkv, K_OUT_16, c->act, halves_of(c->w_qkv, H), NULL, T, QKV, H));
	CUDA(k_rope_store(s, K_BF16, c->qkv, c->cache, HEADS, c->rope, c->rope, DIM, c->pos, c->slot, T));
	if (kind == SINGLE)
		CUDA(k_attention_decode(s, K_BF16, c->attn, c->items, c->n_items, 1));
	else
		CUDA((kind == PROMPT ? k_attention_prefill : k_attention_prefill_wgmma)(s, K_BF16, c->attn, c->tiles,
											1));
	CUDA(k_linear_skinny(s, K_BF16, c->delta, K_OUT_F32, c->act, halves_of(c->w_o, H), NULL, T, H, H));
	CUDA(norm(c, c->delta));
	if (kind == SINGLE) {
		CUDA(k_linear_skinny(s, K_BF16, c->mid, K_OUT_SILU, c->act, halves_of(c->w_gate_up, H), NULL, T,
				     2 * FFN, H));
		CUDA(k_linear_skinny(s, K_BF16, c->delta, K_OUT_F32, c->mid, halves_of(c->w_down, FFN), NULL, T, H,
				     FFN));
		return;
	}
	CUDA(k_linear_fixed(s, K_BF16, c->gate_up, K_OUT_16, c->act, halves_of(c->w_gate_up, H), NULL, c->segments[0],
			    1, T, 2 * FFN, H));
	CUDA(k_silu_mul(s, K_BF16, c->mid, c->gate_up, NULL, T, FFN));
	CUDA(k_linear_fixed(s, K_BF16, c->parts, K_OUT_F32, c->mid, halves_of(c->w_down, FFN), NULL, c->segments[1], 2,
			    T, H, FFN));
	CUDA(k_tree_sum(s, c->delta, tree, T * H));
}

/* What other networks than Llama's have between two products. */
static void other_links(struct chain *c)
{
	cudaStream_t s = c->stream;
	struct attn_args bent = c->attn;

	bent.pos = c->pos, bent.slopes = c->norm, bent.cap = 3, bent.window = FIRST;
	CUDA(k_linear_skinny(s, K_BF16, c->qkv, K_OUT_16, c->act, halves_of(c->w_qkv, H), NULL, T, QKV, H));
	CUDA(k_add_bias(s, K_BF16, c->qkv, K_OUT_16, c->norm, T * 3, H));
	CUDA(k_head_norm(s, K_BF16, c->qkv, c->norm, c->norm, 1e-6f, HEADS, HEADS, DIM, T));
	CUDA(k_rope_store(s, K_BF16, c->qkv, c->cache, HEADS, c->rope, c->rope, DIM - 2, c->pos, c->slot, T));
	CUDA(k_attention_decode(s, K_BF16, bent, c->items, c->n_items, 1));
	CUDA(k_activate(s, K_BF16, c->act, c->act, K_GELU, T * H));
	CUDA(k_linear_skinny(s, K_BF16, c->delta, K_OUT_F32, c->act, halves_of(c->w_o, H), c->norm, T, H, H));
	CUDA(k_add(s, c->x, c->delta, K_F32, c->norm, T, H));
	CUDA(k_add_norm(s, K_BF16, c->act, c->x, c->delta, K_F32, c->norm, c->norm, c->norm, true, 1e-6f, T, H));
	CUDA(k_linear_skinny(s, K_BF16, c->qkv, K_OUT_16, c->act, halves_of(c->w_qkv, H), NULL, T, QKV, H));
	CUDA(k_attention_prefill(s, K_BF16, bent, c->tiles, 1));
	if (c->major == 9)
		CUDA(k_attention_prefill_wgmma(s, K_BF16, bent, c->tiles, 1));
}

/* Products of cuBLASLt after our kernels and before them: whether its kernels start early, or let ours do so, is the
 * library's choice. */
static void gemm_links(struct chain *c)
{
	cudaStream_t s = c->stream;

	gemm_run(&c->cuda, c->delta, false, c->act, &c->gemm_o, T);
	CUDA(norm(c, c->delta));
	gemm_run(&c->cuda, c->qkv, true, c->act, &c->gemm_qkv, T);
	CUDA(k_rope_store(s, K_BF16, c->qkv, c->cache, HEADS, c->rope, c->rope, DIM, c->pos, c->slot, T));
	CUDA(k_attention_decode(s, K_BF16, c->attn, c->items, c->n_items, 1));
	gemm_run(&c->cuda, c->delta, false, c->act, &c->gemm_o, T);
	gemm_run(&c->cuda, c->qkv, true, c->act, &c->gemm_qkv, T);
	CUDA(k_linear_skinny(s, K_BF16, c->mid, K_OUT_SILU, c->act, halves_of(c->w_gate_up, H), NULL, T, 2 * FFN, H));
	CUDA(norm(c, c->delta));
}

static void links(struct chain *c)
{
	cudaStream_t s = c->stream;
	const struct sample_needs all = {true, true, true, true, true, true}, draw = {.draw = true};
	struct sample_args plain = c->sample;

	CUDA(k_embed(s, K_BF16, c->x, c->ids, NULL, 0, halves_of(c->table, H), T, H, VOCAB, 0));
	CUDA(norm(c, NULL));
	for (enum kind k = SINGLE; k <= (c->major == 9 ? PROMPT_WGMMA : PROMPT); k++) {
		layer(c, k);
		CUDA(norm(c, c->delta));
	}
	gemm_links(c);
	other_links(c);
	CUDA(k_rows(s, c->chosen, c->act, c->row, T, H * 2));
	CUDA(k_linear_skinny(s, K_BF16, c->logits, K_OUT_F32, c->chosen, halves_of(c->head, H), NULL, T, VOCAB, H));
	plain.row = c->plain;
	CUDA(k_sample(s, plain, draw));
	CUDA(k_sample(s, c->sample, all));
	CUDA(k_embed(s, K_BF16, c->x, c->sample.sampled, NULL, 0, halves_of(c->table, H), T, H, VOCAB, 0));
	CUDA(norm(c, NULL));
	CUDA(k_linear_skinny(s, K_BF16, c->delta, K_OUT_F32, c->act, matrix_of(K_CLASS_INT8, c->int8, H), NULL, T, H,
			     H));
	CUDA(norm(c, c->delta));
	CUDA(k_expand(s, K_BF16, c->halves, matrix_of(K_CLASS_INT8, c->int8, H), H));
	CUDA(k_embed(s, K_BF16, c->delta, c->ids, NULL, 0, halves_of(c->halves, H), T, H, H, 0));
	CUDA(norm(c, c->delta));
	CUDA(k_linear_skinny(s, K_BF16, c->delta, K_OUT_F32, c->act, matrix_of(K_CLASS_INT4, c->int4, H), NULL, T, H,
			     H));
	CUDA(norm(c, c->delta));
	CUDA(k_embed(s, K_BF16, c->delta, c->sample.sampled, NULL, 0, matrix_of(K_CLASS_INT8, c->int8, H), T, H, H, 0));
	CUDA(norm(c, c->delta));
	CUDA(k_linear_skinny(s, K_BF16, c->delta, K_OUT_F32, c->act, fp8_of(c->fp8, c->scale, H), NULL, T, H, H));
	CUDA(norm(c, c->delta));
	CUDA(k_to_fp8(s, K_BF16, c->act8, c->act_scale, c->act, T, H, H));
	CUDA(k_embed(s, K_BF16, c->delta, c->ids, NULL, 0, fp8_of(c->act8, c->act_scale, H), T, H, T, 0));
	CUDA(k_scale(s, K_BF16, c->delta, K_OUT_F32, c->delta, c->act_scale, c->scale, T, H, H, H));
	CUDA(norm(c, c->delta));
}

static void run(struct chain *c, cudaGraphExec_t graph, struct result *out)
{
	for (int i = 0; i < c->n_written; i++)
		CUDA(cudaMemsetAsync(c->written[i].p, 0xff, c->written[i].bytes, c->stream));
	dev_get(out, c->x, 0); /* nothing runs */
	CUDA(cudaMemcpy(c->cache.pool, c->pool, POOL, cudaMemcpyHostToDevice));
	if (graph)
		CUDA(cudaGraphLaunch(graph, c->stream));
	else
		links(c);
	dev_get(out->logits, c->logits, sizeof out->logits);
	dev_get(out->x, c->x, sizeof out->x);
	dev_get(out->pool, c->cache.pool, POOL);
	dev_get(out->halves, c->halves, sizeof out->halves);
	dev_get(out->sampled, c->sample.result, sizeof out->sampled);
	for (int t = 0; t < T; t++) { /* tokens may come in any order, and are checked elsewhere */
		memset(out->sampled[t].top, 0, sizeof out->sampled[t].top);
		memset(out->sampled[t].top_id, 0, sizeof out->sampled[t].top_id);
	}
}

static cudaGraphExec_t captured(struct chain *c)
{
	cudaGraphExec_t exec;
	cudaGraph_t graph;

	CUDA(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal));
	links(c);
	CUDA(cudaStreamEndCapture(c->stream, &graph));
	CUDA(cudaGraphInstantiate(&exec, graph, 0));
	CUDA(cudaGraphDestroy(graph));
	return exec;
}

TEST(kernels_that_overlap)
{
	struct result *want = xalloc(1, sizeof *want), *got = xalloc(1, sizeof *got);
	struct chain c;
	cudaGraphExec_t graph;

	open_chain(&c);
	CUDA(k_attention_init());
	if (c.major == 9)
		CUDA(k_attention_wgmma_init());
	CUDA(k_linear_init());
	k_overlap(false);
	run(&c, NULL, want);
	for (int i = 0; i < T * VOCAB; i++)
		CHECK(fabsf(want->logits[i]) < 1e4f);
	k_overlap(!k_no_overlap(0));
	graph = captured(&c);
	for (int i = 0; i < 6; i++) {
		run(&c, i & 1 ? graph : NULL, got);
		CHECK(!memcmp(want, got, sizeof *got));
	}
	CUDA(cudaGraphExecDestroy(graph));
	free(want), free(got);
}

CHECK_MAIN()
