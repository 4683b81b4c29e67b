/* kernels.h - the C interface to the kernels. Every function enqueues on `stream` and returns at once. Pointers are to
 * the device unless said. Matrices are row-major; "16-bit" is bf16 or f16, as `type` says. Callers check shapes. */
#ifndef ENGINE_CUDA_KERNELS_H
#define ENGINE_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum k_type { K_BF16, K_F16, K_F32 };

/* Allows a kernel to start before the one before it has ended, on compute capability 9.0 and later. Initially false. */
void k_overlap(bool on);
/* Returns why the kernels of a device cannot overlap, as Status shows it; NULL: they can, in CUDA graphs too. */
const char *k_no_overlap(int device);

/* How weights are held: below, "int8 weights" and so on. */
enum k_class { K_CLASS_16, K_CLASS_INT8, K_CLASS_INT4, K_CLASS_FP8, K_CLASS_UINT8, K_CLASS_UINT4, K_CLASS_E4M3 };
/* Rows of weights that begin a multiple of 16 bytes apart. */
struct k_matrix {
	const void *data;
	const float *scale; /* (rows) only of K_CLASS_FP8 */
	int32_t ld;         /* numbers of a row, a multiple of 32, with zeros from its columns on */
	int32_t first;      /* of K_CLASS_E4M3: where its first column lies in a group of scales */
	enum k_class class_;
	int32_t none; /* fills the padding, as in struct k_cache */
};

enum { KV_BLOCK = 32 /* tokens of a block of the cache */ };

/* What the cache holds: numbers of the activations' type, or 8 bits (int8 or e4m3) times a scale for each token and
 * head. */
enum k_kv { K_KV_16, K_KV_INT8, K_KV_FP8 };

/* A block holds K (kv_heads, 32, K_CACHE_DIM(dim)), then V likewise; what lies beyond a head's end is 0. 8-bit heads
 * are followed by their scales (32) in f32. dim is even and up to 256. */
#define K_CACHE_DIM(dim) (((dim) + 15) / 16 * 16)
struct k_cache {
	void *pool;
	int32_t kv_heads, dim;
	enum k_kv kv;
	int32_t none; /* fills the padding: the emulated GPU scans all 8-byte units for addresses */
};
/* Bytes of one head in a block. */
#define K_HEAD_BYTES(dim, bits8) (KV_BLOCK * K_CACHE_DIM(dim) * ((bits8) ? 1 : 2) + ((bits8) ? KV_BLOCK * 4 : 0))

/* ---- attention's work, cut by the host (plan.c) ---- */
struct attn_item { /* decode: keys [first, first + keys) of one token */
	int32_t token, block_at /* of its sequence, in `blocks` */, first, keys;
	int32_t part; /* index of its partial result */
	int32_t join; /* its token's entry in `joins`; -1: the token has one item, and its result goes to `out` */
};
struct attn_join { /* decode: partials of one token, in order of keys; the last block to finish folds them */
	int32_t first, count;
};
struct attn_tile { /* prefill: `rows` tokens of one sequence from `token` on */
	int32_t token, rows, pos /* position of the first */, block_at;
};
/* Neighbouring q heads [head, head + heads) that share one K/V head: up to ATTN_GROUP of the sizes that such models
 * have. */
enum { ATTN_GROUP = 4 };
static inline int attn_group(int dim)
{
	return dim == 64 || dim == 128 ? ATTN_GROUP : 1;
}
struct attn_run {
	int32_t head, heads, kv;
};

struct attn_args {
	const void *qkv; /* (tokens, (heads + 2*kv_heads)*dim) 16-bit; dim is the cache's */
	void *out;       /* (tokens, heads*dim) 16-bit */
	float *partial;  /* (parts, heads, dim + 2): unscaled sum, maximum (base 2), sum of weights */
	const struct attn_join *joins;
	uint32_t *tickets; /* (joins, n_runs), all 0 between calls */
	const int32_t *blocks;
	const struct attn_run *runs; /* (n_runs) */
	const int32_t *kv_of_head;   /* (heads) */
	struct k_cache cache;
	int heads, n_runs;
	float scale;
	int range; /* keys that are summed apart, then folded in order; 0: all keys of an item */
	/* What Llama has not: backend.h says how scores are bent. Heads of 64 and 128 have kernels without it; the
	 * others take heads of any size. */
	const int32_t *pos;  /* (tokens) positions; used where one of these is */
	const float *slopes; /* (heads) ALiBi's; NULL: none */
	float cap;           /* of scores; 0: none */
	int window;          /* keys that a token attends to, its own the last; 0: all */
};
static inline bool attn_bent(const struct attn_args *a)
{
	return a->slopes || a->cap > 0 || a->window || (a->cache.dim != 64 && a->cache.dim != 128);
}

