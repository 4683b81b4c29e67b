/* backend.h - everything that differs between the CPU and CUDA: one table of operations.
 *
 * Each operation is declared once, here: `op_NAME` is its function type and carries its contract (shapes, types, what
 * may overlap). A backend declares its body as `op_NAME cpu_NAME;` and puts it into its `struct backend_ops`. Callers
 * use the front function `backend_NAME()`, which checks types and shapes for all backends and then dispatches. A
 * mismatch is our own fault and dies, as does a fault of the device. docs/hacking.md adds an operation step by step.
 *
 * Compute operations are enqueued in order and may return before they are done. Only backend_download() and
 * backend_sync() wait. Pointers are to the backend's memory unless "host" is said. Shapes are (rows, columns), rows
 * contiguous. Unless an operation says otherwise, its output overlaps none of its inputs.
 *
 * The numbers contract (docs/design.md, "Numbers") binds every implementation on the CPU: each output element is one
 * chain of fused multiply-adds whose order follows from the config alone.
 *
 * - linear: K is cut at the leaves of its split, each leaf every 512 columns from its start. Inside a segment the chain
 *   starts at +0 and takes pairs: column 2i+1, then 2i (a missing odd column counts as +0 times +0). Segments of a leaf
 *   combine as a binary counter combines digits (left + right; what is left over at the end from the small end up:
 *   older + newer), leaves of a part by the perfect tree.
 * - quantised: groups of 32 columns from the start of each segment (the last one is filled up with zeros). Weights:
 *   int8 in [-127, 127] with scale max|w| / 127 as f16, int4 in [-8, 7] with scale m / -8 as f16, m the first number of
 *   the largest size; q = w * (1 / scale), to nearest even. Activations: int8, factor 127 / max|x|, scale max|x| / 127
 *   in f32. Inside a segment f = fma(sum of integers, weight scale * activation scale, f), group by group from +0.
 *   e4m3 weights are for CUDA: scale 2^e, with the least e at which no number of the whole row is beyond 448 * 2^e
 *   (base/fp8.h); q = w / scale, to nearest even; a row with an infinity or NaN has the scale NaN.
 * - quantised by files (weight_codes()): int8 may be -128, and scales are the files'. uint8 and uint4 have zero points:
 *   weight = scale * (q - zero), scale f16, q in [0, 255] or [0, 15], zero in [0, 255]. Their groups end where columns
 *   of the whole K axis are multiples of 32, so that they are parts of the files' groups on any rank. A group's sum is
 *   sum(q * x) - zero * sum(x), an exact integer.
 * - blocks of GGUF files (weight_blocks()): groups of 32 columns of the whole K axis as above. f = fma(sum of
 *   integers, (scale * part) * activation scale, f), of Q6_K for 16 columns, then for the other 16; the integers of
 *   Q6_K count from -32, those of Q5_0 from -16, and those of IQ4_NL and IQ4_XS are levels. Then, where there are
 *   minima, f = fma(min * part_min, activation scale * sum of the activations' integers, f).
 *   e4m3 numbers are for CUDA: weight = scale * number, scale f32, rounded to the 16 bits of activations.
 * - norm: 16 lanes, lane l chains x[16i+l]^2 by fma from +0; lanes combine l + (l+8), then +4, +2, +1;
 *   mean = sum / cols; r = 1 / sqrt(mean + eps); out = (x * r) * w (+ bias). NORM_LAYER first takes the mean of x, by
 *   lanes that add, off x. x += delta + shift adds delta and shift first. head_norm is the same over one head.
 * - rope: a' = a*c - b*s, b' = b*c + a*s, each product rounded, then the sum.
 * - attention: per token, head and absolute range of 256 keys: score = (chain over d of fma(q[d], k[d], .) from +0) *
 *   scale, m = max, p = exp(score - m), l = 16 lanes as in norm over key index in the range, o[d] = chain over keys of
 *   fma(p, v[d], .) from +0. Ranges combine as a binary counter: m = max, a = exp(m1-m), b = exp(m2-m),
 *   l = fma(l2, b, l1*a), o = fma(o2, b, o1*a); out = o * (1/l). An int8 cache has a scale for each token and head,
 *   made as a group's of activations: its scores are chain * key scale * scale, and the weights p are multiplied by the
 *   values' scales once l is summed.
 * - A soft cap makes score = cap * (1 - 2 / (exp(2 * (score / cap)) + 1)), which is cap * tanh(score / cap). ALiBi then
 *   makes it fma(slope, key - pos, score). With a window the keys up to pos - window do not exist: they are no part of
 *   m, and their p is +0. A range without keys is left out: a sum of ranges of which one side has none is the other.
 * - silu_mul: (g / (1 + exp(-g))) * u, with one exp of our own (engine/cpu/isa/vec.h), no libm.
 * - activate: relu is 0 > x ? 0 : x. gelu tanh is x / (1 + exp(-2u)), u = sqrt(2/pi) * (x + 0.044715 x^3). gelu is
 *   x * Phi(x) = max(0, x) - |x| * erfc(z) / 2, z = |x| / sqrt(2); with t = 1 / (1 + z/2), erfc(z) = t * exp(p(t) -
 * z^2) and p of degree 9 (Press et al., Numerical Recipes, 6.2), by fma from the highest power down.
 * - route: p = exp(logit - max). The k largest logits are chosen, of equal ones the lower number. A weight is p / sum,
 * the sum over all experts or (norm) over those chosen, from +0 in ascending order. A shared weight is 1 / (1 +
 * exp(-x)).
 * - experts: in each leaf of the inner axis acc = fma(weight, y, acc) from +0, expert by expert in ascending order,
 * those that all tokens share last; y is the leaf's share of the expert's output, as linear makes it. Leaves of a part
 * then combine by the perfect tree.
 * - All with flush-to-zero and denormals-are-zero; f16 subnormals of weights are kept. Where a linear's input is bf16
 *   (compute class bf16) the producer rounds, to nearest even.
 */
