/* rows.h - private to engine/models: walks a family's table over a model. */
#ifndef ENGINE_MODELS_ROWS_H
#define ENGINE_MODELS_ROWS_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/models/inside.h"

enum { TENSOR_NAME = 128 };

/* A row of the table and, where it is one of a layer, which layer; of a stack, which of its matrices. Begins as {0}. */
struct slot {
	const struct weight_row *row;
	int layer, expert;
};

/* The next matrix or vector of the model, in the table's order: layer by layer where rows are per layer. False: there
 * are no more. */
bool slot_next(const struct model *m, struct slot *s);
/* Where its pointer lies: of a matrix, of a vector. */
struct weight **slot_weight(const struct model *m, const struct slot *s);
float **slot_vector(const struct model *m, const struct slot *s);
bool slot_is_vector(const struct slot *s);
/* A row of the FFN's outputs where this rank owns none: it stays NULL. */
bool slot_is_empty(const struct model *m, const struct slot *s);
/* How many matrices are stacked in it; 1: it is one. */
int slot_stack(const struct model *m, const struct slot *s);
/* This rank's rows of all pieces, of one matrix of a stack. */
int slot_rows(const struct model *m, const struct slot *s);

int64_t axis_length(enum axis a, const struct model_config *c);
struct span axis_span(enum axis a, const struct model *m);   /* this rank's part of it */
struct split axis_split(enum axis a, const struct model *m); /* as the K axis of a product */

/* In how many layers (1 for a row outside them) models of this config have the row; whether it is in this one. */
int row_layers(const struct weight_row *row, const struct model_config *c);
bool row_is_there(const struct weight_row *row, const struct model_config *c, int layer);
/* Whether `text` is the row's name of a tensor, '#' standing for any number. */
bool row_name_is(const char *name, const char *text);
int row_pieces(const struct weight_row *row);
/* Rows of the whole model in the first n pieces. */
int64_t row_length(const struct weight_row *row, int n, const struct model_config *c);
/* The tensor's full name, of one expert where the name has a '#'. */
void row_tensor(const struct family *f, const struct weight_row *row, const char *name, int layer, int expert,
		char out[TENSOR_NAME]);
/* A tensor by its full name, or without the prefix that files may leave out; NULL: there is none. */
const struct ck_tensor *row_find(const struct family *f, const struct checkpoint *ck, const char *name);
/* Which row of a tensor holds row `at` of piece i: `fused` where the tensor holds all pieces, else it is the piece's
 * own. *run is the number of rows from there on that follow each other in both. */
int64_t row_source(const struct weight_row *row, const struct model_config *c, bool fused, int i, int64_t at,
		   int64_t *run);
/* The row whose pointer lies at this place of struct model or struct layer. */
const struct weight_row *row_at(const struct family *f, bool per_layer, size_t place);

#endif
