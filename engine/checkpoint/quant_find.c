/* quant_find.c - finds the tensors that together hold one quantised matrix, checks their shapes and lists the matrix.
 */
#include <dirent.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "engine/checkpoint/inside.h"
#include "engine/checkpoint/quant_config.h"

enum { MOST_SIDE = 1 << 28, NAME = 1100 };

/* ---- the folder ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *quant_file_name(const char *dir)
{
	static const char *const patterns[] = {"gptq_model-*bit-*g.safetensors",
					       "gptq_model-*bit-*g.safetensors.index.json", "gptq_model-*bit-*g.bin",
					       "gptq_model-*bit-*g.pt"};
	char *name[16], *found = NULL;
	int n = 0;
	DIR *d = opendir(dir);

	for (struct dirent *e; d && n < 16 && (e = readdir(d));)
		for (size_t i = 0; i < sizeof patterns / sizeof *patterns && n < 16; i++)
			if (!fnmatch(patterns[i], e->d_name, 0))
				name[n++] = xstrdup(e->d_name);
	if (d)
		closedir(d);
	qsort(name, (size_t)n, sizeof *name, by_name);
	for (int i = 0; i < n; i++)
		if (!found && source_exists(dir, name[i]))
			found = name[i];
		else
			free(name[i]);
	return found;
}

/* config.json's own object, else a file that AutoGPTQ or AutoAWQ left. */
static int read_config(struct quant_config *out, const char *dir, struct why *why)
{
	static const char *const names[] = {"config.json", "quantize_config.json", "quant_config.json"};
	int err = 0;

	*out = (struct quant_config){.method = METHOD_NONE};
	for (size_t i = 0; i < sizeof names / sizeof *names && !err && !out->method; i++) {
		char *path = xprintf("%s/%s", dir, names[i]);
		struct json_doc *doc = NULL;
		if (source_exists(dir, names[i]) && !(err = json_read_file(&doc, path, FILE_CONFIG, why)))
			err = quant_config_read(out, json_root(doc), i > 0, path, why);
		json_close(doc);
		free(path);
	}
	return err;
}

/* ---- parts of a matrix ---- */
struct finder {
	struct checkpoint *c;
	struct quant_config cfg;
	bool *taken;     /* [raw tensors] */
	char base[NAME]; /* the module: its name without the end */
	struct ck_quant *q;
	struct why *why;
};

static bool strip(const char *name, const char *end, char base[NAME])
{
	size_t n = strlen(name), m = strlen(end);

	if (n <= m || n - m >= NAME || strcmp(name + n - m, end))
		return false;
	snprintf(base, NAME, "%.*s", (int)(n - m), name);
	return true;
}

/* A tensor of the module, which then belongs to the matrix. */
static const struct ck_tensor *part(struct finder *f, const char *end)
{
	char name[NAME + 40];
	const struct ck_tensor *t;

	snprintf(name, sizeof name, "%s%s", f->base, end);
	t = table_find(&f->c->raw, name);
	if (t)
		f->taken[t - f->c->raw.t] = true;
	return t;
}

static int lacks(const struct finder *f, const char *end)
{
	return fail(f->why, ERR_FORMAT, "%s: tensor %.200s%s is missing: it belongs to %s",
		    f->c->file[f->q->codes->file].name, f->base, end, f->q->codes->name);
}

/* Wants shape (a, b), b 0: (a). A vector for (a, 1) is fine. */
static int want(const struct finder *f, const struct ck_tensor *t, int64_t a, int64_t b)
{
	char found[128];
	bool same = t->n_dims == (b ? 2 : 1) && t->shape[0] == a && (!b || t->shape[1] == b);

	if (same || (b == 1 && t->n_dims == 1 && t->shape[0] == a))
		return 0;
	ck_shape_text(t, found, sizeof found);
	if (b)
		return fail(f->why, ERR_FORMAT,
			    "%s: tensor %.200s has shape %s; with the other tensors of its module it must be [%" PRId64
			    ", %" PRId64 "]",
			    f->c->file[t->file].name, t->name, found, a, b);
	return fail(f->why, ERR_FORMAT,
		    "%s: tensor %.200s has shape %s; with the other tensors of its module it must be [%" PRId64 "]",
		    f->c->file[t->file].name, t->name, found, a);
}

static int want_type(const struct finder *f, const struct ck_tensor *t, enum dtype type)
{
	return t->type == type ? 0
			       : fail(f->why, ERR_UNSUPPORTED, "%s: tensor %.200s has type %s; it must be %s",
				      f->c->file[t->file].name, t->name, t->type_name, dtype_name(type));
}

