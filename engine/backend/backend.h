/* backend.h - everything that differs between CPU and CUDA.
 *
 * An implementation fills `struct backend_ops` and does only arithmetic: the backend_*() front functions check
 * types and shapes once, for all of them. Compute calls are enqueued in order and may return before they are
 * done; only backend_download() and backend_sync() wait. Device faults die().
 *
 * The numbers contract (docs/design.md, "Numbers") binds every implementation on the CPU: each output element is one
 * chain of fused multiply-adds whose order comes from the config alone.
 *
 *   linear     K is cut at the leaves of its split, each leaf every 512 columns from its start; inside a segment the
 *              chain starts at +0 and takes pairs: column 2i+1, then 2i (a missing odd column counts as +0 times
 *              +0); segments of a leaf combine as a binary counter combines digits (left + right; what is left over
 *              at the end from the small end up: older + newer); leaves of a part by the perfect tree.
 *   quantised  groups of 32 columns from the start of each segment (the last one is filled up with zeros). Weights:
 * int8 in
 *              [-127, 127] with scale max|w| / 127 as f16, int4 in [-8, 7] with scale m / -8 as f16, m the first number
 * of the largest size; q = w * (1 / scale), to nearest even. Activations: int8, factor 127 / max|x|, scale max|x| / 127
 * in f32. Inside a segment f = fma(sum of integers, weight scale * activation scale, f), group by group from +0. norm
 * 16 lanes: lane l chains x[16i+l]^2 by fma from +0; lanes combine l + (l+8), then +4, +2, +1; mean = sum / cols; r = 1
 * / sqrt(mean + eps); out = (x * r) * w (+ bias). rope       a' = a*c - b*s, b' = b*c + a*s, each product rounded, then
 * the sum. attention  per token, head and absolute range of 256 keys: score = (chain over d of fma(q[d], k[d], .) from
 * +0) * scale, m = max, p = exp(score - m), l = 16 lanes as in norm over key index in the range, o[d] = chain over keys
 * of fma(p, v[d], .) from +0; ranges combine as a binary counter: m = max, a = exp(m1-m), b = exp(m2-m), l = fma(l2, b,
 * l1*a), o = fma(o2, b, o1*a); out = o * (1/l). An int8 cache has a scale for each token and head, made as a group's of
 * activations: its scores are chain * key scale * scale, and the weights p are multiplied by the values' scales once l
 * is summed. silu_mul   (g / (1 + exp(-g))) * u, with one exp of our own (engine/cpu/), no libm. All with flush-to-zero
 * and denormals-are-zero; f16 subnormals of weights are kept. Where a linear's input is bf16 (compute class bf16) the
 * producer rounds, to nearest even.
 */
#ifndef ENGINE_BACKEND_BACKEND_H
#define ENGINE_BACKEND_BACKEND_H

#include "engine/backend/tensor.h"
#include "parallel/shard.h"

struct backend;
struct sample;
struct sampled;
struct step;
struct weight; /* a packed matrix; the backend owns layout and scales */

enum norm_kind { NORM_RMS, NORM_LAYER };

/* K and V of one layer: opaque pools of blocks, layout and size private to the backend. */
struct kv_shape {
	int kv_heads, head_dim, block_size; /* heads of this rank */
	enum dtype type;                    /* DT_F32, DT_BF16, DT_F16, DT_I8 or DT_F8 */
};

struct attn_shape {
	int heads, kv_heads, head_dim;
	const int32_t *kv_of_head; /* (heads) host: local K/V head of each local q head */
	float scale;
};

/* cos and sin by position, made once by the model: (positions, n_rot/2) f32 each, in the backend's memory.
 * Rotates dimension i with i + n_rot/2 (the "half" form); dimensions from n_rot on are left. */
struct rope {
	const float *cos, *sin;
	int n_rot, positions;
};

struct backend_ops {
	const char *name;
	void (*destroy)(struct backend *b);

	/* memory: pages of the device, zeroed, touched */
	void *(*alloc)(struct backend *b, size_t bytes);
	void (*free)(struct backend *b, void *p, size_t bytes);
	/* of the host, fast to copy to; NULL: any memory is */
	void *(*host_alloc)(struct backend *b, size_t bytes);
	void (*host_free)(struct backend *b, void *p);
	/* Once, when weights and cache are there: what is better done before the first step. May be NULL */
	void (*ready)(struct backend *b);
	void (*upload)(struct backend *b, void *dst, const void *src, size_t bytes);
	void (*download)(struct backend *b, void *dst, const void *src, size_t bytes);
	void (*sync)(struct backend *b);
	bool (*busy)(struct backend *b); /* NULL: calls return when they are done */
	/* The step as kernels see it (device copies of its arrays); valid until the next call. */
	const struct step *(*step)(struct backend *b, const struct step *s);
	/* Fills step i of those that are to be run once, on all ranks, before the first one counts; false: there are no
	 * more. May be NULL */
	bool (*warm)(struct backend *b, int i, struct step *s);
	/* Runs fn(arg), or replays what it enqueued the last time under this key (CUDA graphs). */
	void (*run)(struct backend *b, uint64_t key, void (*fn)(void *arg), void *arg);

