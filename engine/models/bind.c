/* bind.c - the rows of a family's table become targets, bound to the tensors of a checkpoint. */
#include "engine/models/loader.h"
#include "engine/models/settle.h"

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
	else if (row->cols == AXIS_Q || row->cols == AXIS_FFN)
		p->std *= 1 / sqrtf(2 * (float)layers);
}

static void add_target(struct loader *l, const struct slot *s)
{
	const struct model *m = l->m;
	struct target *t = &l->target[l->n_targets++];

	*t = (struct target){.slot = *s, .n_pieces = row_pieces(s->row)};
	for (int i = 0; i < t->n_pieces; i++) {
		struct piece *p = &t->piece[i];
		*p = (struct piece){.rows = axis_length(s->row->piece[i].rows, &m->cfg),
				    .width = axis_length(s->row->cols, &m->cfg),
				    .row = axis_span(s->row->piece[i].rows, m),
				    .col = axis_span(s->row->cols, m)};
		row_tensor(m->family, s->row, s->row->piece[i].name, s->layer, p->name);
		choose_dummy(p, s->row, m->cfg.layers);
	}
}

static void add_targets(struct loader *l)
{
	int n = 0;

	for (struct slot s = {0}; slot_next(l->m, &s);)
		n++;
	l->target = xalloc((size_t)n, sizeof *l->target);
	for (struct slot s = {0}; slot_next(l->m, &s);)
		if (!slot_is_empty(l->m, &s))
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
		row_tensor(l->m->family, row, row->fused[0], t->slot.layer, name);
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
		row_tensor(m->family, row, row->fused[j], t->slot.layer, name);
		found = row_find(m->family, l->ck, name);
	}
	return found;
}

static int bind_piece(struct loader *l, struct target *t, int i)
{
	struct piece *p = &t->piece[i];
	int64_t rows = p->rows;
	int err;

	if (!l->ck)
		return 0;
	p->t = row_find(l->m->family, l->ck, p->name);
	if (!p->t) {
		p->t = find_fused(l, t);
		p->fused = true;
		rows = row_length(t->slot.row, t->n_pieces, &l->m->cfg);
	}
	if (!p->t)
		return missing(l, t, p);
	err = check_shape(l, p->t, t->slot.row->skip + rows, p->width);
	if (!err)
		l->used[p->t - checkpoint_tensor(l->ck, 0)] = true;
	return err;
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

static void create(struct model *m, const struct target *t)
{
	const struct weight_row *row = t->slot.row;
	enum quant quant = row->kind == WEIGHT_MATRIX      ? m->how.quant
			   : row->kind == WEIGHT_POSITIONS ? QUANT_NONE
							   : m->how.quant_head;
	struct split k = axis_split(row->cols, m);
	int rows = slot_rows(m, &t->slot);
	struct weight **w = slot_weight(m, &t->slot);

	if (slot_is_vector(&t->slot)) {
		*slot_vector(m, &t->slot) = backend_alloc(m->b, (size_t)rows * sizeof(float));
		return;
	}
	*w = weight_create_quant(m->b, rows, t->piece[0].col.count, t->stored, quant, &k);
	if (row->paired)
		weight_pair(*w);
}

static int make_target(struct loader *l, struct target *t)
{
	int err = 0;

	for (int i = 0; !err && i < t->n_pieces; i++)
		err = bind_piece(l, t, i);
	if (err)
		return err;
	t->stored = common_type(l, t);
	create(l->m, t);
	for (int i = 0; i < t->n_pieces; i++) {
		const struct piece *p = &t->piece[i];
		uint64_t n = (uint64_t)p->row.count * (uint64_t)p->col.count;
		atomic_fetch_add(&l->progress->total, n * dtype_size(p->t ? p->t->type : t->stored));
	}
	return 0;
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
