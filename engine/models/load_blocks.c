/* load_blocks.c - the rows of GGUF files whose blocks the backend takes as they are. */
#include <stdatomic.h>

#include "engine/checkpoint/blocks.h"
#include "engine/models/loader.h"

enum { NUMBERS = 4 << 20 /* at a time */ };

int load_blocks(struct loader *l, const struct target *t, const struct piece *p, int at, struct why *why)
{
	struct weight *w = *slot_weight(l->m, &t->slot);
	int64_t step = NUMBERS / (p->col.count ? p->col.count : 1) + 1;
	struct block_rows b;
	struct weight_blocks in;
	int err = 0;

	if (!p->row.count || !p->col.count)
		return 0;
	step = step < p->row.count ? step : p->row.count;
	b = block_rows_make(p->t, step, p->col.first, p->col.count);
	in = (struct weight_blocks){.q = b.q,
				    .ld = (size_t)p->col.count,
				    .scale = b.scale,
				    .min = b.min,
				    .blocks = b.blocks,
				    .part = b.part,
				    .part_min = b.part_min,
				    .groups = b.groups};
	for (int64_t r = 0, n, run; r < p->row.count && !err; r += n) {
		int64_t from =
			row_source(t->slot.row, &l->m->cfg, p->fused, (int)(p - t->piece), p->row.first + r, &run);
		n = p->row.count - r < step ? p->row.count - r : step;
		n = run < n ? run : n;
		err = block_rows_read(l->ck, p->t, from, n, p->col.first, p->col.count, &b, why);
		if (!err)
			weight_blocks(w, at + (int)r, (int)n, &in);
		atomic_fetch_add(&l->progress->bytes, (uint64_t)(n * p->col.count) * dtype_size(p->t->type));
	}
	block_rows_free(&b);
	return err;
}
