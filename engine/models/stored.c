#include "engine/models/stored.h"

#include <string.h>

#include "engine/backend/weight.h"
#include "engine/models/rows.h"

static bool is_quantised(const struct ck_tensor *t)
{
	return t && (t->block || t->quant);
}

static bool same_order(const struct ck_quant *a, const struct ck_quant *b)
{
	if (!a->order || !b->order || a->order == b->order)
		return a->order == b->order;
	return a->cols == b->cols && !memcmp(a->order, b->order, (size_t)a->cols * sizeof *a->order);
}

/* Whether the tensors' integers may lie in one matrix. */
static bool may_be_codes(const struct ck_tensor *const *t, int n, const struct split *k,
			 const struct quant_forms *forms, bool matrix)
{
	for (int i = 0; i < n; i++)
		if (!t[i]->quant || !quant_has_codes(t[i]->quant) || t[i]->quant->bits != t[0]->quant->bits ||
		    !same_order(t[i]->quant, t[0]->quant))
			return false;
	return !t[0]->quant->order || (forms->order && matrix && k->n_leaves == 1);
}

/* int4 and int8 have no zero points, and their groups begin with the leaves; on some backends all do. */
static enum quant class_of_codes(const struct ck_tensor *const *t, int n, const struct split *k,
				 const struct quant_forms *forms)
{
	bool four = t[0]->quant->bits == 4, symmetric = true, keeps = true;
	enum quant signed_class = four ? QUANT_INT4 : QUANT_INT8, zeros = four ? QUANT_UINT4 : QUANT_UINT8;

	for (int i = 0; i < n; i++) {
		const struct ck_quant *q = t[i]->quant;
		int64_t group = q->n_groups == 1 ? q->cols : q->order ? 32 : q->group;
		symmetric = symmetric && quant_is_symmetric(q);
		keeps = keeps && weight_keeps_groups(k, (int)group);
	}
	if (symmetric && keeps && (forms->codes >> signed_class & 1))
		return signed_class;
	return (forms->codes >> zeros & 1) && (keeps || !forms->aligned) ? zeros : QUANT_NONE;
}

static bool all_are(const struct ck_tensor *const *t, int n, const char *block)
{
	for (int i = 0; i < n; i++)
		if (!t[i]->block || strcmp(t[i]->block->name, block))
			return false;
	return true;
}

enum quant stored_quant(const struct ck_tensor *const *t, int n, const struct split *k, const struct quant_forms *forms,
			bool matrix, bool *codes)
{
	enum quant class = QUANT_NONE;

	*codes = false;
	for (int i = 0; i < n; i++)
		if (!is_quantised(t[i]))
			return QUANT_NONE;
	if (may_be_codes(t, n, k, forms, matrix))
		class = class_of_codes(t, n, k, forms);
	*codes = class != QUANT_NONE;
	if (*codes)
		return class;
	return all_are(t, n, "Q4_0") ? QUANT_INT4 : QUANT_INT8;
}

bool stored_plan(struct planned *p, const struct model_config *c, int64_t rows, int64_t cols)
{
	static int32_t some_order;
	const struct quant_usual *u = &c->quant.usual;
	int64_t group = u->group < 0 || u->group > cols ? cols : u->group;
	int middle = u->bits == 4 ? 8 : 128;

	if (!c->quant.method || !u->bits)
		return false;
	p->t = (struct ck_tensor){.type = DT_F32, .n_dims = 2, .shape = {rows, cols}, .quant = &p->quant};
	p->quant = (struct ck_quant){.layout = u->e4m3 ? LAYOUT_FP8 : LAYOUT_GPTQ,
				     .bits = u->bits,
				     .rows = rows,
				     .cols = cols,
				     .group = group,
				     .n_groups = (cols + group - 1) / group,
				     .zero_least = u->asymmetric ? 0 : middle,
				     .zero_most = u->asymmetric ? 2 * middle - 1 : middle,
				     .order = u->ordered ? &some_order : NULL,
				     .runs = group % 32 == 0};
	return true;
}

/* The tensors of a row's pieces (of a stack, those of the first expert), or the one that holds all. */
static void find_tensors(const struct model *m, const struct slot *s, const struct checkpoint *ck,
			 const struct ck_tensor *t[3])
{
	char name[TENSOR_NAME];
	const struct ck_tensor *fused = NULL;

	for (size_t i = 0; !fused && i < sizeof s->row->fused / sizeof *s->row->fused && s->row->fused[i]; i++) {
		row_tensor(m->family, s->row, s->row->fused[i], s->layer, 0, name);
		fused = row_find(m->family, ck, name);
	}
	for (int i = 0; i < row_pieces(s->row); i++) {
		const char *all = s->row->piece[i].all;
		row_tensor(m->family, s->row, s->row->piece[i].name, s->layer, 0, name);
		t[i] = row_find(m->family, ck, name);
		if (!t[i] && all) {
			row_tensor(m->family, s->row, all, s->layer, 0, name);
			t[i] = row_find(m->family, ck, name);
		}
		t[i] = t[i] ? t[i] : fused;
	}
}

unsigned model_stored_quants(const struct model_config *c, const struct checkpoint *ck, const struct quant_forms *forms,
			     bool head)
{
	struct shard_shape shape = model_shard_shape(c);
	struct model m = {.cfg = *c, .family = family_of(c), .shard = shard_make(&shape, 0, 1)};
	unsigned found = 0;

	for (struct slot s = {0}; slot_next(&m, &s);) {
		const struct ck_tensor *t[3] = {NULL};
		struct planned planned[3];
		struct split k = axis_split(s.row->cols, &m);
		bool outer = s.row->kind == WEIGHT_TABLE || s.row->kind == WEIGHT_HEAD, codes;
		if (slot_is_vector(&s) || s.row->kind == WEIGHT_POSITIONS || s.row->kind == WEIGHT_ROUTER ||
		    outer != head)
			continue;
		if (ck)
			find_tensors(&m, &s, ck, t);
		for (int i = 0; !ck && !outer && i < row_pieces(s.row); i++)
			if (stored_plan(&planned[i], c, axis_length(s.row->piece[i].rows, c),
					axis_length(s.row->cols, c)))
				t[i] = &planned[i].t;
		found |= 1u << stored_quant(t, row_pieces(s.row), &k, forms, !outer && !s.row->stack, &codes);
	}
	return found ? found : 1u << QUANT_NONE;
}
