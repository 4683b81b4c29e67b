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

/* Whether the tensors' codes may lie in one matrix. */
static bool may_be_codes(const struct ck_tensor *const *t, int n, const struct split *k,
			 const struct quant_forms *forms, bool matrix)
{
	for (int i = 0; i < n; i++)
		if (!t[i]->quant || !quant_has_codes(t[i]->quant) || t[i]->quant->bits != t[0]->quant->bits ||
		    quant_is_e4m3(t[i]->quant) != quant_is_e4m3(t[0]->quant) || !same_order(t[i]->quant, t[0]->quant))
			return false;
	return !t[0]->quant->order || (forms->order && matrix && k->n_leaves == 1);
}

/* Whether the scales of e4m3 tensors are for rows, or for groups of E4M3_GROUP columns that the backend can tell apart.
 */
static bool are_e4m3_groups(const struct ck_tensor *const *t, int n, const struct split *k)
{
	bool rows = true, good = true;

	for (int i = 0; i < n; i++) {
		rows = rows && t[i]->quant->n_groups == 1;
		good = good && (t[i]->quant->n_groups == 1 || t[i]->quant->group % E4M3_GROUP == 0);
	}
	for (int i = 0; i < k->n_leaves; i++)
		good = good && k->start[i] % E4M3_LANE == 0;
	return rows || good;
}

/* int4 and int8 have no zero points, and their groups begin with the leaves; on some backends all do. */
static enum quant class_of_codes(const struct ck_tensor *const *t, int n, const struct split *k,
				 const struct quant_forms *forms)
{
	bool four = t[0]->quant->bits == 4, symmetric = true, keeps = true;
	enum quant signed_class = four ? QUANT_INT4 : QUANT_INT8, zeros = four ? QUANT_UINT4 : QUANT_UINT8;

	if (quant_is_e4m3(t[0]->quant))
		return (forms->codes >> QUANT_E4M3 & 1) && are_e4m3_groups(t, n, k) ? QUANT_E4M3 : QUANT_NONE;
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

/* The class that holds the blocks of a tensor as they are; QUANT_NONE: none. */
static enum quant class_of_block(const struct ck_tensor *t, const struct quant_forms *forms)
{
	static const struct {
		const char *name;
		enum quant class;
	} classes[] = {{"Q4_K", QUANT_Q4_K},     {"Q5_K", QUANT_Q5_K}, {"Q6_K", QUANT_Q6_K}, {"Q4_1", QUANT_Q4_1},
		       {"IQ4_NL", QUANT_IQ4_NL}, {"Q5_0", QUANT_Q5_0}, {"Q5_1", QUANT_Q5_1}, {"IQ4_XS", QUANT_IQ4_XS}};

	for (size_t i = 0; t->block && i < sizeof classes / sizeof *classes; i++)
		if (!strcmp(t->block->name, classes[i].name))
			return forms->codes >> classes[i].class & 1 ? classes[i].class : QUANT_NONE;
	return QUANT_NONE;
}

/* Blocks of one type, or of several that multiply the same form of activations. Experts in tensors of their own may be
 * of several types in one stack. */
static bool are_blocks(struct stored *out, const struct ck_tensor *const *t, int n, const struct quant_forms *forms,
		       unsigned what)
{
	bool share = true;

	if (forms->merge || what & (STORED_APART | STORED_CHANGED))
		return false;
	for (int i = 0; i < n; i++) {
		out->quant[i] = class_of_block(t[i], forms);
		if (out->quant[i] == QUANT_NONE)
			return false;
		for (int j = 0; j < i; j++)
			share = share && quant_may_share(out->quant[i], out->quant[j]);
		out->bands = out->bands || out->quant[i] != out->quant[0];
	}
	out->codes = !out->bands || (share && what & STORED_BANDS);
	return out->codes;
}

struct stored stored_quant(const struct ck_tensor *const *t, int n, const struct split *k,
			   const struct quant_forms *forms, unsigned what)
{
	struct stored out = {.bands = false};
	enum quant class = QUANT_NONE;

	for (int i = 0; i < n; i++)
		if (!is_quantised(t[i]))
			return out;
	if (!(what & STORED_CHANGED) && may_be_codes(t, n, k, forms, what & STORED_MATRIX))
		class = class_of_codes(t, n, k, forms);
	if (class == QUANT_NONE && are_blocks(&out, t, n, forms, what))
		return out;
	out = (struct stored){.codes = class != QUANT_NONE};
	if (!out.codes)
		class = all_are(t, n, "Q4_0") ? QUANT_INT4 : QUANT_INT8;
	for (int i = 0; i < n; i++)
		out.quant[i] = class;
	return out;
}

/* A rank has whole heads, and of the FFN multiples of 32. */
static bool begins_at_32(enum axis rows, const struct model_config *c)
{
	return ((rows == AXIS_Q || rows == AXIS_KV) && c->head_dim % 32 == 0) || (rows == AXIS_FFN && c->ffn % 32 == 0);
}

unsigned stored_what(const struct model_config *c, const struct weight_row *row, bool apart)
{
	bool bands = !row->stack;

	for (int i = 0; i + 1 < row_pieces(row); i++)
		bands = bands && begins_at_32(row->piece[i].rows, c);
	if (row->stack)
		return apart ? STORED_APART : 0;
	return (bands ? STORED_BANDS : 0) | (row->kind == WEIGHT_HEAD && c->unit_head ? STORED_CHANGED : 0) |
	       (row->kind == WEIGHT_TABLE || row->kind == WEIGHT_HEAD ? 0 : STORED_MATRIX);
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
		bool outer = s.row->kind == WEIGHT_TABLE || s.row->kind == WEIGHT_HEAD, apart;
		struct stored how;
		if (slot_is_vector(&s) || s.row->kind == WEIGHT_POSITIONS || s.row->kind == WEIGHT_ROUTER ||
		    outer != head)
			continue;
		if (ck)
			find_tensors(&m, &s, ck, t);
		for (int i = 0; !ck && !outer && i < row_pieces(s.row); i++)
			if (stored_plan(&planned[i], c, axis_length(s.row->piece[i].rows, c),
					axis_length(s.row->cols, c)))
				t[i] = &planned[i].t;
		/* A tensor of all experts has three axes. */
		apart = s.row->stack == STACK_EXPERTS && t[0] && t[0]->n_dims < 3;
		how = stored_quant(t, row_pieces(s.row), &k, forms, stored_what(&m.cfg, s.row, apart));
		for (int i = 0; i < row_pieces(s.row); i++)
			found |= 1u << how.quant[i];
	}
	return found ? found : 1u << QUANT_NONE;
}