cudaError_t k_attention_decode(cudaStream_t stream, enum k_type type, struct attn_args a, const struct attn_item *items,
			       int n, int group /* largest run: 1 to attn_group() */);
typedef cudaError_t k_prefill(cudaStream_t stream, enum k_type type, struct attn_args a, const struct attn_tile *tiles,
			      int n);
k_prefill k_attention_prefill;
enum { ATTN_TILE = 128 /* rows of a prefill tile at most */ };
/* Lets the two above use more than 48 KiB of shared memory. Call it once before the first launch. */
cudaError_t k_attention_init(void);
/* Prefill attention by wgmma: compute capability 9.0, heads of 64 or 128 and a 16-bit cache. It needs its own init,
 * too.
 */
k_prefill k_attention_prefill_wgmma;
cudaError_t k_attention_wgmma_init(void);

/* ---- operations on rows ---- */
/* Token -1-r, r < n_sampled, is sampled[r]; beyond n_sampled it is no token (zeros). out (n, cols). */
cudaError_t k_embed(cudaStream_t stream, enum k_type type, float *out, const int32_t *ids, const int32_t *sampled,
		    int n_sampled, struct k_matrix table, int n, int cols, int rows, int first);
/* out: of `type`, which may be K_F32. delta: K_F32 or K_BF16, or NULL. shift: (cols) or NULL. w and bias must have been
 * written by copies, not by kernels. */
cudaError_t k_add_norm(cudaStream_t stream, enum k_type type, void *out, float *x, const void *delta,
		       enum k_type delta_type, const float *shift, const float *w, const float *bias, bool centred,
		       float eps, int rows, int cols);
/* x (rows, cols) += delta + shift (cols) or NULL. */
cudaError_t k_add(cudaStream_t stream, float *x, const void *delta, enum k_type delta_type, const float *shift,
		  int rows, int cols);
/* Norms q's heads and multiplies them by q (dim), K's by k (dim), in place; both must have been written by copies. */
cudaError_t k_head_norm(cudaStream_t stream, enum k_type type, void *qkv, const float *q, const float *k, float eps,
			int heads, int kv_heads, int dim, int tokens);
/* Rotates q in place. k goes rotated to the cache and stays unrotated in qkv. slot -1: no store. cos NULL: no rotation.
 * n_rot is even, and best a multiple of 8. cos, sin, pos and slot must have been written by copies, not by kernels. */
cudaError_t k_rope_store(cudaStream_t stream, enum k_type type, void *qkv /* 16-bit */, struct k_cache cache, int heads,
			 const float *cos, const float *sin, int n_rot, const int32_t *pos, const int32_t *slot,
			 int tokens);
/* gate_up (rows, 2*ffn): gate and up of a column are neighbours; both 16-bit. bias: NULL, or gate's (ffn), then up's.
 */
cudaError_t k_silu_mul(cudaStream_t stream, enum k_type type, void *out, const void *gate_up, const float *bias,
		       int rows, int ffn);
/* n 16-bit numbers. */
enum k_activation { K_RELU, K_GELU /* by erf */, K_GELU_TANH };
cudaError_t k_activate(cudaStream_t stream, enum k_type type, void *out, const void *x, enum k_activation kind,
		       size_t n);
/* Copies rows of `bytes` bytes, a multiple of 2. */
cudaError_t k_rows(cudaStream_t stream, void *out, const void *x, const int32_t *row, int rows, int bytes);

/* ---- int8 weights: a row of ld columns lies in parts of 512 (the last one may be shorter): 16 scales in f16, each for
 * 32 columns, then the numbers ---- */
enum { K_PART = 512, K_PART_SCALES = 2 * K_PART / 32 /* bytes */ };
#define K_INT8_ROW(ld) ((ld) + ((ld) + K_PART - 1) / K_PART * K_PART_SCALES) /* bytes */
/* int4 weights: likewise in parts of 1024 columns: 32 scales, then the numbers plus 8, two a byte: the lower half is
 * the even column. */
