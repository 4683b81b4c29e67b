/* load_codes.c - the rows of quantised files that the backend takes as they are. */
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/checkpoint/quant.h"
#include "engine/models/loader.h"

enum { NUMBERS = 4 << 20 /* at a time */ };

struct stage {
	uint8_t *q, *zero;
	uint16_t *scale;
	int64_t rows; /* that it holds */
	size_t groups;
};

static struct stage stage_of(const struct piece *p)
{
	int64_t wide = p->t->quant->order ? p->width : p->col.count;
	struct stage s = {.rows = NUMBERS / (wide ? wide : 1) + 1};

	s.rows = s.rows < p->row.count ? s.rows : p->row.count;
	s.groups = (size_t)((p->col.first + p->col.count - 1) / 32 + 1 - p->col.first / 32);
	s.q = xalloc((size_t)(s.rows * p->col.count), 1);
	s.zero = xalloc((size_t)s.rows * s.groups, 1);
	s.scale = xalloc((size_t)s.rows * s.groups, sizeof *s.scale);
	return s;
}

/* Puts rows [r, r + *n) of this rank's part; *n becomes how many follow each other in the tensor. */
static int put_rows(struct loader *l, const struct target *t, const struct piece *p, const struct stage *s, int at,
		    int64_t r, int64_t *n, struct why *why)
{
	struct weight *w = *slot_weight(l->m, &t->slot);
	bool zeros = w->quant == QUANT_UINT8 || w->quant == QUANT_UINT4;
	struct weight_codes c = {.q = s->q,
				 .ld = (size_t)p->col.count,
				 .scale = s->scale,
				 .zero = zeros ? s->zero : NULL,
				 .groups = s->groups};
	int64_t run, from = row_source(t->slot.row, &l->m->cfg, p->fused, (int)(p - t->piece), p->row.first + r, &run);
	int err;

	*n = run < *n ? run : *n;
	err = quant_codes(l->ck, p->t, from, *n, p->col.first, p->col.count, s->q, s->scale, s->zero, why);
	if (!err)
		weight_codes(w, at + (int)r, (int)*n, &c);
	atomic_fetch_add(&l->progress->bytes, (uint64_t)(*n * p->col.count) * dtype_size(p->t->type));
	return err;
}

int load_codes(struct loader *l, const struct target *t, const struct piece *p, int at, struct why *why)
{
	struct stage s;
	int err = 0;

	if (!p->row.count || !p->col.count)
		return 0;
	s = stage_of(p);
	for (int64_t r = 0, n; r < p->row.count && !err; r += n) {
		n = p->row.count - r < s.rows ? p->row.count - r : s.rows;
		err = put_rows(l, t, p, &s, at, r, &n, why);
	}
	free(s.q);
	free(s.zero);
	free(s.scale);
	return err;
}
