/* settle.c - compares what a config says with the tensors that the files hold. */
#include "engine/models/settle.h"
#include "engine/models/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

bool tensor_is_harmless(const struct ck_tensor *t)
{
	static const char *const ends[] = {"rotary_emb.inv_freq",
					   "rotary_emb.cos_cached",
					   "rotary_emb.sin_cached",
					   ".masked_bias",
					   ".attn_mask",
					   ".causal_mask",
					   ".k_scale",
					   ".v_scale",
					   ".kv_scale",
					   NULL};

	for (int i = 0; ends[i]; i++)
		if (ends_with(t->name, ends[i]))
			return true;
	/* A mask of the positions. */
	return (ends_with(t->name, "attn.bias") || ends_with(t->name, "attention.bias")) && t->n_dims > 2;
}

/* A tensor of a layer: its number, and what follows "model.layers.N."; NULL: a tensor outside the layers. */
static const char *in_layer(const struct family *f, const char *name, long *layer)
{
	size_t n = strlen(f->layer);
	char *end;

	if (strncmp(name, f->layer, n) || name[n] < '0' || name[n] > '9')
		return NULL;
	*layer = strtol(name + n, &end, 10);
	return *end == '.' ? end + 1 : NULL;
}

static bool row_has(const struct weight_row *row, const char *name)
{
	for (int i = 0; i < row_pieces(row); i++)
		if (row_name_is(row->piece[i].name, name) || (row->piece[i].all && !strcmp(row->piece[i].all, name)))
			return true;
	for (size_t i = 0; i < sizeof row->fused / sizeof *row->fused && row->fused[i]; i++)
		if (!strcmp(row->fused[i], name))
			return true;
	return false;
}

/* `within`: the name within layer `layer`, or NULL. A tied model does not use its head, which is no reason to refuse
 * it. */
static bool is_used(const struct family *f, const struct model_config *c, const char *name, const char *within,
		    long layer)
{
	bool used = false;

	for (const struct weight_row *row = f->rows; row_pieces(row); row++)
		if (row->per_layer == (within != NULL) && row_has(row, within ? within : name))
			used = used || row->kind == WEIGHT_HEAD ||
			       (layer < c->layers && row_is_there(row, c, (int)layer));
	return used;
}

/* Outside the layers: what acts on every token of this network, while a score head or another tower does not. */
static bool acts(const struct family *f, const char *name)
{
	for (const char *const *start = f->acting; *start; start++)
		if (!strncmp(name, *start, strlen(*start)))
			return true;
	return false;
}

static bool is_zero(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (data[i])
			return false;
	return true;
}

/* A bias of zeros adds nothing; converters leave such. */
static int read_zero(const struct checkpoint *ck, const struct ck_tensor *t, bool *zero, struct why *why)
{
	uint8_t *data;
	int err;

	*zero = false;
	if (!ends_with(t->name, ".bias") || t->n_dims != 1 || t->type == DT_COUNT || t->bytes > 1 << 24)
		return 0;
	data = xalloc((size_t)t->bytes + 1, 1);
	err = checkpoint_read(ck, t, 0, t->shape[0], 0, 1, data, why);
	*zero = !err && is_zero(data, (size_t)t->bytes);
	free(data);
	return err;
}

/* The name as the family's table has it: files may leave out the family's prefix. */
static char *full_name(const struct family *f, const char *name)
{
	char *full = xprintf("%s%s", f->prefix ? f->prefix : "", name);
	long layer;

	if (!in_layer(f, name, &layer) && !acts(f, name) && (in_layer(f, full, &layer) || acts(f, full)))
		return full;
	free(full);
	return xprintf("%s", name);
}

static int check_tensor(const struct model_config *c, const struct checkpoint *ck, const struct ck_tensor *t,
			struct why *why)
{
	const struct family *f = family_of(c);
	long layer = 0;
	char *name = full_name(f, t->name);
	const char *within = in_layer(f, name, &layer);
	bool zero, used = is_used(f, c, name, within, layer), passed = within ? layer >= c->layers : !acts(f, name);
	int err;

	free(name);
	if (used || passed || tensor_is_harmless(t))
		return 0;
	err = read_zero(ck, t, &zero, why);
	if (err || zero)
		return err;
	return fail(
		why, ERR_UNSUPPORTED,
		"%s: tensor %.200s is no part of %s: without it the numbers would be those of another model; models with such a tensor are not supported",
		checkpoint_file(ck, t->file), t->name, c->architecture);
}

