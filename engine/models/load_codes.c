/* load_codes.c - the rows of quantised files that the backend takes as they are. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fp8.h"
#include "engine/checkpoint/quant.h"
#include "engine/models/dummy.h"
#include "engine/models/loader.h"

enum { NUMBERS = 4 << 20 /* at a time */ };

struct stage {
	struct quant_room to;
	int64_t rows; /* that it holds */
	size_t groups;
};

static struct stage stage_of(const struct piece *p, enum quant class)
{
	int64_t wide = p->t && p->t->quant->order ? p->width : p->col.count;
	struct stage s = {.rows = NUMBERS / (wide ? wide : 1) + 1};

	s.rows = s.rows < p->row.count ? s.rows : p->row.count;
	s.groups = (size_t)((p->col.first + p->col.count - 1) / 32 + 1 - p->col.first / 32);
	s.to.q = xalloc((size_t)(s.rows * p->col.count), 1);
	if (class == QUANT_E4M3) {
		s.to.wide = xalloc((size_t)s.rows * s.groups, sizeof *s.to.wide);
		return s;
	}
	s.to.zero = xalloc((size_t)s.rows * s.groups, 1);
	s.to.scale = xalloc((size_t)s.rows * s.groups, sizeof *s.to.scale);
	return s;
}

static void drop_stage(struct stage *s)
{
	free(s->to.q);
	free(s->to.zero);
	free(s->to.scale);
	free(s->to.wide);
}

/* Random codes, all with one scale, so that they do not depend on where a rank's columns begin. */
static void dummy_codes(const struct loader *l, const struct piece *p, const struct stage *s, enum quant class,
			int64_t r, int64_t n)
{
	const bool four = class == QUANT_INT4 || class == QUANT_UINT4, e4m3 = class == QUANT_E4M3;
	const size_t all = (size_t)(n * p->col.count), groups = (size_t)n * s->groups;
	const float middle = four ? 8 : 128, scale = e4m3 ? p->std / 32 : p->std * 4 / middle;
	float *x = xalloc(all + 1, sizeof *x);

	dummy_fill(x, DT_F32, l->m->how.dummy_seed, p->name, p->width, p->row.first + r, n, p->col.first, p->col.count,
		   p->mean, p->std);
	for (size_t i = 0; i < all; i++)
		s->to.q[i] = e4m3 ? (uint8_t)fp8_of(x[i] / scale)
				  : (uint8_t)fminf(fmaxf(rintf(x[i] / scale) + middle, 0), 2 * middle - 1);
	for (size_t i = 0; i < groups; i++)
		if (e4m3)
			s->to.wide[i] = scale;
		else
			s->to.scale[i] = f16_from_f32(scale), s->to.zero[i] = (uint8_t)middle;
	free(x);
}

/* Puts rows [r, r + *n) of this rank's part; *n becomes how many follow each other in the tensor. */
static int put_rows(struct loader *l, const struct target *t, const struct piece *p, const struct stage *s, int at,
		    int64_t r, int64_t *n, struct why *why)
{
	struct weight *w = *slot_weight(l->m, &t->slot);
	bool zeros = w->quant == QUANT_UINT8 || w->quant == QUANT_UINT4;
	struct weight_codes c = {.q = s->to.q,
				 .ld = (size_t)p->col.count,
				 .scale = s->to.scale,
				 .wide = s->to.wide,
				 .zero = zeros ? s->to.zero : NULL,
				 .groups = s->groups};
	int64_t run, from = row_source(t->slot.row, &l->m->cfg, p->fused, (int)(p - t->piece), p->row.first + r, &run);
	int err = 0;

	*n = run < *n ? run : *n;
	if (p->t)
		err = quant_codes(l->ck, p->t, from, *n, p->col.first, p->col.count, &s->to, why);
	else
		dummy_codes(l, p, s, w->quant, r, *n);
	if (!err)
		weight_codes(w, at + (int)r, (int)*n, &c);
	atomic_fetch_add(&l->progress->bytes,
			 (uint64_t)(*n * p->col.count) * dtype_size(p->t ? p->t->type : t->stored));
	return err;
}

int load_codes(struct loader *l, const struct target *t, const struct piece *p, int at, struct why *why)
{
	struct stage s;
	int err = 0;

	if (!p->row.count || !p->col.count)
		return 0;
	s = stage_of(p, (*slot_weight(l->m, &t->slot))->quant);
	for (int64_t r = 0, n; r < p->row.count && !err; r += n) {
		n = p->row.count - r < s.rows ? p->row.count - r : s.rows;
		err = put_rows(l, t, p, &s, at, r, &n, why);
	}
	drop_stage(&s);
	return err;
}
