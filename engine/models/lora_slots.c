/* lora_slots.c - memory of adapters' slots, and how this rank's part of an adapter comes into one. */
#include "engine/models/lora_inside.h"

#include <stdlib.h>

static struct lora_shape shape_of(const struct model *m, enum lora_product which)
{
	const struct weight_row *row = lora_row(m->family, which);
	struct lora_shape s = {.slots = m->lora->slots,
			       .rank = m->lora->rank,
			       .pieces = row_pieces(row),
			       .paired = row->paired && m->b->ops->paired_columns,
			       .k = axis_split(row->cols, m)};

	for (int i = 0; i < s.pieces; i++)
		s.rows[i] = axis_span(row->piece[i].rows, m).count;
	return s;
}

enum { SLOT_FLOATS = sizeof(struct lora_slot) / sizeof(float) };

static bool has(const struct model *m, int layer, int product)
{
	return lora_is_there(&m->cfg, lora_row(m->family, (enum lora_product)product), layer);
}

/* Of one layer, in floats: matrices, then what the slots do. */
static size_t layer_size(const struct model *m, int layer)
{
	size_t n = 0;

	for (int p = 0; p < LORA_PRODUCTS; p++) {
		struct lora_shape s;
		if (!has(m, layer, p))
			continue;
		s = shape_of(m, (enum lora_product)p);
		n += (size_t)s.slots * (lora_a_size(&s) + lora_b_size(&s) + SLOT_FLOATS);
	}
	return n;
}

static void create_layer(struct model *m, int layer, float *at)
{
	for (int p = 0; p < LORA_PRODUCTS; p++) {
		struct lora_shape s;
		size_t a, b;
		if (!has(m, layer, p))
			continue;
		s = shape_of(m, (enum lora_product)p);
		a = (size_t)s.slots * lora_a_size(&s);
		b = (size_t)s.slots * lora_b_size(&s);
		m->lora->product[layer * LORA_PRODUCTS + p] =
			lora_create(&s, at, at + a, (struct lora_slot *)(void *)(at + a + b));
		at += a + b + (size_t)s.slots * SLOT_FLOATS;
	}
}

void lora_create_slots(struct model *m)
{
	struct model_lora *lo;
	size_t tokens = (size_t)m->how.limits.max_tokens, products = (size_t)m->cfg.layers * LORA_PRODUCTS, at = 0;

	if (!m->how.loras)
		return;
	m->lora = lo = xalloc(1, sizeof *lo);
	lo->slots = m->how.loras;
	lo->rank = div_up(m->how.lora_rank, LORA_LANES) * LORA_LANES;
	for (int i = 0; i < m->cfg.layers; i++)
		lo->bytes += layer_size(m, i) * sizeof(float);
	lo->memory = backend_alloc(m->b, lo->bytes);
	lo->t_bytes = tokens * LORA_PIECES * (size_t)lo->rank * sizeof(float);
	lo->t = backend_alloc(m->b, lo->t_bytes);
	lo->product = xalloc(products, sizeof *lo->product);
	lo->staged = xalloc(products, sizeof *lo->staged);
	lo->changes = xalloc((size_t)lo->slots, sizeof *lo->changes);
	lo->of_token = xalloc(tokens, sizeof *lo->of_token);
	lo->of_row = xalloc(tokens, sizeof *lo->of_row);
	lo->now_bytes = 2 * tokens * sizeof(int32_t);
	lo->now_of_tokens = backend_alloc(m->b, lo->now_bytes);
	lo->now_of_rows = lo->now_of_tokens + tokens;
	for (int i = 0; i < m->cfg.layers; i++) {
		create_layer(m, i, lo->memory + at);
		at += layer_size(m, i);
	}
}

void lora_destroy_slots(struct model *m)
{
	struct model_lora *lo = m->lora;

	if (!lo)
		return;
	for (int i = 0; i < m->cfg.layers * LORA_PRODUCTS; i++)
		lora_destroy(lo->product[i]);
	backend_free(m->b, lo->memory, lo->bytes);
	backend_free(m->b, lo->t, lo->t_bytes);
	backend_free(m->b, lo->now_of_tokens, lo->now_bytes);
	free(lo->product);
	free(lo->staged);
	free(lo->changes);
	free(lo->of_token);
	free(lo->of_row);
	free(lo);
	m->lora = NULL;
}

size_t model_lora_bytes(const struct model *m)
{
	return m->lora ? m->lora->bytes : 0;
}

/* ---- filling one ---- */

