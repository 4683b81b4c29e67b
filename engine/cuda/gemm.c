/* gemm.c - products with many rows by cuBLASLt: bf16 or f16 in, or e4m3; f32 sums, f32 or 16 bits out. */
#include "engine/cuda/gemm_fp8.h"

static void grow(struct cuda *c, void **p, size_t *bytes, size_t need)
{
	if (need <= *bytes)
		return;
	cuda_give(c, *p, *bytes);
	*bytes = need;
	*p = cuda_take(c, need);
}

void gemm_room(struct cuda *c, const struct cuda_weight *w)
{
	struct gemm *g = c->gemm;
	size_t tokens = (size_t)c->how.limits.max_tokens;

	if (cuda_in_parts(w)) {
		grow(c, &g->room, &g->room_bytes,
		     (size_t)w->ld * sizeof(uint16_t) * (size_t)gemm_rows_at_once(w, 0, false));
		return;
	}
	if (!g->x_scale && !c->how.dry)
		gemm_fp8_create(g);
	if (!g->x_scale)
		g->x_scale = cuda_take(c, tokens * sizeof *g->x_scale);
	grow(c, &g->x8, &g->x8_bytes, tokens * (size_t)w->ld);
	if (!g->scales)
		grow(c, &g->room, &g->room_bytes, gemm_fp8_room(w));
}

static void to_room(struct cuda *c, const struct cuda_weight *w, int first, int rows)
{
	cuda_check(k_expand(c->stream, c->type, c->gemm->room, cuda_matrix(w, first), rows), "weights as 16 bits");
}

bool gemm_run(struct cuda *c, void *out, bool narrow, const void *x, const struct cuda_weight *w, int m)
{
	int rows = w->base.rows, per = gemm_rows_at_once(w, m, narrow);
	size_t size = narrow ? sizeof(uint16_t) : sizeof(float);

	if (w->base.quant == QUANT_FP8)
		return gemm_fp8_run(c, out, narrow, x, w, m);
	for (int at = 0, n; at < rows; at += n) {
		n = min_int(per, rows - at);
		if (w->base.quant)
			to_room(c, w, at, n);
		if (!gemm_run_rows(c, &(struct product){.m = m, .n = n, .k = w->base.cols, .narrow = narrow},
				   (char *)out + (size_t)at * size, rows, x, w->base.quant ? c->gemm->room : w->data,
				   w->ld))
			die("cuBLASLt has no algorithm for a product of %d x %d x %d", m, n, w->base.cols);
	}
	return true;
}
