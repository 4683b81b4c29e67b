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
/* Allocates its memory and touches every page, before the first row is put, and again after a mapped file turned out to
 * be wrong. */
op_weight_touch weight_touch;
/* Whether a row's scale is made from the whole row, so that it is the same on any number of ranks. */
bool weight_reads_whole_rows(const struct weight *w);
/* Packs `count` rows from src, which are of type `stored` and ld elements apart, each with the owned columns only; of a
 * weight that reads whole rows, with all columns of the K axis. Rows come in any order, each once; several threads may
 * put different rows. */
op_weight_rows weight_rows;
/* Its packed bytes; only where ops->weight_packed is not NULL. */
op_weight_packed weight_packed;
/* Takes the packed bytes from a file, from `at` on (a multiple of a page, filled up to one): pages of the page cache
 * replace its memory. fd may be closed; the file must not change. False: this file cannot be mapped. */
op_weight_map weight_map;
op_weight_destroy weight_destroy; /* NULL is fine */

#endif
