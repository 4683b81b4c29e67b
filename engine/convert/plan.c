#include <stdlib.h>
#include <string.h>

#include "engine/convert/inside.h"
#include "engine/models/matrix.h"
#include "engine/models/settle.h"

const char *const convert_names[] = {"none", "bf16", "f16", "f32", "int8", "int4", "fp8", NULL};

bool tensor_is_quantised(const struct ck_tensor *t)
{
	return t->block || t->quant;
}

static bool is_float(enum dtype t)
{
	return t == DT_F32 || t == DT_F16 || t == DT_BF16 || t == DT_F64;
}

static enum dtype plain_type(enum convert_class to, const struct ck_tensor *t)
{
	if (!is_float(t->type))
		return t->type;
	return to == CONVERT_BF16 ? DT_BF16 : to == CONVERT_F16 ? DT_F16 : to == CONVERT_F32 ? DT_F32 : t->type;
}

static struct out_tensor *add(struct plan *p, const struct ck_tensor *from, const char *name, enum out_part part,
			      enum dtype type)
{
	struct out_tensor *t;

	p->t = xgrow(p->t, (size_t)p->n + 1, sizeof *p->t);
	t = &p->t[p->n++];
	*t = (struct out_tensor){.from = from, .name = xstrdup(name), .part = part, .type = type, .n_dims = 2};
	return t;
}

static void add_part(struct plan *p, const struct ck_tensor *from, const char *end, enum out_part part, enum dtype type,
		     int64_t rows, int64_t cols)
{
	size_t n = strlen(from->name) - strlen(".weight");
	char *name = xprintf("%.*s%s", (int)n, from->name, end);
	struct out_tensor *t = add(p, from, name, part, type);

	t->n_dims = cols ? 2 : 1;
	t->shape[0] = rows, t->shape[1] = cols;
	t->bytes = dtype_size(type) * (uint64_t)rows * (uint64_t)(cols ? cols : 1);
	free(name);
}

/* Others read groups that fill each row. */
static bool becomes_integers(const struct plan *p, const struct model_config *cfg, const struct ck_tensor *t)
{
	size_t n = strlen(t->name), m = strlen(".weight");

	return p->to >= CONVERT_INT8 && t->n_dims == 2 && is_float(t->type) && t->shape[0] > 0 && t->shape[1] > 0 &&
	       t->shape[1] % 32 == 0 && n > m && !strcmp(t->name + n - m, ".weight") &&
	       model_tensor_is_matrix(cfg, t->name);
}

static void add_matrix(struct plan *p, const struct ck_tensor *t)
{
	int64_t rows = t->shape[0], cols = t->shape[1];

	p->quantised++;
	if (p->to == CONVERT_FP8) {
		add_part(p, t, ".weight", OUT_CODES, DT_F8, rows, cols);
		add_part(p, t, ".weight_scale", OUT_SCALES, DT_F32, rows, 1);
		return;
	}
	add_part(p, t, ".weight_packed", OUT_CODES, DT_I32, rows, cols / (p->to == CONVERT_INT8 ? 4 : 8));
	add_part(p, t, ".weight_scale", OUT_SCALES, DT_F16, rows, cols / 32);
	add_part(p, t, ".weight_shape", OUT_SHAPE, DT_I64, 2, 0);
}

static int add_tensor(struct plan *p, const struct checkpoint *c, const struct model_config *cfg,
		      const struct ck_tensor *t, struct why *why)
{
	struct out_tensor *o;

	if (t->type == DT_COUNT && tensor_is_harmless(t))
		return 0;
	if (t->type == DT_COUNT)
		return fail(why, ERR_UNSUPPORTED, "%s: tensor %s has type %s, which cannot be read",
			    checkpoint_file(c, t->file), t->name, t->type_name);
	if (becomes_integers(p, cfg, t)) {
		add_matrix(p, t);
		return 0;
	}
	o = add(p, t, t->name, OUT_NUMBERS, plain_type(p->to, t));
	o->n_dims = t->n_dims;
	o->bytes = dtype_size(o->type);
	for (int i = 0; i < t->n_dims; i++)
		o->shape[i] = t->shape[i], o->bytes *= (uint64_t)t->shape[i];
	p->has_f32 |= tensor_is_quantised(t) && o->type == DT_F32;
	return 0;
}

/* In the order of the tensors; a file begins where the next tensor would not fit. */
static void cut(struct plan *p, uint64_t most)
{
	uint64_t at = 0;
	int file = 0;

	for (int i = 0; i < p->n; i++) {
		if (at && at + p->t[i].bytes > most)
			at = 0, file++;
		p->t[i].file = file, p->t[i].at = at;
		at += p->t[i].bytes;
		p->bytes += p->t[i].bytes;
	}
	p->files = file + 1;
}

int plan_make(struct plan *p, const struct checkpoint *c, const struct convert_options *o, struct why *why)
{
	struct model_config cfg;
	int err = model_config_read(&cfg, o->in, why);

	*p = (struct plan){.to = o->to};
	if (!err)
		err = model_config_settle(&cfg, c, why);
	for (int i = 0; i < checkpoint_count(c) && !err; i++)
		err = add_tensor(p, c, &cfg, checkpoint_tensor(c, i), why);
	if (err)
		return err;
	cut(p, o->max_shard);
	if (o->to >= CONVERT_INT8 && !p->quantised)
		return fail(why, ERR_UNSUPPORTED,
			    "%s: no matrix of its layers has columns in groups of 32, which %s needs", o->in,
			    convert_names[o->to]);
	return 0;
}

void plan_finish(struct plan *p)
{
	for (int i = 0; i < p->n; i++)
		free(p->t[i].name);
	free(p->t);
}
