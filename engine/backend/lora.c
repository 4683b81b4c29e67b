/* lora.c - how low-rank matrices lie in memory, and the front functions of their two products. */
#include "engine/backend/lora.h"

#include <stdlib.h>

static int panels_of(int rows)
{
	return div_up(rows, LORA_LANES);
}

static int all_panels(const struct lora_shape *s)
{
	int n = 0;

	for (int i = 0; i < s->pieces; i++)
		n += panels_of(s->rows[i]);
	return n;
}

size_t lora_a_size(const struct lora_shape *s)
{
	return (size_t)s->pieces * (size_t)s->rank * (size_t)split_columns(&s->k).count;
}

size_t lora_b_size(const struct lora_shape *s)
{
	return (size_t)all_panels(s) * (size_t)s->rank * LORA_LANES;
}

struct lora *lora_create(const struct lora_shape *s, float *a, float *b, struct lora_slot *on_device)
{
	struct lora *l = xalloc(1, sizeof *l);

	REQUIRE(s->rank % LORA_LANES == 0 && s->pieces >= 1 && s->pieces <= LORA_PIECES);
	*l = (struct lora){.shape = *s,
			   .cols = split_columns(&s->k).count,
			   .panels = all_panels(s),
			   .a = a,
			   .b = b,
			   .on_device = on_device};
	l->slot = xalloc((size_t)s->slots, sizeof *l->slot);
	for (int i = 0; i < s->slots; i++)
		for (int p = 0; p < LORA_PIECES; p++)
			l->slot[i].a_of[p] = -1;
	return l;
}

void lora_switch(struct backend *b, struct lora *l, int slot, const struct lora_slot *what)
{
	l->slot[slot] = *what;
	backend_upload(b, l->on_device + slot, what, sizeof *what);
}

void lora_destroy(struct lora *l)
{
	if (!l)
		return;
	free(l->slot);
	free(l);
}

void lora_put_a(const struct lora *l, float *slot_a, int i, int j, const float *from)
{
	size_t panel = (size_t)(i * l->shape.rank + j) / LORA_LANES;
	float *to = slot_a + panel * (size_t)l->cols * LORA_LANES + j % LORA_LANES;

	for (int c = 0; c < l->cols; c++)
		to[(size_t)c * LORA_LANES] = from[c];
}

void lora_put_b(const struct lora *l, float *slot_b, int piece, int row, const float *from, int rank)
{
	int panel = row / LORA_LANES;
	float *to;

	for (int i = 0; i < piece; i++)
		panel += panels_of(l->shape.rows[i]);
	to = slot_b + (size_t)panel * (size_t)l->shape.rank * LORA_LANES + row % LORA_LANES;
	for (int j = 0; j < rank; j++)
		to[(size_t)j * LORA_LANES] = from[j];
}

static void check(const struct backend *b, const struct lora *l)
{
	REQUIRE(b->ops->lora_down && b->ops->lora_up && l->shape.slots > 0);
	if (b->on_op)
		b->on_op(b->on_op_arg);
}

void backend_lora_down(struct backend *b, float *t, const struct tensor *x, const struct lora *l, const int32_t *slot)
{
	check(b, l);
	REQUIRE(x->type == b->act && x->cols == l->cols);
	b->ops->lora_down(b, t, x, l, slot);
}

void backend_lora_up(struct backend *b, struct tensor *y, const float *t, const struct lora *l, const int32_t *slot)
{
	int cols = 0;

	check(b, l);
	for (int i = 0; i < l->shape.pieces; i++)
		cols += l->shape.rows[i];
	REQUIRE((y->type == DT_F32 || y->type == b->mid || y->type == b->sum) && y->cols == cols);
	REQUIRE(!l->shape.paired || (l->shape.pieces == 2 && l->shape.rows[0] == l->shape.rows[1]));
	b->ops->lora_up(b, y, t, l, slot);
}
