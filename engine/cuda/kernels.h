/* kernels.h - C seam to the kernels. Every function enqueues on `stream` and returns at once; pointers are device
 * pointers unless said. Matrices are row-major; "16-bit" is bf16 or f16, as `type` says. Shapes are checked by the
 * callers. */
#ifndef ENGINE_CUDA_KERNELS_H
#define ENGINE_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum k_type { K_BF16, K_F16, K_F32 };

/* Whether a kernel may start before the one before it has ended: from compute capability 9.0 on. At first: no. */
void k_overlap(bool on);

enum { KV_BLOCK = 32 /* tokens of a block of the cache */ };

/* What the cache holds: numbers as activations are, or 8 bits times a scale for each token and head: int8, or e4m3. */
enum k_kv { K_KV_16, K_KV_INT8, K_KV_FP8 };

/* A block holds K (kv_heads, 32, dim), then V alike; 8-bit heads are followed by their scales (32) in f32. */
struct k_cache {
	void *pool;
	int32_t kv_heads, dim;
	enum k_kv kv;
	int32_t none; /* no padding: the emulated GPU looks at every word for addresses */
};
/* Of one head in a block. */
#define K_HEAD_BYTES(dim, bits8) (KV_BLOCK * (dim) * ((bits8) ? 1 : 2) + ((bits8) ? KV_BLOCK * 4 : 0))

/* ---- attention's work, cut by the host (plan.h) ---- */
struct attn_item { /* decode: keys [first, first + keys) of one token */
	int32_t token, block_at /* of its sequence, in `blocks` */, first, keys;
	int32_t part; /* where its partial goes */
	int32_t join; /* its token's entry in `joins`; -1: it is the only one, the result goes to `out` */
};
struct attn_join { /* decode: partials of one token, in order of keys; who comes last folds them */
	int32_t first, count;
};
struct attn_tile { /* prefill: `rows` tokens of one sequence from `token` on */
	int32_t token, rows, pos /* of the first */, block_at;
};
/* q heads [head, head + heads) that share one K/V head. */
enum { ATTN_GROUP = 4 };
struct attn_run {
	int32_t head, heads, kv;
};

struct attn_args {
	const void *qkv; /* (tokens, (heads + 2*kv_heads)*dim) 16-bit */
	void *out;       /* (tokens, heads*dim) 16-bit */
	float *partial;  /* (parts, heads, dim + 2): unscaled sum, maximum (base 2), sum of weights */
	const struct attn_join *joins;
	uint32_t *tickets; /* (joins, n_runs) all 0 between calls */
	const int32_t *blocks;
	const struct attn_run *runs; /* (n_runs) */
	const int32_t *kv_of_head;   /* (heads) */
	struct k_cache cache;
	int heads, n_runs;
	float scale;
	int range; /* keys that are summed apart, then folded in order; 0: all of an item */
};

cudaError_t k_attention_decode(cudaStream_t stream, enum k_type type, struct attn_args a, const struct attn_item *items,
			       int n, int group /* largest run: 1 to ATTN_GROUP */);
typedef cudaError_t k_prefill(cudaStream_t stream, enum k_type type, struct attn_args a, const struct attn_tile *tiles,
			      int n);
k_prefill k_attention_prefill;
enum { ATTN_TILE = 128 /* rows of a prefill tile at most */ };
/* The above may use over 48 KiB of shared memory; once before the first launch. */
cudaError_t k_attention_init(void);
/* k_attention_prefill() by Hopper's products: compute capability 9.0, a 16-bit cache. Its own init goes first, too. */
k_prefill k_attention_prefill_wgmma;
cudaError_t k_attention_wgmma_init(void);

/* ---- the simple operations ---- */
/* Of ids -1-r, r < n_drawn, the word is drawn[r]; beyond it there is none. */
typedef cudaError_t k_embedding(cudaStream_t stream, enum k_type type, float *out, const int32_t *ids,
				const int32_t *drawn, int n_drawn, const void *table, int n, int cols, int ld, int rows,
				int first);
k_embedding k_embed, k_embed_int8;
/* out: of `type`, which may be K_F32. */
cudaError_t k_add_norm(cudaStream_t stream, enum k_type type, void *out, float *x, const float *delta, const float *w,
		       const float *bias, bool centred, float eps, int rows, int cols);
/* Rotates q in place; k goes rotated to the cache and is left as it was in qkv. slot -1: no store. cos NULL: no
 * rotation. */
cudaError_t k_rope_store(cudaStream_t stream, enum k_type type, void *qkv /* 16-bit */, struct k_cache cache, int heads,
			 const float *cos, const float *sin, int n_rot, const int32_t *pos, const int32_t *slot,
			 int tokens);
/* gate_up (rows, 2*ffn): gate and up of a column beside each other; both 16-bit. */
cudaError_t k_silu_mul(cudaStream_t stream, enum k_type type, void *out, const void *gate_up, int rows, int ffn);
/* Rows of `bytes` bytes, a multiple of 2. */
cudaError_t k_rows(cudaStream_t stream, void *out, const void *x, const int32_t *row, int rows, int bytes);

/* ---- int8 weights: a row, of ld columns, in parts of 512 (the last has what is left): 16 scales in f16, each of 32
 * columns, then numbers ---- */