	/* weights */
	struct weight *(*weight_create)(struct backend *b, int rows, int cols, enum dtype stored,
					const struct split *k);
	struct weight *(*weight_create_quant)(struct backend *b, int rows, int cols, enum dtype stored,
					      enum quant quant, const struct split *k); /* NULL: none */
	void (*weight_rows)(struct weight *w, int first, int count, const void *src, size_t ld);
	void (*weight_destroy)(struct weight *w);
	/* Zeroed pages of its own, touched by the threads that compute with them. NULL: they are taken on creation. */
	void (*weight_touch)(struct weight *w);
	/* Its packed bytes, for keeping; `layout` names their form. NULL where they are not in this memory. */
	void *(*weight_packed)(struct weight *w, size_t *bytes);
	/* A file's pages in place of its own, until weight_touch(). */
	bool (*weight_map)(struct weight *w, int fd, int64_t at);
	const char *layout;

	/* compute; out first */
	void (*embed)(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table,
		      int first_id);
	void (*add_norm)(struct backend *b, struct tensor *out, struct tensor *x, const float *delta, const float *w,
			 const float *bias, enum norm_kind kind, float eps);
	void (*linear)(struct backend *b, float *out, const struct tensor *x, const struct weight *w,
		       const float *bias);
	void (*linear_mid)(struct backend *b, struct tensor *out, const struct tensor *x,
			   const struct weight *w);                                        /* NULL where mid is f32 */
	int (*kv_check)(struct backend *b, const struct kv_shape *shape, struct why *why); /* NULL: holds every shape */
	size_t (*kv_bytes)(struct backend *b, const struct kv_shape *shape);
	void (*rope_store)(struct backend *b, struct tensor *qkv, const struct attn_shape *shape,
			   const struct rope *rope, void *pool, const struct kv_shape *kv, const struct step *s);
	void (*attention)(struct backend *b, struct tensor *out, const struct tensor *qkv,
			  const struct attn_shape *shape, const void *pool, const struct kv_shape *kv,
			  const struct step *s);
	void (*silu_mul)(struct backend *b, struct tensor *out,
			 const struct tensor *gate_up); /* NULL where the next is there */
	/* NULL: linear_mid, then silu_mul. */
	struct tensor (*linear_silu_mul)(struct backend *b, const struct tensor *out, const struct tensor *gate_up,
					 const struct tensor *x, const struct weight *w);
	void (*rows)(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row);

	/* Sampling where the logits are (rank 0). All NULL: on the host */
	float *(*sample_open)(struct backend *b, int rows, int vocab);
	void (*sample)(struct backend *b, int first, int n, const struct sample *what, bool *left);
	void (*sampled)(struct backend *b, int n, struct sampled *out);
};

struct backend {
	const struct backend_ops *ops;
	enum dtype act; /* what linear reads: DT_BF16 in compute class bf16, DT_F32 in f32 */
	enum dtype mid; /* of q, k, v and of gate and up between their product and what reads them: f32 on the CPU */
	size_t held;    /* bytes taken by alloc and weights so far */
	size_t graphs, graphs_held; /* CUDA, beside `held`: bytes that captured steps are planned to take, and have
				       taken by the driver's count */
	const char *prompt_attention,
		*kernel_overlap; /* CUDA, constant: which way, and why not the faster one; else NULL */
	void *stream;            /* CUDA: cudaStream_t; CPU: NULL */
	int32_t *drawn; /* (max_tokens) of the device: what each row of the last step drew, which tokens of the next may
			   name as -1-r, so that it is enqueued before the last is done. NULL: no step runs ahead */
	void (*on_op)(void *arg); /* called once an operation: the watchdog's counter. May be NULL */
	void *on_op_arg;
};

/* ---- the CPU backend ---- */
enum cpu_isa { CPU_AUTO, CPU_PORTABLE, CPU_AVX2, CPU_AVX512 /* F,BW,DQ,VL */, CPU_AVX512_BF16 };
struct cpu_options {
	int threads;        /* >= 1; the caller is worker 0 */
	enum cpu_isa isa;   /* AUTO: the best this machine has */
	enum dtype compute; /* DT_F32 or DT_BF16 */
	int max_tokens;     /* rows of the largest step: sizes scratch */
	int max_context;    /* longest sequence: sizes attention scratch */
	int max_cols;       /* longest K of any linear */
	int max_heads;      /* q heads of this rank */
	int max_head_dim;
	bool dry;       /* takes addresses, no memory: only `held` is true. For plans */
	const int *cpu; /* (threads) the CPU that each worker is pinned to; NULL: none is. Copied */
};
/* ERR_UNSUPPORTED where the machine lacks the forced instruction set. */
int backend_cpu_create(struct backend **out, const struct cpu_options *how, struct why *why);
const char *cpu_isa_name(enum cpu_isa isa);
enum cpu_isa cpu_isa_best(void);
int cpu_isa_parse(const char *name, enum cpu_isa *out); /* ERR_INVALID */

