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

/* A sum between ranks, or part of one. */
static inline struct tensor sum_tensor(const struct model *m, void *data, int rows)
{
	return tensor_of(data, m->b->sum, rows, m->cfg.hidden);
}

static inline struct delta sum_delta(const struct model *m, const void *data, const float *shift)
{
	return (struct delta){data, shift, m->b->sum};
}

static inline struct norm norm_of(const struct model *m, const float *w, const float *bias)
{
	return (struct norm){w, bias, m->cfg.norm, m->cfg.norm_eps};
}

/* m->work.x (pad_tokens, hidden) = the embedding of the step's tokens: split by vocabulary, summed over ranks. Returns
 * what the first layer adds to it: learned positions, or nothing. */
struct delta pass_embed(struct model *m, const struct step *s);
/* m->work.delta (pad_tokens, hidden) = attention of norm(x + before), projected: a sum over ranks without its bias. */
void pass_attention(struct model *m, int layer, struct kv *kv, const struct step *s, struct delta before);
/* The FFN's inner numbers for h (rows, hidden): (rows, ffn of this rank). */
struct tensor pass_inner(struct model *m, const struct layer *l, const struct tensor *h);
/* delta = inner (rows, ffn of this rank), projected: a sum over ranks without its bias. */
void pass_down(struct model *m, const struct layer *l, const struct tensor *inner, void *delta);
/* Computes delta = the FFN of a layer for n rows of x, and adds what `delta` held before, attention, to x. */
typedef void pass_ffn(struct model *m, const struct layer *l, float *x, void *delta, int n);
/* The whole pass: attention, then `ffn`, layer by layer. */
void pass_layers(struct model *m, struct kv *kv, const struct step *s, pass_ffn *ffn);
/* delta (x->rows, hidden; type b->sum) = sum over ranks of x * w^T, w split by columns (k); w NULL: this rank adds
 * nothing. */
void linear_sum(struct model *m, void *delta, const struct tensor *x, const struct weight *w, const struct split *k);
/* delta (h->rows, hidden; type b->sum) = sum over ranks of the experts' outputs for h, chosen as r says. */
void experts_sum(struct model *m, const struct layer *l, void *delta, const struct tensor *h, const struct routing *r);

#endif