enum { K_PART4 = 2 * K_PART, K_PART4_SCALES = 2 * K_PART4 / 32 };
#define K_INT4_ROW(ld) ((ld) / 2 + ((ld) + K_PART4 - 1) / K_PART4 * K_PART4_SCALES) /* bytes */
/* uint8 and uint4 weights: likewise, with 4 bytes for each 32 columns in place of 2: the scale, then the zero point, an
 * integer in bf16. The numbers are as files hold them, from 0 on. */
#define K_UINT8_ROW(ld) ((ld) + ((ld) + K_PART - 1) / K_PART * 2 * K_PART_SCALES)        /* bytes */
#define K_UINT4_ROW(ld) ((ld) / 2 + ((ld) + K_PART4 - 1) / K_PART4 * 2 * K_PART4_SCALES) /* bytes */
/* e4m3 weights: as int8's, but with up to 5 scales in f32: column i of a part has scale (i + first) / 128. No code is
 * NaN. */
enum { K_E4M3_GROUP = 128 };
#define K_E4M3_ROW(ld) K_INT8_ROW(ld)
/* Makes 16-bit numbers of a class that has scales among its numbers: out (rows, ld) of `type` = number times scale,
 * rounded. */
cudaError_t k_expand(cudaStream_t stream, enum k_type type, void *out, struct k_matrix w, int rows);
/* out (rows, cols) = columns order[0..cols) of x (rows, cols), 16-bit. order must have been written by a copy. */
cudaError_t k_columns(cudaStream_t stream, void *out, const void *x, const int32_t *order, int rows, int cols);

/* The form of out: f32; 16-bit; or 16-bit (m, n/2) = silu of column 2i times column 2i + 1, whose biases are numbers i
 * and n/2 + i. */
enum k_form { K_OUT_F32, K_OUT_16, K_OUT_SILU };
/* out (m, n), f32 or 16-bit, += bias (n), rounded again. */
cudaError_t k_add_bias(cudaStream_t stream, enum k_type type, void *out, enum k_form form, const float *bias, int m,
		       int n);

/* ---- fp8 weights: rows of ld e4m3 numbers, and a scale in f32 for each row (base/fp8.h) beside them, (rows) ---- */
/* Makes e4m3 numbers of x (m, k) of `type`, k a multiple of 8: out (m, ld), zeros from k on, and scale (m). */
cudaError_t k_to_fp8(cudaStream_t stream, enum k_type type, void *out, float *scale, const void *x, int m, int k,
		     int ld);
/* Scales sums of e4m3 numbers: out (m, n of rows ldo numbers apart), f32 or 16-bit (K_OUT_16), = sums (m, n of rows ld
 * apart) times row (m) times column (n). out may be `sums` where ldo is ld. n is a multiple of 4. */
cudaError_t k_scale(cudaStream_t stream, enum k_type type, void *out, enum k_form form, const float *sums,
		    const float *row, const float *column, int m, int n, int ld, int ldo);

/* ---- linear: out (m, n) = x (m, k) w^T (n, k) + bias (n) or NULL ---- */
cudaError_t k_linear_skinny(cudaStream_t stream, enum k_type type, void *out, enum k_form form, const void *x,
			    struct k_matrix w, const float *bias, int m, int n, int k);
/* Gives each row the same bits for any m: K is cut into segments that combine as a binary counter; out (parts, m, n),
 * one part for K_OUT_SILU. */
struct k_segment {
	int32_t col, cols; /* multiples of 8, except the last cols */
	int32_t merges;    /* additions of the stack's two top entries after this segment */
	int32_t part;      /* >= 0: this part is complete then */
};
enum { K_MAX_SEGMENTS = 96 };
cudaError_t k_linear_fixed(cudaStream_t stream, enum k_type type, void *out, enum k_form form, const void *x,
			   struct k_matrix w, const float *bias, const struct k_segment *segments /* device */,
			   int n_segments, int m, int n, int k);
cudaError_t k_linear_init(void);

/* ---- mixtures of experts: rows of tokens, ordered by expert ---- */
/* expert (n, k) ascending, weight (n, k + 1): backend.h, "route". shared (n) or NULL. */
cudaError_t k_route(cudaStream_t stream, int32_t *expert, float *weight, const float *logits /* (n, experts) */,
		    const float *shared, int n, int experts, int k, bool norm);
