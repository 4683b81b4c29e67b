/* kernels.h - what each instruction set offers to the CPU backend: plain loops without threads, checks or allocation.
 * Call them only inside the pool, where MXCSR is set. */
#ifndef ENGINE_CPU_ISA_KERNELS_H
#define ENGINE_CPU_ISA_KERNELS_H

#include "engine/backend/backend.h"

enum { PANEL = 32, SEGMENT = 512, GROUP = 32, STACK_DEPTH = 12, MAX_TILE_ROWS = 12 };
/* Loop order of a product: BLOCK_ROWS rows share a segment's activations in L2, JOB_PANELS panels use them, and every
 * tile in turn finds CHUNK_BYTES of weights in L1. */
enum { BLOCK_ROWS = 192, JOB_PANELS = 2, CHUNK_BYTES = 18432 };

/* How a panel of 32 outputs lies in memory. Plain ones are made of K pairs, quantised ones of groups of 32
 * columns.
 * - BF16: (pairs, 32, 2) bf16
 * - F32, F16: (pairs, 2, 32)
 * - INT8: (groups) of (8, 32, 4) bytes w + 128, then 32 scales f16
 * - INT4: (groups) of (4, 32, 4) bytes, then 32 scales f16: byte (i, n, j) holds column 4i + j, plus 8, in
 * its low half, column 16 + 4i + j in its high one
 * - UINT8, UINT4: (groups) as INT8 and INT4 with nothing added to the numbers, then 32 zero points of a byte
 * - Blocks of GGUF files: (groups) of the low four bits as in INT4; then (Q5_K) (32, 4) bytes, whose bit q is the fifth
 * one of column 4q + j, or (Q6_K) (2, 32, 4) bytes, of which byte (i, n, j) has the high two bits of columns 16i + j,
 * 16i + 4 + j and so on, the first lowest; Q5_0 and Q5_1 are as Q5_K. Then Q4_1, Q5_1: 32 scales and 32 minima f16;
 * IQ4_NL, Q5_0: 32 scales f16; Q4_K, Q5_K: 32 signed bytes by which the block's scale is multiplied, 32 for its
 * minimum; IQ4_XS: the first of them; Q6_K: 32 for columns 0 to 15, 32 for the others. Behind all groups lie the scales
 * of the blocks of 256 columns (pack_head()): 32 f16, and 32 minima
 * - WIDE is no panel's: bytes as in INT8, scales f32; a kernel may keep a chunk so. WIDE_ZERO has zero points of 32
 * bits, too. WIDE_ONE, WIDE_MIN and WIDE_HALVES are for blocks: a scale; a scale and a minimum; two scales, all f32 */
enum pack {
	PACK_F32,
	PACK_BF16,
	PACK_F16,
	PACK_INT8,
	PACK_INT4,
	PACK_UINT8,
	PACK_UINT4,
	PACK_Q4_K,
	PACK_Q5_K,
	PACK_Q6_K,
	PACK_Q4_1,
	PACK_IQ4_NL,
	PACK_Q5_0,
	PACK_Q5_1,
	PACK_IQ4_XS,
	PACK_COUNT,
	PACK_WIDE = PACK_COUNT,
	PACK_WIDE_ZERO,
	PACK_WIDE_ONE,
	PACK_WIDE_MIN,
	PACK_WIDE_HALVES
};
/* How activations lie while they are multiplied: segments of K, inside them tiles of rows, inside them K
 * units of the tile's rows side by side.
 * - F32: (pairs, 2, rows) f32
 * - DOT: (pairs, rows, 2) bf16
 * - INT: (groups) of (8, rows, 4) int8, (rows) int32 = -offset of the weights times the sum (with zero points, minus
 * the sum), (rows) f32 scale
 * - BLOCK: (groups) of (8, rows, 4) int8, (2, rows) int32 = -offset of the weights times the sums of columns 0 to 15
 * and of the others (without halves: of all, and 0), (rows) f32 scale, (rows) f32 scale times the sum
 */
enum x_form { X_F32, X_DOT, X_INT, X_BLOCK, X_FORMS };

