/* graphs.c - how much device memory graphs of small steps will take: the model's pass runs on operations that count the
 * kernels which the real ones enqueue. */
#include "engine/cuda/experts.h"

/* What one node of an instantiated graph takes of the device. NVIDIA publishes no figure. Measured: graphs of 500, 1000
 * and 2000 kernels make 362, 395 and 458 MB, so 63 to 66 KB each
 * (forums.developer.nvidia.com/t/increasing-memory-footprint-with-large-task-graphs/244901); later reports say about
 * 10 KB (github.com/NVIDIA/cccl/pull/3768); with drivers of CUDA 12.4 graphs of whole models take 1.14 GiB that took
 * 3.81 before (github.com/vllm-project/vllm/issues/5517). The plan takes the largest: too little would fail a start. */
enum { NODE_BYTES = 64 << 10 };

static void count(struct backend *b, int kernels)
{
	cuda_of(b)->nodes += (size_t)kernels;
}

/* Whether cuBLASLt makes a product of so many rows. It may split the product over k, and then enqueues
 * `cublasLt::splitKreduce_kernel` behind it: the plan assumes that it always does. */
static bool by_cublas(const struct backend *b, const struct tensor *x)
{
	return !((const struct cuda *)b)->how.fixed && x->rows > SKINNY_ROWS;
}

/* Kernels beside such a product: activations become e4m3, and sums are scaled where cuBLASLt does not. */
static int beside(const struct weight *w)
{
	return w->quant == QUANT_FP8 ? 2 : 0;
}

/* Whether x is put in the order of the weight's columns. */
static int ordered(const struct weight *w)
{
	return ((const struct cuda_weight *)w)->order ? 1 : 0;
}

static void count_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table,
			int first_id)
{
	(void)out, (void)ids, (void)table, (void)first_id;
	count(b, 1);
}

static void count_add_norm(struct backend *b, struct tensor *out, struct tensor *x, struct delta delta,
			   const struct norm *norm)
{
	(void)out, (void)x, (void)delta, (void)norm;
	count(b, 1);
}

static void count_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *w,
			 const float *bias)
{
	(void)out;
	count(b, ordered(w) + (by_cublas(b, x) ? beside(w) + 2 + (bias != NULL) : 1));
}

static void count_linear_mid(struct backend *b, struct tensor *out, const struct tensor *x, const struct weight *w,
			     const float *bias)
{
	(void)out;
	count(b, ordered(w) + (by_cublas(b, x) ? beside(w) + 2 + (bias != NULL) : 1));
}

/* Our own product has silu as its epilogue; behind cuBLASLt's it is a kernel. */
static struct tensor count_linear_silu_mul(struct backend *b, struct tensor *out, struct tensor *gate_up,
					   const struct tensor *x, const struct weight *w, const float *bias)
{
	(void)gate_up, (void)bias;
	count(b, ordered(w) + (by_cublas(b, x) ? beside(w) + 3 : 1));
	return *out;
}

static void count_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape,
			     const struct rope *rope, void *pool, const struct kv_shape *kv, const struct step *s)
{
	(void)qkv, (void)shape, (void)rope, (void)pool, (void)kv, (void)s;
	count(b, 1);
}

/* Small steps have new tokens of few per sequence only, which are decoded: no tiles. */
static void count_attention(struct backend *b, struct tensor *out, const struct tensor *qkv,
			    const struct attn_shape *shape, const void *pool, const struct kv_shape *kv,
			    const struct step *s)
{
	(void)out, (void)qkv, (void)shape, (void)pool, (void)kv, (void)s;
	count(b, 1);
}

static void count_add(struct backend *b, struct tensor *x, struct delta delta)
{
	(void)x, (void)delta;
	count(b, 1);
}

static void count_activate(struct backend *b, struct tensor *out, const struct tensor *x, enum activation kind)
{
	(void)out, (void)x, (void)kind;
	count(b, 1);
}