#ifndef ENGINE_BACKEND_BACKEND_H
#define ENGINE_BACKEND_BACKEND_H

#include "engine/backend/tensor.h"
#include "parallel/shard.h"

struct backend;
struct sample;
struct sampled;
struct step;
struct lora;   /* low-rank matrices of a product: lora.h */
struct weight; /* a packed matrix; the backend owns layout and scales */

enum norm_kind { NORM_RMS, NORM_LAYER };
/* Of an FFN. Gated: silu of one half of the inner numbers, times the other half. */
enum activation { ACT_SILU_GATED, ACT_RELU, ACT_GELU /* by erf */, ACT_GELU_TANH };

/* What a network may need beyond Llama's first shape. A backend that covers only some of it says so (`covers` of
 * struct backend_ops), and a start with a network that needs more is refused: model_needs(), backend_lacks(). */
enum backend_need {
	NEED_ALIBI = 1 << 0,      /* attn_shape.slopes */
	NEED_WINDOW = 1 << 1,     /* attn_shape.window */
	NEED_SOFT_CAP = 1 << 2,   /* attn_shape.soft_cap */
	NEED_HEAD_NORM = 1 << 3,  /* backend_head_norm() */
	NEED_ACTIVATE = 1 << 4,   /* backend_activate(), every kind but the gated one */
	NEED_BIAS = 1 << 5,       /* `bias` of linear_mid */
	NEED_GATED_BIAS = 1 << 6, /* `bias` of linear_silu_mul */
	NEED_SHIFT = 1 << 7,      /* `shift` of add_norm */
	NEED_ADD = 1 << 8,        /* backend_add() */
	NEED_EXPERTS = 1 << 9,    /* backend_route() and backend_experts() */
	NEED_ALL = (1 << 10) - 1
};

/* Keys and values of one layer lie in an opaque pool of blocks, whose layout and size are the backend's. */
struct kv_shape {
	int kv_heads, head_dim; /* heads of this rank */
	int block_size;         /* tokens of a block */
	enum dtype type;        /* DT_F32, DT_BF16, DT_F16, DT_I8 or DT_F8 */
};

struct attn_shape {
	int heads, kv_heads, head_dim; /* heads of this rank */
	const int32_t *kv_of_head;     /* (heads) host: the local K/V head of each local q head */
	float scale;                   /* of the scores */
	const float *slopes;           /* (heads) host: ALiBi's slopes (arXiv:2108.12409); NULL: none */
	float soft_cap;                /* of the scores; 0: none */
	int window;                    /* keys that a token attends to, its own the last; 0: all */
};

/* cos and sin by position, (positions, n_rot/2) f32 each, made once by the model. Dimension i is rotated with
 * i + n_rot/2 (the "half" form); dimensions from n_rot on stay. */
struct rope {
	const float *cos, *sin;
	int n_rot, positions;
};

/* ---- life and memory ---- */
typedef void op_destroy(struct backend *b);
op_destroy backend_destroy; /* NULL is fine */