/* Rows [first, first + rows) are tokens of one expert. */
struct k_group {
	int32_t expert, first, rows, none;
};
struct k_rows_of {
	int32_t *token;        /* (n * k) whose row it is */
	int32_t *place;        /* (n, k) the row of a token's i-th expert */
	struct k_group *group; /* room for k_most_groups() */
	int32_t *n_groups;     /* (1) */
	int32_t most, none;    /* rows of a group */
};
static inline int k_most_groups(int rows, int experts, int most)
{
	return (rows < experts ? rows : experts) + rows / most;
}
cudaError_t k_order_rows(cudaStream_t stream, struct k_rows_of r, const int32_t *expert, int n, int experts, int k);

/* Products of each group's rows with its expert's matrix, whose `n` outputs are those from row expert * step on: out
 * (parts, rows of all groups, n), or (rows, n/2) for K_OUT_SILU. */
struct k_experts {
	enum k_form form;
	int32_t n, step, k;
	const void *x;        /* (tokens, k); without `token` (rows, k) */
	const int32_t *token; /* (rows) the row of x; NULL: the same */
	struct k_matrix w;
	const struct k_group *group;
	const int32_t *n_groups;
	int32_t most_groups, most; /* groups; rows of a group: 8 or 32 */
	int32_t rows;              /* of all groups */
	int32_t n_segments;        /* 0: any order of sums */
	const struct k_segment *segments;
};
cudaError_t k_experts_products(cudaStream_t stream, enum k_type type, void *out, struct k_experts a);
/* The same with groups of K_EXPERTS_TILE rows, in any order of sums. */
enum { K_EXPERTS_TILE = 128 };
cudaError_t k_experts_tiles(cudaStream_t stream, enum k_type type, void *out, struct k_experts a);
cudaError_t k_experts_init(void);
/* out (n, cols), f32 or bf16 (K_OUT_16) = the perfect tree over `leaves` (1, 2, 4, 8) of sums by fma from +0: a token's
 * rows of y times their weights, ascending, then its row of `shared` times the last weight. */
struct k_experts_sum {
	const float *y;       /* (leaves, rows, cols); NULL: none */
	const float *shared;  /* (leaves, n, cols); NULL: none */
	const int32_t *place; /* (n, k) */
	const float *weight;  /* (n, k + 1) */
	int32_t n, k, rows, cols, leaves;
	enum k_form form;
};
cudaError_t k_experts_add(cudaStream_t stream, void *out, struct k_experts_sum a);

/* ---- low-rank updates: rows with slots (engine/backend/lora.h) ---- */
enum { K_LORA_PIECES = 3, K_LORA_LEAVES = 32 };
struct k_lora_slot {
	int32_t rank[K_LORA_PIECES], a_of[K_LORA_PIECES];
};
struct k_lora {
	const float *a, *b; /* (slots, pieces, rank/16, cols, 16), (slots, panels, rank, 16) */
	const struct k_lora_slot *slots;
	const int32_t *slot; /* (rows) -1: none */
	int32_t pieces, rank, cols, panels, all_rows;
	int32_t rows[K_LORA_PIECES]; /* outputs of each piece */
	int32_t paired;              /* output i of piece p is column 2i + p */
	/* Leaves of K in this rank's columns. Behind each the stack's two top entries are added merges times; part >=
	 * 0: this part is complete then. */
	int32_t n_leaves, start[K_LORA_LEAVES + 1], merges[K_LORA_LEAVES], part[K_LORA_LEAVES], none;
};
/* t (parts, n, pieces * rank) = A x, x (n, cols) of `type`. */
cudaError_t k_lora_down(cudaStream_t stream, enum k_type type, float *t, struct k_lora l, const void *x, int n);
/* y (n, all_rows) of `type`, which may be K_F32, += B t, t (n, pieces * rank). */
cudaError_t k_lora_up(cudaStream_t stream, enum k_type type, void *y, struct k_lora l, const float *t, int n);

/* out (n) = the inputs combined on a stack, plus +0: input j is pushed, then the two top entries are added merges[j]
 * times. At least one input; depth at most 8. */
enum { K_MAX_INPUTS = 32 };
struct k_tree {
	int32_t count, none; /* fills the padding: the emulated GPU scans all 8-byte units for addresses */
	int32_t merges[K_MAX_INPUTS];
	const float *data[K_MAX_INPUTS];
};
cudaError_t k_tree_sum(cudaStream_t stream, float *out, struct k_tree in, size_t n);

