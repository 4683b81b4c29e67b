/* weight.h - a matrix (rows, cols) as the backend packs it, filled by streaming rows. Opaque: the backend owns layout
 * and scales. `rows` are outputs, `cols` the owned part of the K axis. Out = x * w^T. */
#ifndef ENGINE_BACKEND_WEIGHT_H
#define ENGINE_BACKEND_WEIGHT_H

#include "engine/backend/backend.h"

/* Common head of every backend's weight. */
struct weight {
	struct backend *b;
	int rows, cols;
	enum dtype stored; /* of the source rows: DT_F32, DT_F16, DT_BF16 */
	enum quant quant;
	bool paired;    /* weight_pair(): a backend may put row rows/2 + i behind row i */
	struct split k; /* leaves of the K axis and those owned; cols = split_columns(&k).count */
	size_t bytes;   /* held, padding included */
};

struct weight *weight_create(struct backend *b, int rows, int cols, enum dtype stored, const struct split *k);
/* As integers (numbers contract: backend.h); dies where the backend has none. */
struct weight *weight_create_quant(struct backend *b, int rows, int cols, enum dtype stored, enum quant quant,
				   const struct split *k);
/* Before the first row: gate above up, of which backend_linear_silu_mul() uses row i and row rows/2 + i together. */
void weight_pair(struct weight *w);
/* Takes and touches its memory; before the first row, and again where a mapped file turned out to be wrong. */
void weight_touch(struct weight *w);
/* src: `count` rows of type `stored`, ld elements apart, each with the owned columns only. Any order; each row once.
 * Bounded staging; may be called by several threads for different rows. */
void weight_rows(struct weight *w, int first, int count, const void *src, size_t ld);
/* The packed bytes, where ops->weight_packed is there. */
void *weight_packed(struct weight *w, size_t *bytes);
/* The packed bytes are those of a file from `at` on (a multiple of a page, filled up to one): its pages in the page
 * cache take the place of memory. fd may be closed; the file must not change. False: this file cannot be mapped. */
bool weight_map(struct weight *w, int fd, int64_t at);
void weight_destroy(struct weight *w); /* NULL is fine */

#endif