static bool is_scale(const struct ck_tensor *t)
{
	return t->type == DT_F16 || t->type == DT_BF16 || t->type == DT_F32 || !strcmp(t->type_name, "F8_E8M0");
}

static int check_scale(const struct finder *f)
{
	const struct ck_tensor *t = f->q->scale;

	return is_scale(t) ? 0
			   : fail(f->why, ERR_UNSUPPORTED, "%s: tensor %.200s has type %s; a scale is f16, bf16 or f32",
				  f->c->file[t->file].name, t->name, t->type_name);
}

/* Rows and columns as the integers say them. */
static int set_sides(const struct finder *f, int64_t rows, int64_t cols)
{
	if (f->q->codes->n_dims != 2 || rows < 1 || cols < 1 || rows > MOST_SIDE || cols > MOST_SIDE) {
		char found[128];
		return fail(f->why, ERR_FORMAT, "%s: tensor %.200s has shape %s; it must be that of a matrix",
			    f->c->file[f->q->codes->file].name, f->q->codes->name,
			    ck_shape_text(f->q->codes, found, sizeof found));
	}
	f->q->rows = rows;
	f->q->cols = cols;
	return 0;
}

/* Groups of columns: `n` of them, of the config's size or else of equal size. */
static int set_groups(const struct finder *f, int64_t n)
{
	struct ck_quant *q = f->q;
	int64_t group = f->cfg.group < 0 ? q->cols : f->cfg.group ? f->cfg.group : n > 0 ? (q->cols + n - 1) / n : 0;

	q->n_groups = n;
	q->group = group < q->cols ? group : q->cols;
	if (n > 0 && group > 0 && (q->cols + group - 1) / group == n)
		return 0;
	return fail(f->why, ERR_FORMAT,
		    "%s: tensor %.200s has scales for %" PRId64 " groups; %" PRId64 " columns in groups of %" PRId64
		    " have another number",
		    f->c->file[q->scale->file].name, q->scale->name, n, q->cols, group);
}

/* bits from the zero points' width, where modules differ. */
static int gptq_bits(const struct finder *f)
{
	const struct ck_tensor *z = f->q->zero;
	int64_t n = f->q->codes->n_dims == 2 ? f->q->codes->shape[1] : 0;

	if (f->cfg.bits)
		return f->cfg.bits;
	return z && z->n_dims == 2 && z->shape[1] * 4 == n ? 8 : z && z->n_dims == 2 && z->shape[1] * 8 == n ? 4 : 0;
}

static int take_gptq(struct finder *f)
{
	struct ck_quant *q = f->q;
	const struct ck_tensor *index = part(f, ".g_idx");
	int64_t per;
	int err;

	q->scale = part(f, ".scales");
	q->zero = part(f, ".qzeros");
	if (!q->scale || !q->zero)
		return lacks(f, q->scale ? ".qzeros" : ".scales");
	q->bits = gptq_bits(f);
	if (!q->bits)
		return fail(f->why, ERR_UNSUPPORTED, "%s: tensor %.200s: weights of 4 and 8 bits are supported",
			    f->c->file[q->codes->file].name, q->codes->name);
	per = 32 / q->bits;
	if ((err = set_sides(f, q->codes->n_dims == 2 ? q->codes->shape[1] : 0,
			     q->codes->n_dims == 2 && q->codes->shape[0] <= MOST_SIDE ? q->codes->shape[0] * per : 0)))
		return err;
	q->zero_more = f->cfg.plus_one;
	err = set_groups(f, q->scale->n_dims == 2 ? q->scale->shape[0] : 0);
	err = err ? err : want(f, q->scale, q->n_groups, q->rows);
	err = err ? err : want(f, q->zero, q->n_groups, (q->rows + per - 1) / per);
	err = err ? err : want_type(f, q->zero, DT_I32);
	err = err || !index ? err : want(f, index, q->cols, 0);
	return err || !index ? err : quant_groups(f->c, q, index, f->why);
}

static int take_awq(struct finder *f)
{
	struct ck_quant *q = f->q;
	int err;

	q->layout = LAYOUT_AWQ;
	q->bits = 4;
	q->scale = part(f, ".scales");
	q->zero = part(f, ".qzeros");
	if (!q->scale || !q->zero)
		return lacks(f, q->scale ? ".qzeros" : ".scales");
	if ((err = set_sides(f, q->codes->n_dims == 2 && q->codes->shape[1] <= MOST_SIDE ? q->codes->shape[1] * 8 : 0,
			     q->codes->n_dims == 2 ? q->codes->shape[0] : 0)))
		return err;
	err = set_groups(f, q->scale->n_dims == 2 ? q->scale->shape[0] : 0);
	err = err ? err : want(f, q->scale, q->n_groups, q->rows);
	err = err ? err : want(f, q->zero, q->n_groups, q->rows / 8);
	return err ? err : want_type(f, q->zero, DT_I32);
}