static void count_head_norm(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const float *q,
			    const float *k, float eps)
{
	(void)qkv, (void)shape, (void)q, (void)k, (void)eps;
	count(b, 1);
}

static void count_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up, const float *bias)
{
	(void)out, (void)gate_up, (void)bias;
	count(b, 1);
}

static void count_lora_down(struct backend *b, float *t, const struct tensor *x, const struct lora *l,
			    const int32_t *slot)
{
	(void)t, (void)x, (void)slot;
	count(b, l->shape.k.count ? 1 : 0);
}

static void count_lora_up(struct backend *b, struct tensor *y, const float *t, const struct lora *l,
			  const int32_t *slot)
{
	(void)t, (void)l, (void)slot;
	count(b, y->cols ? 1 : 0);
}

static void count_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	(void)out, (void)x, (void)row;
	count(b, 1);
}

static void count_route(struct backend *b, const struct routing *r, const struct tensor *logits, const float *shared)
{
	(void)r, (void)logits, (void)shared;
	count(b, 1);
}

/* Takes the memory for their rows, too. */
static void count_experts(struct backend *b, void *out, const struct tensor *x, const struct routing *r,
			  const struct expert_weights *w)
{
	int shared = by_cublas(b, x) && w->shared_down ? 2 * beside(w->shared_down) + 5 : 2;

	(void)out;
	cuda_experts_reserve(cuda_of(b), r, w);
	count(b, cuda_experts_kernels(cuda_of(b), x->rows, r, w, shared));
}

static const struct backend_ops counting = {.name = "cuda, counting",
					    .covers = CUDA_COVERS,
					    .embed = count_embed,
					    .add_norm = count_add_norm,
					    .add = count_add,
					    .linear = count_linear,
					    .linear_mid = count_linear_mid,
					    .linear_silu_mul = count_linear_silu_mul,
					    .silu_mul = count_silu_mul,
					    .lora_down = count_lora_down,
					    .lora_up = count_lora_up,
					    .paired_columns = true,
					    .activate = count_activate,
					    .head_norm = count_head_norm,
					    .route = count_route,
					    .experts = count_experts,
					    .rope_store = count_rope_store,
					    .attention = count_attention,
					    .rows = count_rows};

/* Nodes of the graph of a step of so many tokens and rows. Where ranks share a machine and graphs mix with other calls,
 * as here, NCCL waits for an event of its own before a graph's first sum and records it after each (its
 * src/enqueue.cc). */
static size_t graph_nodes(struct cuda *c, int tokens, int rows, bool adapters,
			  int (*pass)(void *arg, const struct step *s), void *arg)
{
	struct step_head head = {
		.kind = STEP_RUN, .n_tokens = tokens, .pad_tokens = tokens, .n_rows = rows, .pad_rows = rows};
	int32_t named = 1;
	struct step s = {.head = &head, .adapter = adapters ? &named : NULL};
	size_t by_nccl = c->how.ranks == 1 ? 0 : 2, sums;

	c->nodes = 0;
	sums = (size_t)pass(arg, &s);
	return c->nodes + sums * (by_nccl + c->how.fixed) + (sums && by_nccl ? 1 : 0);
}

void cuda_plan(struct backend *b, int (*pass)(void *arg, const struct step *s), void *arg)
{
	struct cuda *c = cuda_of(b);
	const struct backend_ops *own = b->ops;
	size_t nodes = 0;
	int tokens;

	b->ops = &counting;
	graph_nodes(c, 1, 1, false, pass, arg); /* takes what experts need, also where no graphs are */
	for (int i = 0; c->how.graphs && (tokens = cuda_step_size(c, i)); i++)
		for (int with = 0; with < (c->how.loras ? 2 : 1); with++)
			nodes += STEPS * (graph_nodes(c, tokens, 0, with, pass, arg) +
					  graph_nodes(c, tokens, tokens, with, pass, arg));
	b->ops = own;
	b->graphs = nodes * NODE_BYTES;
}
