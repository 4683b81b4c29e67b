/* weight.h - a matrix (rows, cols) as the backend packs it, filled by streaming rows. Opaque: the backend owns layout
 * and scales. `rows` are outputs, `cols` the owned part of the K axis. Out = x * w^T. */
#ifndef ENGINE_BACKEND_WEIGHT_H
#define ENGINE_BACKEND_WEIGHT_H

#include "engine/backend/backend.h"

struct weight *weight_create(struct backend *b, int rows, int cols, enum dtype stored, const struct split *k);
/* As integers or e4m3 (numbers contract: backend.h), or QUANT_NONE. Dies where the backend has no such form. */
op_weight_create weight_create_quant;
/* Says that gate lies above up: backend_linear_silu_mul() uses rows i and rows/2 + i together. Called before the first
 * row is put. */
void weight_pair(struct weight *w);
/* Says that its rows are those of `experts` matrices of `each` rows, each filled up to STACK_ROWS rows with rows that
 * are never put, and that only backend_experts() uses it. Called as weight_pair() is; of gate above up, each of them is
 * paired. */
enum { STACK_ROWS = 32 };
op_weight_stack weight_stack;
/* Says that its rows are of several classes of blocks, band below band. Each band but the last has a multiple of 32
 * rows, and any two may have one form of activations (quant_may_share()). Called as weight_pair() is, of a weight that
 * was created with the class of the first band. */
op_weight_bands weight_bands;
bool quant_may_share(enum quant a, enum quant b);
/* Rows from the start of one such matrix to the next. */
static inline int weight_stack_step(int each)
{
	return div_up(each, STACK_ROWS) * STACK_ROWS;
}
/* Allocates its memory and touches every page, before the first row is put, and again after a mapped file turned out to
 * be wrong. */
op_weight_touch weight_touch;
/* Whether a row's scale is made from the whole row, so that it is the same on any number of ranks. */
bool weight_reads_whole_rows(const struct weight *w);
/* Packs `count` rows from src, which are of type `stored` and ld elements apart, each with the owned columns only; of a
 * weight that reads whole rows, with all columns of the K axis. Rows come in any order, each once; several threads may
 * put different rows. */
op_weight_rows weight_rows;
/* Rows of integers as files hold them, weight = scale * (q - zero); of E4M3 q are e4m3 numbers, none of them NaN. */
struct weight_codes {
	const uint8_t *q; /* (count, owned columns), rows ld apart: [0, 15] or [0, 255] */
	size_t ld;
	/* One for each 32 columns of the whole K axis that the owned ones touch, rows `groups` apart. */
	const uint16_t *scale; /* f16, finite; of E4M3 NULL */
	const float *wide;     /* its scales, finite; else NULL */
	const uint8_t *zero;   /* NULL where the class has none: it is 8 or 128, of E4M3 0 */
	size_t groups;
};
/* Packs `count` rows of codes, in place of weight_rows(). In the classes without zero points (int8, int4) all columns
 * of a group must have one scale (weight_keeps_groups()). e4m3 groups are those of E4M3_GROUP columns of the whole K
 * axis; where the columns of a row differ in scale, each leaf starts at a multiple of E4M3_LANE. */
op_weight_codes weight_codes;
enum { E4M3_GROUP = 128, E4M3_LANE = 16 };
/* Rows of blocks of GGUF files: weight = (scale * part) * (q - offset) + min * part_min, rounded once, at the sum. Each
 * product is exact. */
struct weight_blocks {
	const uint8_t *q; /* (count, owned columns), rows ld apart; of IQ4_NL and IQ4_XS numbers of the levels */
	size_t ld;
	/* f16, finite, one for each block of the whole K axis that the owned columns touch, rows `blocks` apart. min:
	 * NULL where the class has none. */
	const uint16_t *scale, *min;
	size_t blocks;
	/* Blocks of 256, else NULL: by what a block's scale and min are multiplied in each 32 columns that are touched,
	 * rows `groups` apart; of Q6_K part has two for them, rows 2 * groups apart. Q4_K and Q5_K have their minima
	 * negated; part_min is NULL where min is. */
	const int8_t *part, *part_min;
	size_t groups;
};
/* Packs `count` rows of blocks, in place of weight_rows(). */
op_weight_blocks weight_blocks;
/* Of classes of blocks: columns of a block, parts of 32 columns (0: the block is all that scales), whether there are
 * minima. */
int quant_block(enum quant q);
int quant_parts(enum quant q);
bool quant_has_min(enum quant q);
/* Whether the groups of an int8 or int4 weight lie inside groups of `group` columns of the whole K axis. */
bool weight_keeps_groups(const struct split *k, int group);
/* Whether the backend takes codes of this class. */
bool weight_takes_codes(const struct backend *b, enum quant quant);
/* Column i of the weight belongs to column order[i] of x: `order` (cols) is copied. Only for a whole K axis, before the
 * first row is put; dies where the backend has no such form. */
op_weight_order weight_order;
/* Its packed bytes; only where ops->weight_packed is not NULL. */
op_weight_packed weight_packed;
/* Takes the packed bytes from a file, from `at` on (a multiple of a page, filled up to one): pages of the page cache
 * replace its memory. fd may be closed; the file must not change. False: this file cannot be mapped. */
op_weight_map weight_map;
op_weight_destroy weight_destroy; /* NULL is fine */

#endif
