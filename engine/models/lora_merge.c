/* lora_merge.c - adapters that become part of the weights while these are loaded. */
#include "engine/models/lora_inside.h"

#include <stdlib.h>

/* sum (cols) += scale * b (rank) * A. */
static void add_product(double *sum, const float *b, double scale, const float *a, int rank, int64_t cols)
{
	for (int j = 0; j < rank; j++) {
		double x = (double)b[j] * scale;
		for (int64_t i = 0; i < cols; i++)
			sum[i] += x * (double)a[j * cols + i];
	}
}

static void take_row(double *sum, const void *row, enum dtype type, int64_t n)
{
	const uint16_t *h = row;
	const float *f = row;

	for (int64_t i = 0; i < n; i++)
		sum[i] = type == DT_F32    ? (double)f[i]
			 : type == DT_BF16 ? (double)f32_from_bf16(h[i])
					   : (double)f32_from_f16(h[i]);
}

static void put_row(void *row, const double *sum, enum dtype type, int64_t n)
{
	uint16_t *h = row;
	float *f = row;

	for (int64_t i = 0; i < n; i++)
		if (type == DT_F32)
			f[i] = (float)sum[i];
		else
			h[i] = type == DT_BF16 ? bf16_from_f32((float)sum[i]) : f16_from_f32((float)sum[i]);
}

/* What one adapter adds to the rows. */
struct merged {
	float *a, *b; /* (rank, cols), (count, rank) */
	int rank;
	double scale;
};

static int read_part(struct merged *p, const struct model *m, const struct adapter *a, const struct slot *s, int piece,
		     int64_t first, int64_t count, struct span col, struct why *why)
{
	bool fused;
	const struct adapter_module *mod = lora_module(m->family, a, s->row, s->layer, piece, &fused);
	int err;

	*p = (struct merged){0};
	if (!mod)
		return 0;
	p->rank = mod->rank;
	p->scale = mod->scale;
	p->a = xalloc((size_t)mod->rank * (size_t)col.count, sizeof *p->a);
	p->b = xalloc((size_t)mod->rank * (size_t)count, sizeof *p->b);
	err = adapter_read(a, mod->a, 0, mod->rank, col.first, col.count, p->a, why);
	return err ? err : lora_read_b(&m->cfg, a, mod, s->row, fused, piece, first, count, p->b, why);
}

bool lora_is_product(const struct model *m, const struct weight_row *row)
{
	for (int p = 0; p < LORA_PRODUCTS; p++)
		if (lora_row(m->family, (enum lora_product)p) == row)
			return true;
	return false;
}

int lora_merge_rows(const struct model *m, const struct slot *s, int piece, int64_t first, int64_t count,
		    struct span col, void *rows, enum dtype stored, struct why *why)
{
	struct merged *part;
	double *sum;
	int n = m->how.n_merge, used = 0, err = 0;

	if (!n || !lora_is_product(m, s->row))
		return 0;
	part = xalloc((size_t)n, sizeof *part);
	for (int i = 0; !err && i < n; i++) {
		err = read_part(&part[i], m, m->how.merge[i], s, piece, first, count, col, why);
		used += part[i].rank > 0;
	}
	sum = xalloc((size_t)col.count, sizeof *sum);
	for (int64_t r = 0; !err && used && r < count; r++) {
		char *row = (char *)rows + (size_t)(r * col.count) * dtype_size(stored);
		take_row(sum, row, stored, col.count);
		for (int i = 0; i < n; i++)
			add_product(sum, part[i].b + r * part[i].rank, part[i].scale, part[i].a, part[i].rank,
				    col.count);
		put_row(row, sum, stored, col.count);
	}
	for (int i = 0; i < n; i++) {
		free(part[i].a);
		free(part[i].b);
	}
	free(part);
	free(sum);
	return err;
}
