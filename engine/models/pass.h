/* pass.h - private to engine/models: what forward passes of all shapes are made of. */
#ifndef ENGINE_MODELS_PASS_H
#define ENGINE_MODELS_PASS_H

#include "engine/models/inside.h"

/* The workspace as what a linear reads: (rows, cols) of type b->act. */
static inline struct tensor act(const struct model *m, int rows, int cols)
{
	return tensor_of(m->work.act, m->b->act, rows, cols);
}

static inline struct tensor f32(float *data, int rows, int cols)
{
	return tensor_of(data, DT_F32, rows, cols);
}

/* m->work.x (pad_tokens, hidden) = the embedding of the step's tokens: split by vocabulary, summed over ranks. */
void pass_embed(struct model *m, const struct step *s);
/* delta (x->rows, hidden) = sum over ranks of x * w^T, w split by columns (k); w NULL: this rank adds nothing. */
void linear_sum(struct model *m, float *delta, const struct tensor *x, const struct weight *w, const struct split *k);
/* m->work.x_rows, m->work.delta_rows (pad_rows, hidden) = the step's rows of x and delta. */
void keep_rows(struct model *m, const struct step *s);

#endif
