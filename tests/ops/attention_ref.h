/* attention_ref.h - the tokens of the attention tests, and attention as the contract has it, in scalar code.
 */
#ifndef TESTS_OPS_ATTENTION_REF_H
#define TESTS_OPS_ATTENTION_REF_H

#include "tests/ops/ref.h"

enum { MAX_SEQS = 10, MAX_POS = 3100 };

struct scene {
	struct attn_shape shape;
	struct kv_shape kv;
	int n_rot; /* 0: rope NULL */
	bool alibi;
	enum data how;
	int n_seqs, length[MAX_SEQS];
	int32_t kv_of_head[64];
	float slopes[64];
};

static int window_from(const struct attn_shape *a, int pos)
{
	return a->window && pos >= a->window ? pos + 1 - a->window : 0;
}

static int row_floats(const struct scene *s)
{
	return (s->shape.heads + 2 * s->shape.kv_heads) * s->shape.head_dim;
}

/* q, k and v of one token: the same each time. */
static void token_row(const struct scene *s, int seq, int pos, float *row)
{
	struct rng r = {(uint64_t)(seq * 100003 + pos * 7 + 1)};

	rng_next(&r);
	for (int i = 0; i < row_floats(s); i++) {
		row[i] = rng_float(&r, s->how) * (i < s->shape.heads * s->shape.head_dim ? 3 : 1);
		if (s->kv.type == DT_F16 && fabsf(row[i]) > 30000)
			row[i] = 3;
	}
}

static void fill_rope(const struct scene *s, float *c, float *sn)
{
	for (int p = 0; p < MAX_POS; p++)
		for (int i = 0; i < s->n_rot / 2; i++) {
			double angle = p * pow(10000, -2.0 * i / s->n_rot);
			c[p * (s->n_rot / 2) + i] = (float)cos(angle);
			sn[p * (s->n_rot / 2) + i] = (float)sin(angle);
		}
}

/* ---- the contract in scalar code ---- */
enum mutant { RIGHT, LEFT_TO_RIGHT, RUNNING, NO_WINDOW, MUTANTS };

/* int8 with a scale of the largest over 127. */
static void ref_int8(float *x, int n, float *scale)
{
	float most = 0, factor;

	for (int i = 0; i < n; i++)
		most = fabsf(ref_in(x[i])) > most ? fabsf(x[i]) : most;
	*scale = most < 0x1p-100f ? 0 : ref_div(most, 127);
	factor = *scale > 0 ? ref_div(127, most) : 0;
	for (int i = 0; i < n; i++)
		x[i] = *scale > 0 ? rintf(ref_mul(x[i], factor)) : 0;
}

/* Scales of the K/V heads of a token, K first; behind the rows of all tokens. Ones, but for int8. */
static float *ref_scales(const struct scene *s, const float *rows, int seq, int pos)
{
	return (float *)rows + (size_t)s->length[seq] * (size_t)row_floats(s) + (size_t)(pos * 2 * s->shape.kv_heads);
}

/* Rows of one sequence after rope, with K and V as the cache holds them. */
static float *ref_rows(const struct scene *s, int seq)
{
	int n = row_floats(s), dim = s->shape.head_dim, half = s->n_rot / 2, heads = s->shape.heads;
	float *rows = xalloc((size_t)(s->length[seq] * (n + 2 * s->shape.kv_heads)), sizeof *rows),
	      *c = xalloc((size_t)(MAX_POS * half + 1), sizeof *c);
	float *sn = xalloc((size_t)(MAX_POS * half + 1), sizeof *sn);

	fill_rope(s, c, sn);
	for (int pos = 0; pos < s->length[seq]; pos++) {
		float *row = rows + pos * n;
		token_row(s, seq, pos, row);
		for (int h = 0; h < heads + s->shape.kv_heads; h++)
			for (int i = 0; i < half; i++) {
				float *x = row + h * dim, a = x[i], b = x[i + half], cs = c[pos * half + i],
				      si = sn[pos * half + i];
				x[i] = ref_add(ref_mul(a, cs), -ref_mul(b, si));
				x[i + half] = ref_add(ref_mul(b, cs), ref_mul(a, si));
			}
		for (int h = 0; h < 2 * s->shape.kv_heads; h++) {
			float *scale = ref_scales(s, rows, seq, pos) + h;
			*scale = 1;
			if (s->kv.type == DT_I8)
				ref_int8(row + (heads + h) * dim, dim, scale);
		}
		for (int i = heads * dim; s->kv.type != DT_I8 && i < n; i++) {
			uint16_t h16 = 0;
			put_as(s->kv.type == DT_F32 ? (void *)&row[i] : (void *)&h16, 0, row[i], s->kv.type);
			if (s->kv.type != DT_F32)
				row[i] = get_as(&h16, 0, s->kv.type);
		}
	}
	free(c), free(sn);
	return rows;
}

