/* weight.h - a matrix (rows, cols) as the backend packs it, filled by streaming rows. Opaque: the backend owns layout
 * and scales. `rows` are outputs, `cols` the owned part of the K axis. Out = x * w^T. */
#ifndef ENGINE_BACKEND_WEIGHT_H
#define ENGINE_BACKEND_WEIGHT_H

#include "engine/backend/backend.h"

struct weight *weight_create(struct backend *b, int rows, int cols, enum dtype stored, const struct split *k);
/* As integers (numbers contract: backend.h), or QUANT_NONE. Dies where the backend has no such form. */
op_weight_create weight_create_quant;
/* Before the first row: gate above up, of which backend_linear_silu_mul() uses row i and row rows/2 + i together. */
void weight_pair(struct weight *w);
/* Takes and touches its memory; before the first row, and again where a mapped file turned out to be wrong. */
op_weight_touch weight_touch;
/* src: `count` rows of type `stored`, ld elements apart, each with the owned columns only. Any order; each row once.
 * Bounded staging; may be called by several threads for different rows. */
op_weight_rows weight_rows;
/* The packed bytes, where ops->weight_packed is there. */
op_weight_packed weight_packed;
/* The packed bytes are those of a file from `at` on (a multiple of a page, filled up to one): its pages in the page
 * cache take the place of memory. fd may be closed; the file must not change. False: this file cannot be mapped. */
op_weight_map weight_map;
op_weight_destroy weight_destroy; /* NULL is fine */

#endif
