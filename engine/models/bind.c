/* bind.c - the rows of a family's table become targets, bound to the tensors of a checkpoint. */
#include "engine/models/loader.h"
#include "engine/models/lora_inside.h"
#include "engine/checkpoint/quant.h"
#include "engine/models/settle.h"
#include "engine/models/stored.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Random weights must keep the size of activations about the same through all layers: a norm's gains lie about 1, a
 * matrix that adds to the residual stream shrinks with the depth, and a head's rows are larger, so that tokens differ.
 */
static void choose_dummy(struct piece *p, const struct weight_row *row, int layers)
{
	p->std = 1 / sqrtf((float)p->width);
	if (row->kind == WEIGHT_GAIN)
		p->mean = 1, p->std = 0.1f;
	else if (row->kind == WEIGHT_BIAS || row->kind == WEIGHT_POSITIONS)
		p->std = 0.1f;
	else if (row->kind == WEIGHT_TABLE)
		p->std = 1;
	else if (row->kind == WEIGHT_HEAD)
		p->std *= 4;
	else if (row->cols == AXIS_Q || row->cols == AXIS_FFN || row->cols == AXIS_EXPERT_FFN ||
		 row->cols == AXIS_SHARED_FFN)
		p->std *= 1 / sqrtf(2 * (float)layers);
}

static void add_target(struct loader *l, const struct slot *s)
{
	const struct model *m = l->m;
	struct target *t = &l->target[l->n_targets++];

	*t = (struct target){.slot = *s, .n_pieces = row_pieces(s->row)};
	if (s->row->stack)
		t->at = s->expert * weight_stack_step(slot_rows(m, s));
	for (int i = 0; i < t->n_pieces; i++) {
		struct piece *p = &t->piece[i];
		*p = (struct piece){.rows = axis_length(s->row->piece[i].rows, &m->cfg),
				    .width = axis_length(s->row->cols, &m->cfg),
				    .row = axis_span(s->row->piece[i].rows, m),
				    .col = axis_span(s->row->cols, m)};
		row_tensor(m->family, s->row, s->row->piece[i].name, s->layer, s->expert, p->name);
		choose_dummy(p, s->row, m->cfg.layers);
	}
}

static void add_targets(struct loader *l)
{
	int n = 0;

	for (struct slot s = {0}; slot_next(l->m, &s);)
		n += slot_stack(l->m, &s);
	l->target = xalloc((size_t)n, sizeof *l->target);
	for (struct slot s = {0}; slot_next(l->m, &s); s.expert = 0)
		for (; !slot_is_empty(l->m, &s) && s.expert < slot_stack(l->m, &s); s.expert++)
			add_target(l, &s);
}

/* A vector of n counts as (n, 1). */
static bool shape_is(const struct ck_tensor *t, int64_t rows, int64_t width)
{
	if (width == 1 && t->n_dims == 1)
		return t->shape[0] == rows;
	return t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == width;
}

static int check_shape(struct loader *l, const struct ck_tensor *t, int64_t rows, int64_t width)
{
	char found[96];

	if (t->type != DT_F32 && t->type != DT_F16 && t->type != DT_BF16 && t->type != DT_F64)
		return fail(l->why, ERR_UNSUPPORTED, "%s: tensor %s has type %s; it must be f32, f16, bf16 or f64",
			    checkpoint_file(l->ck, t->file), t->name, t->type_name);
	if (shape_is(t, rows, width))
		return 0;
	ck_shape_text(t, found, sizeof found);
	if (width == 1)
		return fail(l->why, ERR_FORMAT, "%s: tensor %s has shape %s; it must be [%lld]",
			    checkpoint_file(l->ck, t->file), t->name, found, (long long)rows);
	return fail(l->why, ERR_FORMAT, "%s: tensor %s has shape %s; it must be [%lld, %lld]",
		    checkpoint_file(l->ck, t->file), t->name, found, (long long)rows, (long long)width);
}

static int missing(const struct loader *l, const struct target *t, const struct piece *p)
{
	const struct weight_row *row = t->slot.row;
	int n = checkpoint_files(l->ck);
	char more[40] = "", name[TENSOR_NAME];
	int64_t rows = p->rows;

	snprintf(name, sizeof name, "%s", p->name);
	if (row->order != QKV_THIRDS) { /* pieces have no tensors of their own */
		row_tensor(l->m->family, row, row->fused[0], t->slot.layer, t->slot.expert, name);
		rows = row_length(row, t->n_pieces, &l->m->cfg);
	}
	if (n > 1)
		snprintf(more, sizeof more, " and %d more file%s", n - 1, n > 2 ? "s" : "");
	return fail(l->why, ERR_FORMAT, "%s%s: tensor %s is missing; its shape must be [%lld, %lld]",
		    checkpoint_file(l->ck, 0), more, name, (long long)(row->skip + rows), (long long)p->width);
}

