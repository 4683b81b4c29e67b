#include "engine/models/settle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head_name[] = "lm_head.weight", embed_name[] = "model.embed_tokens.weight";

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static bool is_one_of(const char *name, const char *const *list)
{
	while (*list && strcmp(*list, name))
		list++;
	return *list;
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
	return ends_with(t->name, "attn.bias") && t->n_dims > 2; /* a mask of the positions */
}

/* "model.layers.N.": N and what follows; NULL: another name. */
static const char *in_layer(const char *name, long *layer)
{
	static const char start[] = "model.layers.";
	char *end;

	if (strncmp(name, start, sizeof start - 1) || name[sizeof start - 1] < '0' || name[sizeof start - 1] > '9')
		return NULL;
	*layer = strtol(name + sizeof start - 1, &end, 10);
	return *end == '.' ? end + 1 : NULL;
}

/* Names that the forward pass uses; q, k, v and gate, up may lie in one tensor. */
static bool is_used(const char *name, const char *within)
{
	static const char *const outer[] = {embed_name, head_name, "model.norm.weight", NULL};
	static const char *const inner[] = {"self_attn.q_proj.weight",
					    "self_attn.k_proj.weight",
					    "self_attn.v_proj.weight",
					    "self_attn.qkv_proj.weight",
					    "self_attn.W_pack.weight",
					    "self_attn.o_proj.weight",
					    "mlp.gate_proj.weight",
					    "mlp.up_proj.weight",
					    "mlp.gate_up_proj.weight",
					    "mlp.down_proj.weight",
					    "input_layernorm.weight",
					    "post_attention_layernorm.weight",
					    NULL};

	return is_one_of(within ? within : name, within ? inner : outer);
}

/* Outside of the layers: what acts on every token of this network, while a score head or another tower does not. */
static bool acts(const char *name)
{
	static const char *const starts[] = {"lm_head.", "model.norm.", "model.embed_", "model.embedding", NULL};

	for (int i = 0; starts[i]; i++)
		if (!strncmp(name, starts[i], strlen(starts[i])))
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

static int check_tensor(const struct model_config *c, const struct checkpoint *ck, const struct ck_tensor *t,
			struct why *why)
{
	long layer = -1;
	const char *within = in_layer(t->name, &layer);
	bool zero;
	int err;

	if (is_used(t->name, within) || tensor_is_harmless(t) || (within ? layer >= c->layers : !acts(t->name)))
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

/* Stops at the first rows that differ, so a file with another head costs little. */
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

static int settle_head(struct model_config *c, const struct checkpoint *ck, struct why *why)
{
	const struct ck_tensor *head = checkpoint_find(ck, head_name), *embed = checkpoint_find(ck, embed_name);
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
			"\"tie_word_embeddings\" is true, but %s holds another lm_head.weight: that one is used, as transformers 5 does (4 does not)",
			checkpoint_file(ck, head->file));
	return 0;
}

int model_config_settle(struct model_config *c, const struct checkpoint *ck, struct why *why)
{
	int err = 0;

	for (int i = 0; i < checkpoint_count(ck) && !err; i++)
		err = check_tensor(c, ck, checkpoint_tensor(ck, i), why);
	return err ? err : settle_head(c, ck, why);
}