/* The shape before packing. */
static int packed_shape(struct finder *f, int64_t shape[2])
{
	const struct ck_tensor *t = part(f, ".weight_shape");
	int64_t wide[2];
	int32_t narrow[2];
	int err;

	if (!t)
		return lacks(f, ".weight_shape");
	if ((err = want(f, t, 2, 0)))
		return err;
	if (t->type != DT_I64)
		err = want_type(f, t, DT_I32);
	if (err)
		return err;
	err = slice_read(&f->c->file[t->file], t, 0, 2, 0, 1, t->type == DT_I64 ? (void *)wide : narrow, f->why);
	for (int i = 0; i < 2 && !err; i++)
		shape[i] = t->type == DT_I64 ? wide[i] : narrow[i];
	return err;
}

/* A scale is (rows, groups), (rows), or one for all. */
static int take_scale(struct finder *f)
{
	struct ck_quant *q = f->q;
	int64_t groups = q->scale->n_dims == 2 ? q->scale->shape[1] : 1, n = 1;

	for (int i = 0; i < q->scale->n_dims; i++)
		n *= q->scale->shape[i];
	f->cfg.group = 0;
	if (n == 1 && q->rows > 1) {
		q->group_rows = q->rows;
		return set_groups(f, 1);
	}
	if (set_groups(f, groups))
		return ERR_FORMAT;
	return want(f, q->scale, q->rows, q->n_groups);
}

static int take_packed(struct finder *f)
{
	struct ck_quant *q = f->q;
	const struct ck_tensor *index = part(f, ".weight_g_idx");
	int64_t shape[2] = {0, 0}, words = q->codes->n_dims == 2 ? q->codes->shape[1] : 0;
	int err = packed_shape(f, shape);

	q->layout = LAYOUT_PACKED;
	q->scale = part(f, ".weight_scale");
	q->zero = part(f, ".weight_zero_point");
	if (!err && !q->scale)
		return lacks(f, ".weight_scale");
	if (!err)
		err = set_sides(f, shape[0], shape[1]);
	q->bits = (q->cols + 7) / 8 == words ? 4 : 8;
	err = err ? err : want(f, q->codes, q->rows, (q->cols * q->bits + 31) / 32);
	err = err ? err : take_scale(f);
	if (!err && q->zero && q->zero->type == DT_I32)
		err = want(f, q->zero, (q->rows * q->bits + 31) / 32, q->n_groups);
	else if (!err && q->zero && !(err = want_type(f, q->zero, DT_I8)))
		err = q->group_rows ? 0 : want(f, q->zero, q->rows, q->n_groups);
	err = err || !index ? err : want(f, index, q->cols, 0);
	return err || !index ? err : quant_groups(f->c, q, index, f->why);
}

static int take_int8(struct finder *f)
{
	struct ck_quant *q = f->q;
	int err;

	q->layout = LAYOUT_INT8;
	q->bits = 8;
	q->scale = part(f, ".weight_scale");
	q->zero = part(f, ".weight_zero_point");
	if (!q->scale)
		return lacks(f, ".weight_scale");
	err = set_sides(f, q->codes->shape[0], q->codes->n_dims == 2 ? q->codes->shape[1] : 0);
	err = err ? err : take_scale(f);
	if (!err && q->zero && !(err = want_type(f, q->zero, DT_I8)))
		err = q->group_rows ? 0 : want(f, q->zero, q->rows, q->n_groups);
	return err;
}

/* Blocks of the config's columns and of as many rows as give the scale's shape. */
static int take_blocks(struct finder *f)
{
	struct ck_quant *q = f->q;
	int64_t side = f->cfg.group > 0 ? f->cfg.group : 128, down = q->scale->shape[0];

	f->cfg.group = (int)side;
	q->group_rows = (q->rows + side - 1) / side == down ? side : 0;
	if (!q->group_rows)
		return want(f, q->scale, (q->rows + side - 1) / side, (q->cols + side - 1) / side);
	return set_groups(f, q->scale->shape[1]);
}

static int take_fp8(struct finder *f)
{
	static const char *const unused[] = {".input_scale", ".output_scale", ".input_zero_point", ".input_scale_ub"};
	struct ck_quant *q = f->q;
	int err;

	q->layout = LAYOUT_FP8;
	q->bits = 8;
	q->scale = part(f, ".weight_scale");
	q->scale = q->scale ? q->scale : part(f, ".weight_scale_inv");
	for (size_t i = 0; i < sizeof unused / sizeof *unused; i++)
		part(f, unused[i]);
	if (!q->scale)
		return lacks(f, ".weight_scale");
	err = set_sides(f, q->codes->shape[0], q->codes->n_dims == 2 ? q->codes->shape[1] : 0);
	if (err)
		return err;
	if (q->scale->n_dims == 2 && q->scale->shape[0] * q->scale->shape[1] > 1 && q->scale->shape[0] != q->rows)
		return take_blocks(f);
	return take_scale(f);
}