/* Bytes of a unit: a pair of columns, or a group. */
static inline size_t w_unit(enum pack pack)
{
	static const size_t bytes[PACK_COUNT] = {8 * PANEL,  4 * PANEL,  4 * PANEL,  34 * PANEL, 18 * PANEL,
						 35 * PANEL, 19 * PANEL, 18 * PANEL, 22 * PANEL, 26 * PANEL,
						 20 * PANEL, 18 * PANEL, 22 * PANEL, 24 * PANEL, 17 * PANEL};

	return bytes[pack];
}
static inline size_t x_unit(enum x_form form) /* of one row */
{
	static const size_t bytes[X_FORMS] = {8, 4, GROUP + 8, GROUP + 16};

	return bytes[form];
}
static inline bool pack_is_int(enum pack pack)
{
	return pack >= PACK_INT8;
}
/* Of a panel: its numbers are blocks of a GGUF file. */
static inline bool pack_is_block(enum pack pack)
{
	return pack >= PACK_Q4_K && pack < PACK_COUNT;
}
static inline int pack_bits(enum pack pack)
{
	return pack == PACK_Q6_K                                                ? 6
	       : pack == PACK_Q5_K || pack == PACK_Q5_0 || pack == PACK_Q5_1    ? 5
	       : pack == PACK_INT4 || pack == PACK_UINT4 || pack_is_block(pack) ? 4
										: 8;
}
static inline bool pack_is_nibbles(enum pack pack)
{
	return pack_bits(pack) == 4;
}
static inline bool pack_has_zero(enum pack pack)
{
	return pack == PACK_UINT8 || pack == PACK_UINT4 || pack == PACK_WIDE_ZERO;
}
/* Whether columns 0 to 15 of a group have a scale of their own. */
static inline bool pack_has_halves(enum pack pack)
{
	return pack == PACK_Q6_K || pack == PACK_WIDE_HALVES;
}
static inline bool pack_has_min(enum pack pack)
{
	return pack == PACK_Q4_K || pack == PACK_Q5_K || pack == PACK_Q4_1 || pack == PACK_Q5_1 ||
	       pack == PACK_WIDE_MIN;
}
/* Whether its integers are numbers of levels. */
static inline bool pack_has_levels(enum pack pack)
{
	return pack == PACK_IQ4_NL || pack == PACK_IQ4_XS;
}
/* What its integers have too much, where none has a zero point. */
static inline int pack_offset(enum pack pack)
{
	return pack == PACK_INT8 || pack_has_levels(pack) ? 128
	       : pack == PACK_Q6_K                        ? 32
	       : pack == PACK_Q5_0                        ? 16
	       : pack == PACK_INT4                        ? 8
							  : 0;
}
/* Bytes of a group's integers, which its scales follow. */
static inline int pack_codes(enum pack pack)
{
	return GROUP / 8 * pack_bits(pack) * PANEL;
}
enum { BLOCK_COLS = 256, BLOCK_GROUPS = BLOCK_COLS / GROUP };
/* Bytes of what a block of 256 columns has for all its groups; 0: its scales lie in the groups. */
static inline size_t pack_head(enum pack pack)
{
	return pack == PACK_Q4_K || pack == PACK_Q5_K     ? 4 * PANEL
	       : pack == PACK_Q6_K || pack == PACK_IQ4_XS ? 2 * PANEL
							  : 0;
}

/* Segments of the owned K axis in order, with the summation tree written as a stack machine: run the chain; `merges`
 * times pop the older sum and add it; then push, or at the end of a part store. An empty leaf is a segment without
 * columns. */
struct segment {
	int32_t col, cols; /* first owned column */
	int32_t at, units; /* pairs or groups: before this segment, and of it (the last one is padded with zeros) */
	uint8_t merges;
	int8_t part;      /* >= 0: store as this part */
	uint8_t lead;     /* columns of the first group, where those are fewer than 32 because it begins inside one */
	uint8_t into;     /* columns of that group before the segment */
	uint8_t later;    /* groups of the first block of 256 columns that lie before the first group */
	int32_t block_at; /* blocks before this segment's first one, counted segment by segment */
};

/* The first column of group g, counted from the segment's; of its last group + 1: the segment's end or beyond. */
static inline int group_at(const struct segment *s, int g)
{
	return g ? g * GROUP - (s->lead ? GROUP - s->lead : 0) : 0;
}
static inline int group_cols(const struct segment *s, int g)
{
	return min_int(group_at(s, g + 1), s->cols) - group_at(s, g);
}

/* Where the first column of group g lies in it. */
static inline int group_skip(const struct segment *s, int g)
{
	return g ? 0 : s->into;
}