/* Pages of the device, zeroed and touched. Dies when there are none. */
typedef void *op_alloc(struct backend *b, size_t bytes);
op_alloc backend_alloc;
/* bytes: as allocated. NULL is fine. */
typedef void op_free(struct backend *b, void *p, size_t bytes);
op_free backend_free;
/* Zeroed host memory that is fast to copy to: results are read into it (comm_gather). */
typedef void *op_host_alloc(struct backend *b, size_t bytes);
op_host_alloc backend_host_alloc;
typedef void op_host_free(struct backend *b, void *p);
op_host_free backend_host_free;
/* From the host to the device. src may be reused at once. */
typedef void op_upload(struct backend *b, void *dst, const void *src, size_t bytes);
op_upload backend_upload;
/* From the device to the host, after all that was enqueued before. Waits. */
typedef void op_download(struct backend *b, void *dst, const void *src, size_t bytes);
op_download backend_download;
/* Waits for all that was enqueued. */
typedef void op_sync(struct backend *b);
op_sync backend_sync;

/* ---- steps ---- */
/* Called once, after weights and KV cache are allocated: one-time work such as choosing algorithms. */
typedef void op_ready(struct backend *b);
op_ready backend_ready;
/* Sets b->graphs, the device memory that graphs of small steps will take. Calls pass(arg, s) for each size of step on
 * operations that only count: it must enqueue what a step of s->head enqueues (s has no arrays; s->adapter is not NULL
 * where some sequence has one), and returns the number of its sums between ranks. */
typedef void op_plan(struct backend *b, int (*pass)(void *arg, const struct step *s), void *arg);
op_plan backend_plan;
/* Fills in warm-up step i, which all ranks run before the first request. False: there are no more. */
typedef bool op_warm(struct backend *b, int i, struct step *s);
op_warm backend_warm;
/* The step as operations read it (device copies of its arrays), valid until the next call. */
typedef const struct step *op_step(struct backend *b, const struct step *s);
op_step backend_step;
/* Runs fn(arg), or replays what it enqueued the last time under this key (CUDA graphs). */
typedef void op_run(struct backend *b, uint64_t key, void (*fn)(void *arg), void *arg);
op_run backend_run;
/* Whether work of the last step still runs. Dies when it failed or takes longer than allowed. */
typedef bool op_busy(struct backend *b);
op_busy backend_busy;

/* ---- weights: their front functions and contracts are in weight.h ---- */
typedef struct weight *op_weight_create(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
					const struct split *k);
typedef void op_weight_rows(struct weight *w, int first, int count, const void *src, size_t ld);
struct weight_codes;
typedef void op_weight_codes(struct weight *w, int first, int count, const struct weight_codes *codes);
struct weight_blocks;
typedef void op_weight_blocks(struct weight *w, int first, int count, const struct weight_blocks *blocks);
typedef void op_weight_order(struct weight *w, const int32_t *order);
typedef void op_weight_destroy(struct weight *w);
typedef void op_weight_touch(struct weight *w);
typedef void *op_weight_packed(struct weight *w, size_t *bytes);
typedef bool op_weight_map(struct weight *w, int fd, int64_t at);
struct weight_band;
typedef void op_weight_bands(struct weight *w, const struct weight_band *band, int n);
typedef void op_weight_stack(struct weight *w, int experts, int each);

/* ---- low-rank updates: their front functions and contracts are in lora.h ---- */
typedef void op_lora_down(struct backend *b, float *t, const struct tensor *x, const struct lora *l,
			  const int32_t *slot);
typedef void op_lora_up(struct backend *b, struct tensor *y, const float *t, const struct lora *l, const int32_t *slot);

/* ---- compute; out first ---- */
/* out (n, hidden) f32 = row ids[i] of the table where this rank owns it, else +0 (-0 becomes +0). Token ids are global;
 * `table` holds the tokens [first_id, first_id + its rows). n = out->rows. */
typedef void op_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table,
		      int first_id);
op_embed backend_embed;

/* What a block adds to the residual stream: (n, cols) and, behind a sum between ranks, the bias of its last product. */
struct delta {
	const void *data;   /* (n, cols); NULL: nothing to add */
	const float *shift; /* (cols); NULL: none. Only beside data */
	enum dtype type;    /* of data: DT_F32 or b->sum */
};
/* By what a norm multiplies, and what it adds. */
struct norm {
	const float *w, *bias; /* (cols); bias may be NULL */
	enum norm_kind kind;
	float eps;
};