/* ---- the list ---- */

static const char *kind_name(const struct ck_quant *q)
{
	static const char *const names[][2] = {{"GPTQ 4 bits", "GPTQ 8 bits"},
					       {"AWQ 4 bits", "AWQ"},
					       {"packed 4 bits", "packed 8 bits"},
					       {"int8", "int8"},
					       {"F8_E4M3", "F8_E4M3"}};

	return names[q->layout][q->bits == 8];
}

static uint64_t bytes_of(const struct ck_quant *q)
{
	return q->codes->bytes + q->scale->bytes + (q->zero ? q->zero->bytes : 0);
}

static int add_matrix(struct finder *f)
{
	struct ck_quant *q = f->q;
	char name[NAME + 8];
	struct ck_tensor t = {.name = name, .type = DT_F32, .type_name = kind_name(q), .n_dims = 2, .quant = q};
	int err;

	snprintf(name, sizeof name, "%s.weight", f->base);
	t.shape[0] = q->rows;
	t.shape[1] = q->cols;
	t.file = q->codes->file;
	t.offset = q->codes->offset;
	err = tensor_layout(&t, 32, f->why);
	t.bytes = bytes_of(q);
	return err ? err : table_add(&f->c->table, &t, f->why);
}

/* Which kind of matrix tensor t holds the integers of; NULL: of none. */
static int (*kind_of(struct finder *f, const struct ck_tensor *t))(struct finder *f)
{
	if (strip(t->name, ".qweight", f->base))
		return f->cfg.method == METHOD_AWQ ? take_awq : take_gptq;
	if (strip(t->name, ".weight_packed", f->base))
		return take_packed;
	if (strip(t->name, ".weight", f->base) && t->n_dims && (t->type == DT_I8 || t->type == DT_F8))
		return t->type == DT_I8 ? take_int8 : take_fp8;
	return NULL;
}

static int take(struct finder *f, const struct ck_tensor *t, int (*kind)(struct finder *f))
{
	struct checkpoint *c = f->c;
	int err;

	if (!f->cfg.method)
		return fail(
			f->why, ERR_UNSUPPORTED,
			"%s: tensor %.200s is quantised, but config.json has no \"quantization_config\" and there is no "
			"quantize_config.json, which say how: download them, too",
			c->file[t->file].name, t->name);
	c->quant = xgrow(c->quant, (size_t)c->n_quant + 1, sizeof *c->quant);
	f->q = c->quant[c->n_quant++] = xalloc(1, sizeof *f->q);
	f->q->codes = t;
	f->q->group_rows = 0;
	f->taken[t - c->raw.t] = true;
	if ((kind == take_gptq || kind == take_awq || kind == take_packed) && (err = want_type(f, t, DT_I32)))
		return err;
	err = kind(f);
	f->q->group_rows = f->q->group_rows ? f->q->group_rows : 1;
	err = err ? err : check_scale(f);
	err = err ? err : quant_zeros(c, f->q, f->why);
	return err ? err : add_matrix(f);
}

int quant_list(struct checkpoint *c, const struct quant_config *cfg, struct why *why)
{
	struct finder f = {.c = c, .why = why};
	int err = 0;

	c->raw = c->table;
	c->table = (struct table){0};
	f.taken = xalloc((size_t)c->raw.n + 1, sizeof *f.taken);
	for (int i = 0; i < c->raw.n && !err; i++) {
		int (*kind)(struct finder * f) = kind_of(&f, &c->raw.t[i]);
		f.cfg = *cfg;
		if (kind)
			err = take(&f, &c->raw.t[i], kind);
	}
	for (int i = 0; i < c->raw.n && !err; i++)
		if (!f.taken[i])
			err = table_add(&c->table, &c->raw.t[i], why);
	free(f.taken);
	return err;
}

int quant_apply(struct checkpoint *c, const char *dir, struct why *why)
{
	struct quant_config cfg;
	int err = read_config(&cfg, dir, why);

	return err ? err : quant_list(c, &cfg, why);
}

void quant_finish(struct checkpoint *c)
{
	for (int i = 0; i < c->n_quant; i++) {
		free(c->quant[i]->group_of);
		free(c->quant[i]->order);
		free(c->quant[i]);
	}
	free(c->quant);
	table_finish(&c->raw);
}