/* ---- front functions: check, then dispatch ---- */
void backend_destroy(struct backend *b); /* NULL is fine */
void *backend_alloc(struct backend *b, size_t bytes);
void backend_free(struct backend *b, void *p, size_t bytes);
/* Zeroed memory of the host that results are read into (comm_gather). */
void *backend_host_alloc(struct backend *b, size_t bytes);
void backend_host_free(struct backend *b, void *p);
void backend_ready(struct backend *b);
void backend_upload(struct backend *b, void *dst, const void *src, size_t bytes);
void backend_download(struct backend *b, void *dst, const void *src, size_t bytes);
void backend_sync(struct backend *b);
/* What was enqueued with the last step still runs; dies where it takes too long or has failed. */
bool backend_busy(struct backend *b);
const struct step *backend_step(struct backend *b, const struct step *s);
bool backend_warm(struct backend *b, int i, struct step *s);
void backend_run(struct backend *b, uint64_t key, void (*fn)(void *arg), void *arg);

/* out (n, hidden) f32 = row ids[i] of the table where this rank owns it, else +0 (-0 becomes +0). Token ids are global;
 * `table` holds the words [first_id, first_id + its rows). n = out->rows. */
void backend_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id);
/* x (n, cols) f32 += delta (n, cols; NULL: nothing to add); out (n, cols; of type b->act or f32) = norm(x). */
void backend_add_norm(struct backend *b, struct tensor *out, struct tensor *x, const float *delta,
		      const float *w /* (cols) */, const float *bias /* (cols) or NULL */, enum norm_kind kind,
		      float eps);
/* out (parts of w's split, x->rows, w->rows) f32 = x (n, owned cols; type b->act) * w^T, one partial a part; bias
 * (w->rows) or NULL, added last, only where there is one part of a whole axis. */
void backend_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *w, const float *bias);
/* out (x->rows, w->rows; type b->mid) = x * w^T of a whole axis: what rope_store and silu_mul read. */
void backend_linear_mid(struct backend *b, struct tensor *out, const struct tensor *x, const struct weight *w);
/* ERR_UNSUPPORTED where the backend has no cache of this element type or block size. For what a user may choose. */
int backend_kv_check(struct backend *b, const struct kv_shape *shape, struct why *why);
/* Bytes of one block of one layer, K and V. Dies where backend_kv_check() refuses. */
size_t backend_kv_bytes(struct backend *b, const struct kv_shape *shape);
/* qkv (n, (heads + 2*kv_heads)*head_dim; type b->mid): rotates q in place by s->pos, stores k, rotated too, and v in
 * s->slot (slot = block*block_size + offset; -1: no store); what is left of k and v in qkv is the backend's affair.
 * rope NULL: no rotation. s: from backend_step(). */
void backend_rope_store(struct backend *b, struct tensor *qkv, const struct attn_shape *shape, const struct rope *rope,
			void *pool, const struct kv_shape *kv, const struct step *s);
/* out (n, heads*head_dim; type b->act) = causal attention of each token over the first pos+1 keys of its sequence. */
void backend_attention(struct backend *b, struct tensor *out, const struct tensor *qkv, const struct attn_shape *shape,
		       const void *pool, const struct kv_shape *kv, const struct step *s);
/* gate_up (n, 2*ffn; type b->mid): gate columns first; out (n, ffn; type b->act) = silu(gate) * up. */
void backend_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up);
/* The two in one: silu_mul of x * w^T, w paired (weight.h), in out, which may be x's memory, or at the start of
 * gate_up's: the result says where. What gate_up holds otherwise is in no order of note. */
struct tensor backend_linear_silu_mul(struct backend *b, struct tensor *out, struct tensor *gate_up,
				      const struct tensor *x, const struct weight *w);
/* out (r, cols) = rows of x (n, cols); same type. */
void backend_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row /* (r) */);
/* Memory of the device where `rows` rows of logits are to be for backend_sample(); once. NULL: the host samples. */
float *backend_sample_open(struct backend *b, int rows, int vocab);
/* Enqueues the sampling of the first n rows there, rows [first, first + n) of the step, as sample_token() does; their
 * ids also go to b->drawn. left[i]: row i is the host's to sample. */
void backend_sample(struct backend *b, int first, int n, const struct sample *what, bool *left);
/* Waits for those that were not left. */
void backend_sampled(struct backend *b, int n, struct sampled *out);

#endif