/* x (n, cols) f32 += delta; out (n, cols; type b->act or f32) = norm(x) * w (+ bias). */
typedef void op_add_norm(struct backend *b, struct tensor *out, struct tensor *x, struct delta delta,
			 const struct norm *norm);
op_add_norm backend_add_norm;

/* x (n, cols) f32 += delta, whose data is not NULL. */
typedef void op_add(struct backend *b, struct tensor *x, struct delta delta);
op_add backend_add;

/* out (parts of w's split, x->rows, w->rows) f32 = x (n, owned cols; type b->act) * w^T, one partial sum a part. bias
 * (w->rows) or NULL is added last, and only where there is one part of a whole axis. */
typedef void op_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *w,
		       const float *bias);
op_linear backend_linear;

/* out (x->rows, w->rows; type b->mid) = x * w^T (+ bias) over a whole axis: what rope_store, silu_mul and activate
 * read. bias (w->rows) or NULL. Where b->sum is that type, also without bias over this rank's share of an axis. A
 * backend whose mid is f32 has no body of its own. */
typedef void op_linear_mid(struct backend *b, struct tensor *out, const struct tensor *x, const struct weight *w,
			   const float *bias);
op_linear_mid backend_linear_mid;

/* gate_up (n, 2*ffn; type b->mid) as linear_mid makes it of a pair: gate columns first, or alternating with up's
 * (paired_columns); out (n, ffn; type b->act) = silu(gate) * up. bias (2*ffn), gate's first, is added before that: only
 * where columns alternate, since linear_mid cannot add it there; else NULL. */
typedef void op_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up, const float *bias);
op_silu_mul backend_silu_mul;

/* linear_mid and silu_mul in one: silu_mul of x * w^T (+ bias, whose numbers lie as w's rows do in the source: gate
 * first), w paired (weight.h). The result is a view of out or of the start of gate_up's memory, as the backend likes.
 * out may be x's memory. gate_up is scratch: it holds nothing of use. A backend without a body gets the two calls. */
typedef struct tensor op_linear_silu_mul(struct backend *b, struct tensor *out, struct tensor *gate_up,
					 const struct tensor *x, const struct weight *w, const float *bias);
op_linear_silu_mul backend_linear_silu_mul;

/* x (n, ffn; type b->mid), out (n, ffn; type b->act) = the activation of x, any kind but the gated one. */
typedef void op_activate(struct backend *b, struct tensor *out, const struct tensor *x, enum activation kind);
op_activate backend_activate;

/* Which experts of a routed FFN each token takes, all in the backend's memory. */
struct routing {
	int experts, k;  /* of the layer; that a token takes */
	bool norm;       /* the weights of a token's experts sum to 1 */
	int32_t *expert; /* (n, k) ascending in each row */
	float *weight;   /* (n, k + 1) of those experts; the last one is of the experts that all tokens share */
};

/* Fills in expert and weight from logits (n, experts) f32. shared (n) f32: the logit of the shared experts' weight;
 * NULL: it is 1. */
typedef void op_route(struct backend *b, const struct routing *r, const struct tensor *logits, const float *shared);
op_route backend_route;

/* This rank's part of the experts of a layer. */
struct expert_weights {
	/* Stacked (weight.h): (2*ffn, hidden), gate first, NULL where ffn is 0 on this rank; (hidden, ffn). */
	const struct weight *gate_up, *down;
	const struct weight *shared_gate_up, *shared_down; /* the same, stacked as one; both NULL: there are none */
};

/* out (parts of the split of w->down, x->rows, hidden; type b->sum) = the sum of weight * down(silu(gate) * up) over
 * each token's experts and the shared ones, one partial sum a part. x (n, hidden; type b->act). */
typedef void op_experts(struct backend *b, void *out, const struct tensor *x, const struct routing *r,
			const struct expert_weights *w);
op_experts backend_experts;

/* qkv (n, (heads + 2*kv_heads)*head_dim; type b->mid), in place: each head of q is normed and multiplied by q
 * (head_dim) f32, each of k by k (head_dim), as NORM_RMS does. v stays. */
typedef void op_head_norm(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const float *q,
			  const float *k, float eps);
op_head_norm backend_head_norm;

/* ERR_UNSUPPORTED where the backend has no cache of this element type, head or block size: a user may choose them. */
typedef int op_kv_check(struct backend *b, const struct kv_shape *shape, struct why *why);
op_kv_check backend_kv_check;
/* Bytes of one block of one layer, K and V. Dies where backend_kv_check() refuses. */
typedef size_t op_kv_bytes(struct backend *b, const struct kv_shape *shape);
op_kv_bytes backend_kv_bytes;