static bool same_shape(const struct ck_tensor *a, const struct ck_tensor *b)
{
	bool same = a->type == b->type && a->n_dims == 2 && b->n_dims == 2;

	return same && a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

/* Stops at the first rows that differ, so that a file with another head costs little. */
static int compare(const struct checkpoint *ck, const struct ck_tensor *a, const struct ck_tensor *b, bool *same,
		   struct why *why)
{
	int64_t width = a->shape[1] > 0 ? a->shape[1] : 1, step = (4 << 20) / (width * 8) + 1;
	size_t row = (size_t)width * dtype_size(a->type);
	uint8_t *x = xalloc((size_t)step, row), *y = xalloc((size_t)step, row);
	int err = 0;

	*same = true;
	for (int64_t r = 0; !err && *same && r < a->shape[0]; r += step) {
		int64_t n = a->shape[0] - r < step ? a->shape[0] - r : step;

		err = checkpoint_read(ck, a, r, n, 0, a->shape[1], x, why);
		if (!err)
			err = checkpoint_read(ck, b, r, n, 0, a->shape[1], y, why);
		*same = !err && !memcmp(x, y, (size_t)n * row);
	}
	free(x);
	free(y);
	return err;
}

static const char *once_name(const struct model_config *c, size_t place)
{
	return row_at(family_of(c), false, place)->piece[0].name;
}

static int settle_head(struct model_config *c, const struct checkpoint *ck, struct why *why)
{
	const char *head_name = once_name(c, offsetof(struct model, head));
	const struct ck_tensor *head = checkpoint_find(ck, head_name);
	const struct ck_tensor *embed = row_find(family_of(c), ck, once_name(c, offsetof(struct model, embed)));
	bool same = false;
	int err = 0;

	if (!c->tied || !head || !embed)
		return 0;
	if (head->file == embed->file && head->offset == embed->offset && same_shape(head, embed))
		return 0;
	if (same_shape(head, embed) && head->type != DT_COUNT)
		err = compare(ck, head, embed, &same, why);
	if (err || same)
		return err;
	c->tied = false;
	if (c->n_notes < MODEL_MAX_NOTES)
		snprintf(
			c->note[c->n_notes++], sizeof *c->note,
			"\"tie_word_embeddings\" is true, but %s holds another %s: that one is used, as transformers 5 does (4 does not)",
			checkpoint_file(ck, head->file), head_name);
	return 0;
}

bool tensor_is_spare_head(const struct model_config *c, const struct ck_tensor *t)
{
	return c->tied && !strcmp(t->name, once_name(c, offsetof(struct model, head)));
}

enum dtype model_stored_type(const struct model_config *c, const struct checkpoint *ck)
{
	const struct family *f = family_of(c);
	const struct weight_row *row = row_at(f, true, offsetof(struct layer, o));
	const struct ck_tensor *t;
	char name[TENSOR_NAME];

	row_tensor(f, row, row->piece[0].name, 0, 0, name);
	t = ck ? row_find(f, ck, name) : NULL;
	if (t && !t->quant)
		return t->type;
	return c->torch_dtype == DT_COUNT ? DT_BF16 : c->torch_dtype;
}

/* Files that hold differences to a base model (a delta) have the names and shapes of a model. Their last norm suggests
 * it: its gains lie about 0, those of a trained model about 1 or above. A note says so, since random weights do, too.
 */
static int note_delta(struct model_config *c, const struct checkpoint *ck, struct why *why)
{
	enum { MOST = 1 << 17 };
	const struct ck_tensor *t = row_find(family_of(c), ck, once_name(c, offsetof(struct model, norm_out)));
	uint8_t *data;
	double sum = 0;
	int err;

	if (!t || t->n_dims != 1 || t->shape[0] < 1 || t->shape[0] > MOST || (t->type != DT_F16 && t->type != DT_BF16))
		return 0;
	data = xalloc((size_t)t->bytes + 1, 1);
	err = checkpoint_read(ck, t, 0, t->shape[0], 0, 1, data, why);
	for (int64_t i = 0; !err && i < t->shape[0]; i++) {
		uint16_t h;
		memcpy(&h, data + 2 * i, sizeof h);
		sum += fabs((double)(t->type == DT_BF16 ? f32_from_bf16(h) : f32_from_f16(h)));
	}
	free(data);
	if (err || sum / (double)t->shape[0] > 0.1 || sum == 0)
		return err;
	if (c->n_notes < MODEL_MAX_NOTES)
		snprintf(
			c->note[c->n_notes++], sizeof *c->note,
			"%.40s in %.60s is %.3f on average, as in differences to a base model (a delta): to those add the base model's weights first",
			t->name, checkpoint_file(ck, t->file), sum / (double)t->shape[0]);
	return 0;
}

int model_config_settle(struct model_config *c, const struct checkpoint *ck, struct why *why)
{
	int err = 0;

	for (int i = 0; i < checkpoint_count(ck) && !err; i++)
		err = check_tensor(c, ck, checkpoint_tensor(ck, i), why);
	if (!err)
		err = note_delta(c, ck, why);
	return err ? err : settle_head(c, ck, why);
}