enum { K_PART = 512, K_PART_SCALES = 2 * K_PART / 32 /* bytes */ };
#define K_INT8_ROW(ld) ((ld) + ((ld) + K_PART - 1) / K_PART * K_PART_SCALES) /* bytes */
/* out (rows, ld) of `type`, what products take: number times scale, rounded. */
cudaError_t k_from_int8(cudaStream_t stream, enum k_type type, void *out, const void *w, int rows, int ld);

/* ---- linear: out (m, n) = x (m, k) w^T (n, k; rows ld apart, ld a multiple of 32, zeros from k on) + bias (n) or NULL
 * ---- */
/* Of out: f32, 16-bit, or 16-bit (m, n/2) = silu of column 2i times column 2i + 1, without bias. */
enum k_form { K_OUT_F32, K_OUT_16, K_OUT_SILU };
typedef cudaError_t k_skinny(cudaStream_t stream, enum k_type type, void *out, enum k_form form, const void *x,
			     const void *w, const float *bias, int m, int n, int k, int ld);
k_skinny k_linear_skinny, k_linear_skinny_int8;
/* The same bits for each row whatever m is: K in segments, combined as a binary counter does; out (parts, m, n), one
 * part for K_OUT_SILU. */
struct k_segment {
	int32_t col, cols; /* multiples of 32, but the last cols */
	int32_t merges;    /* additions of the stack's top two after this segment */
	int32_t part;      /* >= 0: the part that is complete then */
};
enum { K_MAX_SEGMENTS = 96 };
typedef cudaError_t k_fixed(cudaStream_t stream, enum k_type type, void *out, enum k_form form, const void *x,
			    const void *w, const float *bias, const struct k_segment *segments /* device */,
			    int n_segments, int m, int n, int k, int ld);
k_fixed k_linear_fixed, k_linear_fixed_int8;
cudaError_t k_linear_init(void);

/* out (n) = inputs, combined on a stack: input j is pushed, then merges[j] times the top two become one; plus +0. At
 * least one input; depth at most 8. */
enum { K_MAX_INPUTS = 32 };
struct k_tree {
	int32_t count, none; /* no padding: the emulated GPU looks at every word for addresses */
	int32_t merges[K_MAX_INPUTS];
	const float *data[K_MAX_INPUTS];
};
cudaError_t k_tree_sum(cudaStream_t stream, float *out, struct k_tree in, size_t n);

/* ---- sample (engine/sample/sample.h): rows of logits to tokens, the same as on the host ---- */
enum sample_mode { SAMPLE_SCORE, SAMPLE_LIKELIEST, SAMPLE_DRAW };
enum {
	SAMPLE_TOP = 20,
	SAMPLE_PART = 2048 /* words of a block */,
	SAMPLE_BINS = 2048,
	SAMPLE_PASSES = 3,
	SAMPLE_SELECTS = 3
};

/* One row; `ids` of it: the bits of its mask, biased ones by rising id and their values (bits of floats), stop (where
 * masked), then what of its history (prompt, output) the device does not have yet. */
struct sample_row {
	double per_temperature;            /* 1 / temperature; 0: logits stay as they are */
	double per_repetition;             /* 1 / penalty */
	uint64_t stream, least, share;     /* sample_stream(); min_p as a mass; top_p in 2^-32: 2^32 is off */
	int32_t mode, given, n_top, top_k; /* top_k 0: off */
	int32_t at, n_mask /* words of bits; 0: all may be drawn */, n_bias, n_stop, n_prompt, n_output;
	int32_t seq, kept; /* whose history it is, and how much of it is there; seq -1: it is used here and not kept */
	float repetition, presence, frequency;
	int32_t skip, none; /* skip: the host samples it */
	double n_sigma;     /* top_n_sigma; 0: off */
};
struct sample_best {
	double key;
	int32_t id /* SAMPLE_NOBODY: none yet */, none;
};
enum { SAMPLE_NOBODY = 0x7fffffff };
struct sample_select {      /* of the k-th by order: what is known before a pass */
	uint64_t want, bin; /* weight still to be covered; weight of the bin it lies in */
	uint32_t prefix;    /* bits of the value so far */
	int32_t all;        /* nothing is cut off */
};
struct sample_result {
	int32_t id, best;  /* drawn or given; likeliest of the raw ones, or the first that is not finite */
	float x, x_best;   /* their raw logits; where x_best is not finite, only id counts */
	uint64_t total;    /* mass of all, of the likeliest 2^40 */
	uint32_t likelier; /* words above `id` */
	int32_t n_top, top_id[SAMPLE_TOP];
	float top[SAMPLE_TOP]; /* in no order */
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
	struct sample_best *best;     /* (rows, 3, parts): raw, likeliest, drawn */
	struct sample_spread *spread; /* (rows) */
	struct sample_result *result; /* (rows) */
	int32_t *drawn; /* (rows) their ids once more, for the next step's tokens; rows that are skipped stay */
	int vocab, rows, max_history, none;
};
/* What any of the rows asks for. */
struct sample_needs {
	bool lists, top_n, top_k, top_p, draw, sigma;
};
static inline int k_sample_parts(int vocab)
{
	return (vocab + SAMPLE_PART - 1) / SAMPLE_PART;
}
enum { SAMPLE_MAX_VOCAB = 256 * SAMPLE_PART };
cudaError_t k_sample_lists(cudaStream_t stream, struct sample_args a); /* a part of it */
cudaError_t k_sample(cudaStream_t stream, struct sample_args a, struct sample_needs needs);

#ifdef __cplusplus
}
#endif
#endif