/* qkv (n, (heads + 2*kv_heads)*head_dim; type b->mid): rotates q in place by s->pos; stores k, rotated too, and v in
 * the pool at s->slot (slot = block*block_size + offset; -1: no store). What k and v in qkv hold afterwards is
 * undefined. rope NULL: no rotation. s: from backend_step(). */
typedef void op_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape,
			   const struct rope *rope, void *pool, const struct kv_shape *kv, const struct step *s);
op_rope_store backend_rope_store;

/* out (n, heads*head_dim; type b->act) = causal attention of each token's q over the first pos+1 keys of its sequence
 * in the pool. */
typedef void op_attention(struct backend *b, struct tensor *out, const struct tensor *qkv,
			  const struct attn_shape *shape, const void *pool, const struct kv_shape *kv,
			  const struct step *s);
op_attention backend_attention;

/* out (r, cols) = rows row[0..r) of x (n, cols), of the same type. */
typedef void op_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row);
op_rows backend_rows;

/* ---- sampling where the logits are, on rank 0 ---- */
/* Device memory that holds `rows` rows of logits for backend_sample(). Called once. NULL: the host samples. */
typedef float *op_sample_open(struct backend *b, int rows, int vocab);
op_sample_open backend_sample_open;
/* Enqueues sampling of the first n rows there, which are rows [first, first + n) of the step, by the rules of
 * sample_token(). Their ids also go to b->sampled. what (n) and left (n) are host memory; left[i] is set where the host
 * must sample row i. */
typedef void op_sample(struct backend *b, int first, int n, const struct sample *what, bool *left);
op_sample backend_sample;
/* Waits for the rows that were not left to the host; out (n) host. */
typedef void op_sampled(struct backend *b, int n, struct sampled *out);
op_sampled backend_sampled;

/* One backend's bodies. Those with a remark may be NULL. */
struct backend_ops {
	const char *name;
	unsigned covers; /* enum backend_need */
	op_destroy *destroy;

	op_alloc *alloc;
	op_free *free;
	op_host_alloc *host_alloc; /* NULL: any memory is fast */
	op_host_free *host_free;   /* NULL where host_alloc is */
	op_upload *upload;
	op_download *download;
	op_sync *sync;

	op_ready *ready; /* NULL: nothing to do */
	op_plan *plan;   /* NULL: no graphs */
	op_warm *warm;   /* NULL: no warm-up steps */
	op_step *step;
	op_run *run;
	op_busy *busy; /* NULL: calls return when they are done */

	op_weight_create *weight_create;
	op_weight_rows *weight_rows;
	op_weight_codes *weight_codes;   /* NULL: weights come as numbers only */
	op_weight_bands *weight_bands;   /* NULL: all rows of a weight are of one class */
	op_weight_blocks *weight_blocks; /* NULL: no class of blocks is among these: */
	unsigned codes;                  /* classes whose weights may be put as integers: bits 1 << enum quant */
	op_weight_order *weight_order;   /* NULL: the columns of a weight are in the order of x */
	op_weight_destroy *weight_destroy;
	op_weight_touch *weight_touch;   /* NULL: memory is taken on creation */
	op_weight_packed *weight_packed; /* NULL: weights are not in host memory */
	op_weight_map *weight_map;       /* NULL where weight_packed is */
	op_weight_stack *weight_stack;   /* NULL without NEED_EXPERTS */
	const char *layout; /* names the form of packed weights in a pack file; NULL where weight_packed is */

	op_embed *embed;
	op_add_norm *add_norm;
	op_add *add; /* NULL without NEED_ADD */
	op_linear *linear;
	op_linear_mid *linear_mid;           /* NULL: mid is f32 */
	op_silu_mul *silu_mul;               /* NULL where linear_silu_mul has a body and there is no lora_up */
	op_linear_silu_mul *linear_silu_mul; /* NULL: linear_mid, then silu_mul */
	op_activate *activate;               /* NULL without NEED_ACTIVATE */
	op_head_norm *head_norm;             /* NULL without NEED_HEAD_NORM */
	op_route *route;                     /* NULL without NEED_EXPERTS */
	op_experts *experts;                 /* the same */
	op_kv_check *kv_check;               /* NULL: every shape is fine */
	op_kv_bytes *kv_bytes;
	op_rope_store *rope_store;
	op_attention *attention;
	op_rows *rows;