/* Blocks of 256 columns that an aligned segment touches. */
static inline int segment_blocks(const struct segment *s)
{
	return s->units ? div_up(s->later + s->units, BLOCK_GROUPS) : 0;
}

/* Splits rows into as few tiles as possible, of nearly equal height. */
struct tiles {
	int rows, count;
};
static inline struct tiles tiles_of(int rows, int tile_rows)
{
	return (struct tiles){rows, div_up(rows, tile_rows)};
}
static inline int tile_row(struct tiles t, int tile) /* the first row of a tile; for tile == t.count, t.rows */
{
	int extra = t.rows % t.count;

	return t.rows / t.count * tile + min_int(tile, extra);
}

/* Returns the offset, in bytes, of a tile's part of a segment. */
static inline size_t x_place(const struct segment *s, enum x_form form, int all_rows, int row)
{
	return ((size_t)s->at * (size_t)all_rows + (size_t)row * (size_t)s->units) * x_unit(form);
}

struct linear_job {
	const struct segment *seg;
	int n_seg;
	const char *panel; /* packed weights of 32 outputs each, panel_bytes apart */
	size_t panel_bytes;
	size_t heads;                   /* where in a panel the scales of its blocks begin */
	const char *x;                  /* packed activations of all rows */
	struct tiles tiles;             /* of all rows */
	int first, end;                 /* tiles of this job */
	float *out;                     /* (parts, rows, N), at the first panel's first column */
	size_t out_stride, part_stride; /* elements */
	const float *bias;              /* at the first panel's first column, or NULL */
	int cols;                       /* of out: at most JOB_PANELS * 32 */
	char *scratch;                  /* linear_scratch() bytes, of this worker */
};

/* Bytes of scratch: a chunk of weights, then the stacks of a block of rows, in whole huge pages. */
static inline size_t linear_scratch(void)
{
	return round_up(CHUNK_BYTES + (size_t)STACK_DEPTH * JOB_PANELS * BLOCK_ROWS * PANEL * sizeof(float), 2 << 20);
}

/* Packs one tile of activations. */
struct pack_job {
	const struct segment *seg;
	int n_seg;
	const char *x;   /* (rows, cols) of type */
	size_t x_stride; /* bytes */
	enum dtype type;
	int all, row, rows;   /* rows of x; first row and rows of the tile */
	int offset;           /* of the weights: 128 or 8; 1 where they have zero points */
	bool halves;          /* BLOCK: the weights have a scale for 16 columns */
	const int32_t *order; /* INT: the column of x that each column of the weights belongs to; NULL: the same */
	char *out;
};

/* Packs rows of weights into lanes [lane, lane + rows) of one panel. */
struct weight_job {
	const struct segment *seg;
	int n_seg;
	enum pack pack;
	enum dtype stored;
	const char *src; /* (rows, cols) of type `stored`, rows ld bytes apart */
	size_t ld;
	char *panel;
	int lane, rows;
};

struct norm_job {
	void *out; /* one row */
	enum dtype out_type;
	float *x;           /* (cols) */
	struct delta delta; /* of this row; without data nothing is added */
	struct norm norm;
	int cols;
};

enum { RANGE = 256, ATTN_ROWS = 6, ATTN_JOBS = 32, STATE_HEAD = 16 };

/* Up to 6 (token, head) rows of one sequence that use the same K/V head, in ascending order of the keys they attend to.
 */
struct attn_job {
	const float *q[ATTN_ROWS]; /* (head_dim) each */
	int keys[ATTN_ROWS];       /* the keys that each attends to end before this one */
	int from[ATTN_ROWS];       /* and begin with this one: 0 without a window */
	float slope[ATTN_ROWS];    /* of ALiBi; 0: none */
	int rows;
	int waiting[ATTN_ROWS]; /* states on each row's stack; 0 at the start */
	int first, end;         /* ranges of this piece; `first` is a multiple of a power of two >= end - first */
	const int32_t *blocks;  /* block table of the sequence */
	const char *pool;
	size_t block_bytes, k_at, v_at; /* offsets of this K/V head inside a block */
	int block_size, head_dim;
	enum dtype type;
	float scale, soft_cap; /* of the scores; cap 0: none */
	bool alibi;
	float *scores; /* (6, 256) */
	float *stack;  /* (6, depth, state) */
	int depth;
	void *out[ATTN_ROWS]; /* (head_dim) of out_type, where the piece is the whole row */
	enum dtype out_type;
	float *partial; /* (6, state) for the results of a piece; NULL: finish into out */
	/* of the current range, set by the kernel: */
	const float *k, *v; /* (4, head_dim, 64) and (256, head_dim rounded up to 16), or NULL: read from the blocks */
	const float *k_scale, *v_scale; /* (256) scales of an int8 cache */
};

