/* embed.c - looks up rows of the embedding table. */
#include "engine/cpu/cpu.h"

#include <string.h>

struct embed_job {
	struct tensor *out;
	const int32_t *ids;
	const struct cpu_weight *table;
	int first_id;
};

static void embed_unit(void *arg, int row, int worker)
{
	const struct embed_job *j = arg;
	float *out = (float *)j->out->data + (size_t)row * (size_t)j->out->cols;
	int64_t at = (int64_t)j->ids[row] - j->first_id;

	(void)worker;
	if (at >= 0 && at < j->table->base.rows)
		cpu_weight_row(j->table, (int)at, out);
	else
		memset(out, 0, (size_t)j->out->cols * sizeof *out);
}

void cpu_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	struct embed_job j = {out, ids, (const struct cpu_weight *)table, first_id};

	pool_each(cpu_of(b)->pool, out->rows, embed_unit, &j);
}