	bool paired_columns;     /* products of a pair have gate and up of a column beside each other, not gate first */
	op_lora_down *lora_down; /* both NULL: no low-rank updates */
	op_lora_up *lora_up;

	op_sample_open *sample_open; /* the three NULL: the host samples */
	op_sample *sample;
	op_sampled *sampled;
};

/* The first of `needs` that is not in `covers`, in words; NULL: all are. */
const char *backend_lacks(unsigned needs, unsigned covers);

struct backend {
	const struct backend_ops *ops;
	enum dtype act; /* what linear reads: DT_BF16 in compute class bf16, DT_F32 in f32 */
	enum dtype mid; /* of q, k, v and of gate and up between their product and what reads them: f32 on the CPU */
	enum dtype sum; /* of partial sums on their way between ranks, and so of a block's delta: f32, or mid's type */
	size_t held;    /* bytes allocated so far, weights included */
	size_t graphs;  /* CUDA: bytes that graphs are planned to take, beside `held` */
	bool fixed; /* CUDA: bits depend neither on the batch nor on the number of ranks, as they never do on the CPU */
	size_t graphs_held; /* CUDA: bytes that graphs have taken, by the driver's count */
	const char *
		prompt_attention; /* CUDA, constant: which kernel does prefill, and why not the faster one; else NULL */
	const char *kernel_overlap; /* CUDA, constant: whether kernels overlap, and why not; else NULL */
	void *stream;               /* CUDA: cudaStream_t; CPU: NULL */
	int32_t *sampled; /* (max_tokens) the token sampled for each row of the last step. The next step may name it as
			   -1-r and so be enqueued before the last one is done. NULL: no step runs ahead */
	void (*on_op)(void *arg); /* called once an operation: the watchdog's counter. May be NULL */
	void *on_op_arg;
};

/* Rows of a weight that are of one class. */
struct weight_band {
	int rows;
	enum quant quant;
};
enum { WEIGHT_BANDS = 3 };

/* Common head of every backend's weight. */
struct weight {
	struct backend *b;
	int rows, cols;
	enum dtype stored; /* of the source rows: DT_F32, DT_F16, DT_BF16 */
	enum quant quant;  /* with bands, that of the first rows */
	struct weight_band band[WEIGHT_BANDS];
	int n_bands;    /* weight_bands(); 0: all rows are of one class */
	bool paired;    /* weight_pair(): a backend may put row rows/2 + i behind row i */
	int experts;    /* weight_stack(): matrices that lie below each other; 0: it is one */
	int each;       /* rows of one of them, without those that fill it up */
	struct split k; /* leaves of the K axis and those owned; cols = split_columns(&k).count */
	size_t bytes;   /* held, padding included */
};

/* ---- the CPU backend ---- */
enum {
	CPU_CODES = 1 << QUANT_INT8 | 1 << QUANT_INT4 | 1 << QUANT_UINT8 | 1 << QUANT_UINT4 | 1 << QUANT_Q4_K |
		    1 << QUANT_Q5_K | 1 << QUANT_Q6_K | 1 << QUANT_Q4_1 | 1 << QUANT_IQ4_NL | 1 << QUANT_Q5_0 |
		    1 << QUANT_Q5_1 | 1 << QUANT_IQ4_XS
};
enum cpu_isa { CPU_AUTO, CPU_PORTABLE, CPU_AVX2, CPU_AVX512 /* F,BW,DQ,VL */, CPU_AVX512_BF16 };
struct cpu_options {
	int threads;        /* >= 1; the caller is worker 0 */
	enum cpu_isa isa;   /* AUTO: the best this machine has */
	enum dtype compute; /* DT_F32 or DT_BF16 */
	int max_tokens;     /* rows of the largest step: sizes scratch */
	int max_context;    /* tokens of the longest sequence: sizes attention scratch */
	int max_cols;       /* longest K of any linear */
	int max_heads;      /* q heads of this rank */
	int max_head_dim;
	bool dry;       /* for plans: reserves addresses but no memory; only `held` is true */
	const int *cpu; /* (threads) the CPU that each worker is pinned to, copied; NULL: none is pinned */
};
/* ERR_UNSUPPORTED where the machine lacks the forced instruction set, ERR_INVALID for fewer than one thread. */
int backend_cpu_create(struct backend **out, const struct cpu_options *how, struct why *why);
const char *cpu_isa_name(enum cpu_isa isa);
enum cpu_isa cpu_isa_best(void);
int cpu_isa_parse(const char *name, enum cpu_isa *out); /* ERR_INVALID */

#endif