/* All pieces may lie in one tensor. */
static const struct ck_tensor *find_fused(const struct loader *l, const struct target *t)
{
	const struct weight_row *row = t->slot.row;
	const struct model *m = l->m;
	const struct ck_tensor *found = NULL;
	char name[TENSOR_NAME];

	for (size_t j = 0; !found && j < sizeof row->fused / sizeof *row->fused && row->fused[j]; j++) {
		row_tensor(m->family, row, row->fused[j], t->slot.layer, t->slot.expert, name);
		found = row_find(m->family, l->ck, name);
	}
	return found;
}

/* The piece of all experts in one tensor of its own. */
static const struct ck_tensor *find_all(const struct loader *l, const struct target *t, int i)
{
	const char *all = t->slot.row->piece[i].all;
	char name[TENSOR_NAME];

	if (!all)
		return NULL;
	row_tensor(l->m->family, t->slot.row, all, t->slot.layer, t->slot.expert, name);
	return row_find(l->m->family, l->ck, name);
}

/* A tensor (experts, rows, width) as the piece sees it: (rows, width) of its expert. */
static int view_expert(struct loader *l, const struct target *t, struct piece *p, int64_t rows)
{
	const struct ck_tensor *all = p->t;
	int64_t expert = t->slot.expert;
	char found[96];

	ck_shape_text(all, found, sizeof found);
	if (all->n_dims != 3 || all->shape[0] != l->m->cfg.experts || all->shape[1] != rows ||
	    all->shape[2] != p->width)
		return fail(l->why, ERR_FORMAT, "%s: tensor %s has shape %s; it must be [%d, %lld, %lld]",
			    checkpoint_file(l->ck, all->file), all->name, found, l->m->cfg.experts, (long long)rows,
			    (long long)p->width);
	p->view = *all;
	p->view.n_dims = 2;
	for (int i = 0; i < 2; i++)
		p->view.shape[i] = all->shape[i + 1], p->view.stride[i] = all->stride[i + 1];
	p->view.bytes = all->bytes / (uint64_t)all->shape[0];
	p->view.offset += all->block ? p->view.bytes * (uint64_t)expert
				     : (uint64_t)(all->stride[0] * expert) * dtype_size(all->type);
	p->t = &p->view;
	return 0;
}

static int bind_piece(struct loader *l, struct target *t, int i)
{
	struct piece *p = &t->piece[i];
	int64_t rows = p->rows;
	bool own;
	int err;

	if (!l->ck)
		return 0;
	p->t = row_find(l->m->family, l->ck, p->name);
	own = p->t != NULL;
	if (!p->t)
		p->t = find_all(l, t, i);
	if (!p->t) {
		p->t = find_fused(l, t);
		p->fused = true;
		rows = row_length(t->slot.row, t->n_pieces, &l->m->cfg);
	}
	if (!p->t)
		return missing(l, t, p);
	l->used[p->t - checkpoint_tensor(l->ck, 0)] = true;
	if (!own && t->slot.row->stack == STACK_EXPERTS) {
		err = view_expert(l, t, p, rows);
		if (err)
			return err;
	}
	return check_shape(l, p->t, t->slot.row->skip + rows, p->width);
}

/* Pieces of one matrix may differ in type: all then become f32, which holds each exactly. f64 is rounded to it. */
static enum dtype common_type(const struct loader *l, const struct target *t)
{
	enum dtype dummy = l->m->cfg.torch_dtype == DT_COUNT ? DT_BF16 : l->m->cfg.torch_dtype, type;

	if (slot_is_vector(&t->slot))
		return DT_F32;
	type = t->piece[0].t ? t->piece[0].t->type : dummy;
	for (int i = 1; i < t->n_pieces; i++)
		if (t->piece[i].t && t->piece[i].t->type != type)
			type = DT_F32;
	return type == DT_F64 ? DT_F32 : type;
}

static struct stored choose_quant(const struct model *m, struct target *t, const struct split *k)
{
	const enum weight_kind kind = t->slot.row->kind;
	const struct ck_tensor *tensor[3];
	struct planned planned[3];
	struct quant_forms forms = m->how.forms;
	enum quant class = kind == WEIGHT_MATRIX ? m->how.quant : m->how.quant_head;
	bool apart;

	if (kind == WEIGHT_POSITIONS || kind == WEIGHT_ROUTER)
		return (struct stored){.codes = false};
	if (!(kind == WEIGHT_MATRIX ? m->how.as_files : m->how.head_as_files))
		return (struct stored){.quant = {class, class, class}};
	for (int i = 0; i < t->n_pieces; i++) {
		tensor[i] = t->piece[i].t;
		if (!tensor[i] && kind == WEIGHT_MATRIX &&
		    stored_plan(&planned[i], &m->cfg, t->piece[i].rows, t->piece[i].width))
			tensor[i] = &planned[i].t;
	}
	apart = t->slot.row->stack == STACK_EXPERTS && tensor[0] != &t->piece[0].view;
	forms.merge = m->how.n_merge > 0;
	return stored_quant(tensor, t->n_pieces, k, &forms, stored_what(&m->cfg, t->slot.row, apart));
}

