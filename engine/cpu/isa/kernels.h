/* kernels.h - what each instruction set offers to the CPU backend: plain loops, no threads, no checks, no
 * allocation. Call them only inside the pool, where MXCSR is set. */
#ifndef ENGINE_CPU_ISA_KERNELS_H
#define ENGINE_CPU_ISA_KERNELS_H

#include "engine/backend.h"

enum { PANEL = 64, SEGMENT = 512, STACK_DEPTH = 24 };

/* How a panel of 64 outputs lies in memory; all are made of K pairs.
 *   BF16       (pairs, 64, 2) bf16     F32, F16   (pairs, 2, 64) */
enum pack { PACK_BF16, PACK_F32, PACK_F16 };
/* What linear multiplies: activations, weights. */
enum product { BF16_BF16, F32_F32, F32_BF16, F32_F16, PRODUCT_COUNT };

/* Segments of the owned K axis in order, with the tree written as a stack machine: run the chain; `merges`
 * times take the older sum off the stack and add; then push, or, at the end of a part, store. An empty leaf
 * is a segment without pairs. */
struct segment {
	int32_t col, pairs; /* first owned column; whole pairs from there */
	uint8_t odd;        /* one more column, paired with a +0 */
	uint8_t merges;
	int8_t part; /* >= 0: store as this part */
};

struct linear_job {
	const struct segment *seg;
	int n_seg;
	const void *panel;              /* packed weights of 64 outputs */
	const void *x;                  /* (rows, cols) */
	size_t x_stride;                /* bytes */
	float *out;                     /* (parts, rows, N), at the panel's first column */
	size_t out_stride, part_stride; /* elements */
	const float *bias;              /* at the panel's first column, or NULL */
	int rows, cols;                 /* of out: cols <= 64 */
};

struct norm_job {
	void *out; /* one row */
	enum dtype out_type;
	float *x;           /* (cols) */
	const float *delta; /* (cols) or NULL */
	const float *w, *bias;
	enum norm_kind kind;
	float eps;
	int cols;
};

enum { RANGE = 256, ATTN_ROWS = 6, STATE_HEAD = 16 };

/* Up to 6 (token, head) rows of one sequence that use the same K/V head. Rows ascend by the keys they see. */
struct attn_job {
	const float *q[ATTN_ROWS]; /* (head_dim) each */
	int keys[ATTN_ROWS];       /* how many each sees */
	int rows;
	int first, end; /* ranges of this piece; `first` is a multiple of a power of two >= end - first */
	const int32_t *blocks; /* of the sequence */
	const char *pool;
	size_t block_bytes, k_at, v_at; /* of this K/V head inside a block */
	int block_size, head_dim;
	enum dtype type;
	float scale;
	float *scores; /* (6, 256) */
	float *stack;  /* (6, depth, state) */
	int depth;
	void *out[ATTN_ROWS]; /* (head_dim) of out_type: where the piece is the whole row */
	enum dtype out_type;
	float *partial; /* (6, state), or NULL: finish into out */
};

/* A state is m, l, padding to 16 floats, then o (head_dim rounded up to 16). */
static inline size_t attn_state(int head_dim)
{
	return STATE_HEAD + round_up((size_t)head_dim, 16);
}

struct cpu_kernels {
	const char *name;
	void (*linear[PRODUCT_COUNT])(const struct linear_job *job);
	void (*norm)(const struct norm_job *job);
	void (*rope)(float *x, const float *cos, const float *sin, int half);
	void (*convert)(void *out, const float *x, int n, enum dtype type);
	/* Keys in [first, end) of each row; a row without keys there leaves its partial alone. */
	void (*attention)(const struct attn_job *job);
	/* Combines row r's pieces: partial[i * pitch] for i < pieces(r), in order, into out[r]. `group`:
	 * ranges of a piece. */
	void (*attention_join)(const struct attn_job *job, size_t pitch, int group);
	void (*silu_mul)(void *out, size_t at, const float *gate, const float *up, int n, enum dtype type);
	void (*exp)(float *out, const float *x, int n);
};

extern const struct cpu_kernels cpu_kernels_portable;
#ifdef __x86_64__
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512, cpu_kernels_avx512_bf16;
#endif
const struct cpu_kernels *cpu_kernels_of(enum cpu_isa isa);

#endif