/* Floats that attention() needs to pack keys and values of a range. */
static inline size_t attn_packed(int head_dim)
{
	return 2 * RANGE * round_up((size_t)head_dim, 16);
}

/* Floats of a state: m, l, padding to 16, then o (head_dim rounded up to 16). */
static inline size_t attn_state(int head_dim)
{
	return STATE_HEAD + round_up((size_t)head_dim, 16);
}

/* ---- the kernels: a type and an entry in the list below; inside.h declares them, table.c collects them ---- */
/* Multiplies the panels of `cols` outputs with tiles [first, end). */
typedef void kernel_linear(const struct linear_job *job);
/* Packs activations into the form that a product reads. */
typedef void kernel_pack_x(const struct pack_job *job);
/* Packs rows of weights into their panel. It runs on any thread, with any MXCSR. */
typedef void kernel_pack_w(const struct weight_job *job);
/* Converts n numbers x to integers q in [-127, 127] times *scale, by the rule of pack_x for groups. q has room for
 * whole vectors of 16. */
typedef void kernel_quantise(int8_t *q, float *scale, const float *x, int n);
/* One row: x += delta, then out = norm(x). */
typedef void kernel_norm(const struct norm_job *job);
/* Rotates x[i] with x[i + half], in place; cos and sin have `half` numbers. */
typedef void kernel_rope(float *x, const float *cos, const float *sin, int half);
/* Converts n numbers x to `type` (f32, bf16 or f16). */
typedef void kernel_convert(void *out, const float *x, int n, enum dtype type);
/* Ranges [first, end), the same for all n <= ATTN_JOBS jobs, which share blocks and K/V head and are in ascending order
 * of the keys they attend to. A row whose last key lies before them leaves its partial alone. packed: attn_packed()
 * floats of scratch. */
typedef void kernel_attention(struct attn_job *jobs, int n, float *packed);
/* Combines row r's pieces partial[i * pitch] in order into out[r]. group: ranges of a piece. The first piece begins
 * with range job->first; no row has keys before it. */
typedef void kernel_attention_join(const struct attn_job *job, size_t pitch, int group);
/* out[at...at+n), of `type`, = silu(gate) * up. */
typedef void kernel_silu_mul(void *out, size_t at, const float *gate, const float *up, int n, enum dtype type);
/* x += delta + shift (NULL: delta alone), n numbers. */
typedef void kernel_add(float *x, const float *delta, const float *shift, int n);
/* out[at...at+n), of `type`, = the activation of x (n). */
typedef void kernel_activate(void *out, size_t at, const float *x, int n, enum activation kind, enum dtype type);
/* out (4, 16): line l is the chain over i < n of a[l][16i ... 16i + 15] * x[l][i], from +0. */
typedef void kernel_lora(float *out, const float *const *a, const float *const *x, int n);
/* acc = fma(scale, x, acc), n numbers. */
typedef void kernel_scale_add(float *acc, const float *x, float scale, int n);
/* out (n) = e to the power of x. */
typedef void kernel_exp(float *out, const float *x, int n);

/* Those of which an instruction set has one; products have one for each form of weights or activations. */
#define CPU_KERNELS(K) \
	K(pack_w) \
	K(quantise) \
	K(norm) \
	K(rope) K(convert) K(attention) K(attention_join) K(silu_mul) K(add) K(scale_add) K(activate) K(exp) K(lora)

struct cpu_kernels {
	const char *name;
	int tile_rows[PACK_COUNT], dot_rows; /* rows of a tile at most */
	kernel_linear *linear[PACK_COUNT];
	kernel_linear *linear_dot; /* PACK_BF16 times X_DOT; NULL: the machine has no such instruction */
	kernel_pack_x *pack_x[X_FORMS];
#define MEMBER(name) kernel_##name *name;
	CPU_KERNELS(MEMBER)
#undef MEMBER
};

extern const struct cpu_kernels cpu_kernels_portable;
#ifdef __x86_64__
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512, cpu_kernels_avx512_bf16;
#endif
const struct cpu_kernels *cpu_kernels_of(enum cpu_isa isa);

#endif