struct fill {
	struct model *m;
	const struct adapter *a;
	const struct weight_row *row;
	struct lora *l;
	float *host_a, *host_b; /* of the slot */
	struct why *why;
};

/* A number `to` of the slot is that of the module: of this rank's columns. */
static int put_a(const struct fill *f, const struct adapter_module *mod, int to)
{
	struct span col = axis_span(f->row->cols, f->m);
	float *from = xalloc((size_t)mod->rank * (size_t)max_int(1, col.count), sizeof *from);
	int err = col.count ? adapter_read(f->a, mod->a, 0, mod->rank, col.first, col.count, from, f->why) : 0;

	for (int j = 0; !err && j < mod->rank; j++)
		lora_put_a(f->l, f->host_a, to, j, from + (size_t)j * (size_t)col.count);
	free(from);
	return err;
}

static int put_b(const struct fill *f, const struct adapter_module *mod, bool fused, int piece)
{
	struct span rows = axis_span(f->row->piece[piece].rows, f->m);
	float *from = xalloc((size_t)mod->rank * (size_t)max_int(1, rows.count), sizeof *from);
	int err = lora_read_b(&f->m->cfg, f->a, mod, f->row, fused, piece, rows.first, rows.count, from, f->why);

	for (int n = 0; !err && n < rows.count * mod->rank; n++)
		from[n] = (float)((double)from[n] * mod->scale);
	for (int r = 0; !err && r < rows.count; r++)
		lora_put_b(f->l, f->host_b, piece, r, from + (size_t)r * (size_t)mod->rank, mod->rank);
	free(from);
	return err;
}

/* Pieces of one tensor share its A. */
static int fill_pieces(const struct fill *f, int layer, struct lora_slot *slot)
{
	int err = 0;

	*slot = (struct lora_slot){.a_of = {-1, -1, -1}};
	for (int i = 0; !err && i < f->l->shape.pieces; i++) {
		bool fused;
		const struct adapter_module *mod = lora_module(f->m->family, f->a, f->row, layer, i, &fused);
		int a = fused ? 0 : i;
		if (!mod)
			continue;
		slot->a_of[i] = a;
		if (!slot->rank[a])
			err = put_a(f, mod, a);
		slot->rank[a] = mod->rank;
		if (!err)
			err = put_b(f, mod, fused, i);
	}
	return err;
}

static int fill_product(struct model *m, int slot, const struct adapter *a, int layer, enum lora_product which,
			struct why *why)
{
	int at = layer * LORA_PRODUCTS + (int)which;
	struct lora *l = m->lora->product[at];
	size_t n_a = lora_a_size(&l->shape), n_b = lora_b_size(&l->shape);
	struct fill f = {.m = m, .a = a, .row = lora_row(m->family, which), .l = l, .why = why};
	int err;

	f.host_a = xalloc(n_a + 1, sizeof *f.host_a);
	f.host_b = xalloc(n_b + 1, sizeof *f.host_b);
	err = fill_pieces(&f, layer, &m->lora->staged[at]);
	if (!err) {
		backend_upload(m->b, l->a + (size_t)slot * n_a, f.host_a, n_a * sizeof *f.host_a);
		backend_upload(m->b, l->b + (size_t)slot * n_b, f.host_b, n_b * sizeof *f.host_b);
	}
	free(f.host_a);
	free(f.host_b);
	return err;
}

int model_lora_fill(struct model *m, int slot, const struct adapter *a, struct why *why)
{
	int err = model_lora_check(&m->cfg, a, m->how.lora_rank, why);

	REQUIRE(m->lora && slot >= 0 && slot < m->lora->slots);
	for (int i = 0; i < m->cfg.layers; i++)
		for (int p = 0; !err && p < LORA_PRODUCTS; p++)
			if (m->lora->product[i * LORA_PRODUCTS + p])
				err = fill_product(m, slot, a, i, (enum lora_product)p, why);
	return err;
}

void model_lora_switch(struct model *m, int slot)
{
	struct model_lora *lo = m->lora;
	unsigned changes = 0;

	for (int i = 0; i < m->cfg.layers * LORA_PRODUCTS; i++) {
		if (!lo->product[i])
			continue;
		lora_switch(m->b, lo->product[i], slot, &lo->staged[i]);
		for (int p = 0; p < LORA_PIECES; p++)
			changes |= lo->staged[i].a_of[p] >= 0 ? 1u << i % LORA_PRODUCTS : 0;
	}
	lo->changes[slot] = changes;
}