static void make_bands(struct weight *w, const struct target *t, const struct stored *how)
{
	struct weight_band band[WEIGHT_BANDS];

	for (int i = 0; i < t->n_pieces; i++)
		band[i] = (struct weight_band){t->piece[i].row.count, how->quant[i]};
	weight_bands(w, band, t->n_pieces);
}

static void create(struct model *m, struct target *t)
{
	const struct weight_row *row = t->slot.row;
	struct split k = axis_split(row->cols, m);
	struct stored how = choose_quant(m, t, &k);
	int rows = slot_rows(m, &t->slot), stack = slot_stack(m, &t->slot);
	int all = row->stack ? stack * weight_stack_step(rows) : rows;
	struct weight **w = slot_weight(m, &t->slot);

	if (slot_is_vector(&t->slot)) {
		*slot_vector(m, &t->slot) = backend_alloc(m->b, (size_t)rows * sizeof(float));
		return;
	}
	*w = weight_create_quant(m->b, all, t->piece[0].col.count, t->stored, how.quant[0], &k);
	t->codes = how.codes;
	if (how.bands)
		make_bands(*w, t, &how);
	if (row->paired)
		weight_pair(*w);
	if (row->stack)
		weight_stack(*w, stack, rows);
	if (t->codes && t->piece[0].t && t->piece[0].t->quant && t->piece[0].t->quant->order)
		weight_order(*w, t->piece[0].t->quant->order);
}

/* The first expert's matrix makes the stack, whose rows have one type and class. */
static int join_stack(struct loader *l, struct target *t)
{
	struct weight *w = *slot_weight(l->m, &t->slot);
	struct stored how = choose_quant(l->m, t, &w->k);

	if (how.quant[0] != w->quant && w->quant != QUANT_INT8)
		return fail(l->why, ERR_UNSUPPORTED,
			    "%s: tensor %s is quantised otherwise than that of expert 0: give --quantization int8",
			    checkpoint_file(l->ck, t->piece[0].t->file), t->piece[0].name);
	t->codes = how.codes && how.quant[0] == w->quant;
	if (t->stored == w->stored)
		return 0;
	if (w->stored != DT_F32)
		return fail(
			l->why, ERR_UNSUPPORTED,
			"%s: tensor %s has type %s, and that of expert 0 %s; the experts of a layer must have one type",
			checkpoint_file(l->ck, t->piece[0].t->file), t->piece[0].name, dtype_name(t->stored),
			dtype_name(w->stored));
	t->stored = DT_F32;
	return 0;
}

static int make_target(struct loader *l, struct target *t)
{
	int err = 0;

	for (int i = 0; !err && i < t->n_pieces; i++)
		err = bind_piece(l, t, i);
	if (err)
		return err;
	t->stored = common_type(l, t);
	if (t->slot.expert)
		err = join_stack(l, t);
	else
		create(l->m, t);
	if (!err && t->codes && l->m->how.n_merge && lora_is_product(l->m, t->slot.row))
		err = fail(
			l->why, ERR_UNSUPPORTED,
			"%s: tensor %s is quantised in the file, so no adapter can be merged into it: load the adapter "
			"beside the weights, without --lora-merge",
			t->piece[0].t ? checkpoint_file(l->ck, t->piece[0].t->file) : "dummy weights",
			t->piece[0].name);
	for (int i = 0; i < t->n_pieces; i++) {
		const struct piece *p = &t->piece[i];
		uint64_t n = (uint64_t)p->row.count * (uint64_t)p->col.count;
		atomic_fetch_add(&l->progress->total, n * dtype_size(p->t ? p->t->type : t->stored));
	}
	return err;
}

int loader_bind(struct loader *l)
{
	int err = 0;

	add_targets(l);
	for (int i = 0; !err && i < l->n_targets; i++)
		err = make_target(l, &l->target[i]);
	return err;
}

void loader_report_unused(const struct loader *l)
{
	int reported = 0;

	for (int i = 0; l->ck && i < checkpoint_count(l->ck); i++) {
		const struct ck_tensor *t = checkpoint_tensor(l->ck, i);
		if (l->used[i] || tensor_is_spare_head(&l->m->cfg, t))
			continue;
		if (tensor_is_harmless(t))
			log_event(LOG_DEBUG, "a tensor is not needed", " file=\"%s\" tensor=\"%s\"",
				  checkpoint_file(l->ck, t->file), t->name);
		else if (l->m->shard.rank == 0 && reported++ < 5)
			log_event(LOG_WARN, "an unknown tensor is ignored", " file=\"%s\" tensor=\"%s\"",
				  checkpoint_file(l->ck, t->file), t->name);
	}
	if (reported > 5)
		log_event(LOG_WARN, "more unknown tensors are ignored", " tensors=%d", reported - 5);
}