struct state {
	float m, l, o[256];
};

struct head_view {
	const float *q, *k, *v;         /* k and v of position 0 */
	const float *k_scale, *v_scale; /* of position 0 */
	int stride, dim, scales;
	float scale, cap, slope;
	int pos, from; /* the token's; the first key of its window */
};

static float ref_score(const struct head_view *h, int key)
{
	float s = 0;

	for (int d = 0; d < h->dim; d++)
		s = ref_fma(h->q[d], h->k[key * h->stride + d], s);
	s = ref_mul(ref_mul(s, h->k_scale[key * h->scales]), h->scale);
	if (h->cap > 0)
		s = ref_mul(h->cap, ref_add(1, -ref_div(2, ref_add(ref_exp(ref_mul(2, ref_div(s, h->cap))), 1))));
	return h->slope > 0 ? ref_fma(h->slope, (float)(key - h->pos), s) : s;
}

static void ref_range(const struct head_view *h, int first, int n, struct state *out)
{
	float score[256], lane[16] = {0};

	*out = (struct state){.m = -INFINITY};
	for (int i = max_int(0, h->from - first); i < n; i++) {
		score[i] = ref_score(h, first + i);
		out->m = score[i] > out->m ? score[i] : out->m;
	}
	for (int i = max_int(0, h->from - first); i < n; i++) {
		float p = ref_exp(ref_add(score[i], -out->m));
		lane[i % 16] = ref_add(lane[i % 16], p);
		p = ref_mul(p, h->v_scale[(first + i) * h->scales]);
		for (int d = 0; d < h->dim; d++)
			out->o[d] = ref_fma(p, h->v[(first + i) * h->stride + d], out->o[d]);
	}
	out->l = ref_lanes(lane);
}

static void ref_combine(struct state *a, const struct state *b, int dim)
{
	if (b->m == -INFINITY && b->l == 0)
		return;
	if (a->m == -INFINITY && a->l == 0) {
		*a = *b;
		return;
	}
	float m = a->m > b->m ? a->m : b->m, fa = ref_exp(ref_add(a->m, -m)), fb = ref_exp(ref_add(b->m, -m));

	a->m = m;
	a->l = ref_fma(b->l, fb, ref_mul(a->l, fa));
	for (int d = 0; d < dim; d++)
		a->o[d] = ref_fma(b->o[d], fb, ref_mul(a->o[d], fa));
}

/* Combines ranges [first, first + count) of `unit` keys each. */
static void ref_ranges(const struct head_view *h, int keys, int unit, int first, int count, enum mutant mutant,
		       struct state *out)
{
	struct state right;
	int left = mutant == RIGHT || mutant == NO_WINDOW ? ref_left(count) : count - 1;

	if (count == 1) {
		ref_range(h, first * unit, min_int(unit, keys - first * unit), out);
		return;
	}
	ref_ranges(h, keys, unit, first, left, mutant, out);
	ref_ranges(h, keys, unit, first + left, count - left, mutant, &right);
	ref_combine(out, &right, h->dim);
}

/* RUNNING rescales after every 16 keys, as a streaming softmax does. */
static void ref_token(const struct scene *s, const float *rows, int seq, int pos, enum mutant mutant, float *out)
{
	int dim = s->shape.head_dim, unit = mutant == RUNNING ? 16 : 256;
	struct state sum;

	for (int head = 0; head < s->shape.heads; head++) {
		struct head_view h = {.stride = row_floats(s), .dim = dim, .scale = s->shape.scale};
		h.cap = s->shape.soft_cap, h.slope = s->shape.slopes ? s->shape.slopes[head] : 0;
		h.pos = pos, h.from = mutant == NO_WINDOW ? 0 : window_from(&s->shape, pos);
		h.q = rows + pos * h.stride + head * dim;
		h.k = rows + (s->shape.heads + s->kv_of_head[head]) * dim;
		h.v = h.k + s->shape.kv_heads * dim;
		h.scales = 2 * s->shape.kv_heads;
		h.k_scale = ref_scales(s, rows, seq, 0) + s->kv_of_head[head];
		h.v_scale = h.k_scale + s->shape.kv_heads;
		ref_ranges(&h, pos + 1, unit, 0, div_up(pos + 1, unit), mutant, &sum);
		for (int d = 0; d < dim; d++)
			out[head * dim + d] = ref_mul(sum.o[d], ref_div(1, sum.l));
	}
}

#endif