/* ---- sampling (engine/sample/sample.h): rows of logits to tokens, with the same bits as on the host ---- */
enum sample_mode { SAMPLE_SCORE, SAMPLE_LIKELIEST, SAMPLE_DRAW };
enum {
	SAMPLE_TOP = 20,
	SAMPLE_PART = 2048 /* tokens of the vocabulary that one block handles */,
	SAMPLE_BINS = 2048,
	SAMPLE_PASSES = 3,
	SAMPLE_SELECTS = 3
};

/* One row to sample. From ids + at on lie: the bits of its mask, biased tokens by rising id and their values (bits of
 * floats), stop tokens (where masked), then the part of its history (prompt, output) that the device does not have yet.
 */
struct sample_row {
	double per_temperature;            /* 1 / temperature; 0: logits are not scaled */
	double per_repetition;             /* 1 / penalty */
	uint64_t stream, least, share;     /* sample_stream(); min_p as a mass; top_p in units of 2^-32: 2^32 is off */
	int32_t mode, given, n_top, top_k; /* top_k 0: off */
	int32_t at, n_mask /* int32 units of bits; 0: every token may be sampled */, n_bias, n_stop, n_prompt, n_output;
	int32_t seq, kept; /* the sequence whose history it uses, and the tokens of it that the device has; seq -1: the
			      history is used once and not kept */
	float repetition, presence, frequency;
	int32_t skip, none; /* skip: the host samples it */
	double n_sigma;     /* top_n_sigma; 0: off */
};
struct sample_best {
	double key;
	int32_t id /* SAMPLE_NOBODY: none yet */, none;
};
enum { SAMPLE_NOBODY = 0x7fffffff };
struct sample_select {      /* Selection of the k-th in order: what is known before a pass. */
	uint64_t want, bin; /* weight still to be covered; weight of the bin it lies in */
	uint32_t prefix;    /* bits of the value so far */
	int32_t all;        /* true: nothing is cut off */
};
struct sample_result {
	int32_t id, best;  /* sampled or given; likeliest by raw logits, or the first that is not finite */
	float x, x_best;   /* their raw logits; where x_best is not finite, only id is valid */
	uint64_t total;    /* mass of all tokens; the likeliest has 2^40 */
	uint32_t likelier; /* tokens above `id` */
	int32_t n_top, top_id[SAMPLE_TOP];
	float top[SAMPLE_TOP]; /* in any order */
};
struct sample_spread {              /* of a row: top_n_sigma */
	uint64_t n, sum, low, high; /* struct sample_moments */
	float floor;                /* the least that is kept, divided by temperature */
	int32_t none;
};
struct sample_args {
	const float *raw; /* (rows, vocab) */
	const struct sample_row *row;
	const int32_t *ids;
	int32_t *history;             /* (seqs, max_history) of those with penalties */
	float *x;                     /* (rows, vocab) masked, penalised, divided by temperature */
	uint32_t *count;              /* (rows, vocab) all 0 between calls */
	uint64_t *bins;               /* (rows, SAMPLE_SELECTS, SAMPLE_PASSES, SAMPLE_BINS) */
	struct sample_select *select; /* (rows, SAMPLE_SELECTS, SAMPLE_PASSES) */
	struct sample_best *best;     /* (rows, 3, parts): raw, likeliest, sampled */
	struct sample_spread *spread; /* (rows) */
	struct sample_result *result; /* (rows) */
	int32_t *sampled; /* (rows) the sampled ids again, for the next step's tokens; skipped rows keep theirs */
	int vocab, rows, max_history, none;
};
/* What at least one of the rows needs. */
struct sample_needs {
	bool lists, top_n, top_k, top_p, draw, sigma;
};
static inline int k_sample_parts(int vocab)
{
	return (vocab + SAMPLE_PART - 1) / SAMPLE_PART;
}
enum { SAMPLE_MAX_VOCAB = 256 * SAMPLE_PART };
cudaError_t k_sample_lists(cudaStream_t stream, struct sample_args a); /* a part of k_sample() */
cudaError_t k_sample(cudaStream_t stream, struct sample_args a, struct sample_needs needs);

#ifdef __cplusplus
}
#endif
#endif
