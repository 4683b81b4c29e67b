/* pair.h - a backend through the plug-in, and products of gate above up with rows of x, against float64. */
#ifndef TESTS_CUDA_PAIR_H
#define TESTS_CUDA_PAIR_H

#include "engine/cuda/cuda.h"
#include "tests/cuda/device.h"

const struct plugin *xversed_plugin(void);

enum { FFN = 70, COLS = 88, TOKENS = 140 };

static inline struct backend *open_backend(bool fixed)
{
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = {.max_seqs = 2, .max_tokens = TOKENS, .max_blocks = 16, .rows = 4},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .fixed = fixed,
				   .wait_ns = 60000000000};
	struct backend *b;
	struct why why;

	if (xversed_plugin()->backend_create(&b, &how, &why))
		CHECK_FAIL("%s", why.text);
	return b;
}

static inline double dot(const uint16_t *x, const uint16_t *w, double *size)
{
	double s = 0;

	*size = 0;
	for (int j = 0; j < COLS; j++) {
		double p = (double)f32_from_bf16(x[j]) * (double)f32_from_bf16(w[j]);
		s += p, *size += fabs(p);
	}
	return s;
}

/* `stored`: gate and up pass through 16 bits. bias: of gate, then of up, or NULL. */
static inline void check_biased(struct backend *b, const struct weight *w, const uint16_t *rows, int tokens,
				bool stored, const float *bias)
{
	struct rng r = {7};
	uint16_t *x = random_halves(&r, (size_t)tokens * COLS, K_BF16), got[TOKENS * FFN];
	void *dx = dev_put(x, (size_t)tokens * COLS * 2), *dout = dev_new(sizeof got), *room = dev_new(2 * sizeof got);
	struct tensor in = tensor_of(dx, DT_BF16, tokens, COLS), out = tensor_of(dout, DT_BF16, tokens, FFN),
		      gate_up = tensor_of(room, DT_BF16, tokens, 2 * FFN);

	void *db = bias ? dev_put(bias, sizeof(float) * 2 * FFN) : NULL;

	out = backend_linear_silu_mul(b, &out, &gate_up, &in, w, db);
	backend_sync(b);
	dev_get(got, out.data, (size_t)tokens * FFN * 2);
	for (int t = 0; t < tokens; t++)
		for (int i = 0; i < FFN; i++) {
			double a, c, g = dot(x + t * COLS, rows + i * COLS, &a),
				     u = dot(x + t * COLS, rows + (FFN + i) * COLS, &c), want, bound;
			if (bias)
				g += bias[i], u += bias[FFN + i];
			want = g / (1 + exp(-g)) * u;
			bound = fabs(want) * 0x1p-8 * 1.02 + 2e-6 * (1 + a) * (1 + c);
			CHECK_NEAR(f32_from_bf16(got[t * FFN + i]), want,
				   bound + (stored ? 0x1p-7 * (1 + fabs(g)) * (1 + fabs(u)) : 0),
				   "%d tokens: token %d number %d", tokens, t, i);
		}
	dev_free(dx), dev_free(dout), dev_free(room), dev_free(db);
	free(x);
}

static inline void check_products(struct backend *b, const struct weight *w, const uint16_t *rows, int tokens,
				  bool stored)
{
	check_biased(b, w, rows, tokens, stored, NULL);
}

#endif
