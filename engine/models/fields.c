/* fields.c - reads and checks fields of a config.json. */
#include "engine/models/fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void field_note(struct config_reader *r, const char *fmt, ...)
{
	va_list args;

	if (r->c->n_notes == MODEL_MAX_NOTES)
		return;
	va_start(args, fmt);
	vsnprintf(r->c->note[r->c->n_notes++], sizeof *r->c->note, fmt, args);
	va_end(args);
}

int field_refuse(struct config_reader *r, int err, const char *key, const char *found, const char *rule)
{
	if (!r->err)
		r->err = fail(r->why, err, "%s: \"%s\" is %s; %s", r->path, key, found, rule);
	return r->err;
}

const struct json *field(struct config_reader *r, const struct json *object, const char *key)
{
	const struct json *v = json_get(object, key);

	for (size_t i = 0; i < r->n_over; i++)
		r->over[i].read = r->over[i].read || !strcmp(r->over[i].key, key);
	return json_is(v, JSON_IS_NULL) ? NULL : v;
}

int field_int(struct config_reader *r, const char *key, int low, int high, int fallback)
{
	const struct json *v = field(r, r->root, key);
	char found[400], rule[96];
	int64_t i;

	if (!v && fallback != -1)
		return fallback;
	snprintf(rule, sizeof rule, "it must be a whole number from %d to %d", low, high);
	if (!json_is_int(v)) {
		field_refuse(r, ERR_FORMAT, key, json_kind_name(v), rule);
		return low;
	}
	if (!json_int(v, &i) || i < low || i > high) {
		snprintf(found, sizeof found, "%.0f", json_num(v));
		field_refuse(r, ERR_FORMAT, key, found, rule);
		return low;
	}
	return (int)i;
}

/* "rope_scaling.factor": a member of an object within the file. */
static void path_of(const struct config_reader *r, const struct json *object, const char *key, char out[128])
{
	const struct json_member *m;
	const char *owner = NULL;

	for (size_t i = 0; object != r->root && (m = json_member(r->root, i)); i++)
		if (&m->value == object)
			owner = m->key;
	snprintf(out, 128, "%.60s%s%.60s", owner ? owner : "", owner ? "." : "", key);
}

double field_number(struct config_reader *r, const struct json *object, const char *key, double low, double high,
		    double fallback)
{
	const struct json *v = field(r, object, key);
	char found[64], rule[96], path[128];

	if (!v && !isnan(fallback))
		return fallback;
	snprintf(rule, sizeof rule, "it must be a number from %g to %g", low, high);
	path_of(r, object, key, path);
	if (!json_is_num(v)) {
		field_refuse(r, ERR_FORMAT, path, json_kind_name(v), rule);
		return low;
	}
	if (!(json_num(v) >= low && json_num(v) <= high)) {
		snprintf(found, sizeof found, "%g", json_num(v));
		field_refuse(r, ERR_FORMAT, path, found, rule);
		return low;
	}
	return json_num(v);
}

bool field_bool(struct config_reader *r, const char *key, bool fallback)
{
	const struct json *v = field(r, r->root, key);

	if (!v)
		return fallback;
	if (!json_is(v, JSON_IS_BOOL))
		field_refuse(r, ERR_FORMAT, key, json_kind_name(v), "it must be true or false");
	return json_yes(v);
}

/* A mixture of experts has several FFNs in a layer. A count of 1 is the plain model. */
static void refuse_experts(struct config_reader *r)
{
	static const char *const keys[] = {"num_local_experts", "num_experts",         "n_routed_experts",
					   "moe_num_experts",   "num_experts_per_tok", "moe_intermediate_size",
					   "n_shared_experts"};

	for (size_t i = 0; !r->c->experts && i < sizeof keys / sizeof *keys; i++) {
		const struct json *v = field(r, r->root, keys[i]);

		if (v && !(json_is_num(v) && json_num(v) <= 1) && !(json_is(v, JSON_IS_BOOL) && !v->yes))
			field_refuse(
				r, ERR_UNSUPPORTED, keys[i], "set",
				"this class is no mixture of experts: supported are Mixtral, Qwen2-MoE, Qwen3-MoE and XVERSE-MoE");
	}
}

void field_refuse_unsupported(struct config_reader *r)
{
	if (!r->err)
		r->err = quant_config_read(&r->c->quant, r->root, false, r->path, r->why);
	refuse_experts(r);
}

void field_dtype(struct config_reader *r, struct model_config *c)
{
	static const struct {
		const char *name;
		enum dtype type;
	} known[] = {{"float32", DT_F32}, {"float16", DT_F16}, {"bfloat16", DT_BF16}};
	const struct json *v = field(r, r->root, "dtype"), *old = field(r, r->root, "torch_dtype");
	const char *name = json_str(v ? v : old);

	if (json_str(v) && json_str(old) && strcmp(json_str(v), json_str(old)))
		field_note(
			r,
			"\"dtype\" is %.40s and \"torch_dtype\" %.40s: the former is used; weights have the type of the files",
			json_str(v), json_str(old));
	if (name && !strncmp(name, "torch.", 6))
		name += 6;

	c->torch_dtype = DT_COUNT;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i].name))
			c->torch_dtype = known[i].type;
}

enum activation field_activation(struct config_reader *r, const char *key, const char *fallback)
{
	static const struct {
		const char *name;
		enum activation kind;
	} known[] = {{"relu", ACT_RELU},          {"gelu", ACT_GELU},           {"gelu_python", ACT_GELU},
		     {"gelu_new", ACT_GELU_TANH}, {"gelu_fast", ACT_GELU_TANH}, {"gelu_pytorch_tanh", ACT_GELU_TANH}};
	const struct json *v = field(r, r->root, key);
	const char *name = v ? json_str(v) : fallback;

	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i].name))
			return known[i].kind;
	field_refuse(r, ERR_UNSUPPORTED, key, name ? name : json_kind_name(v),
		     "supported: relu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh");
	return ACT_RELU;
}

void field_windows(struct model_config *c, int window, int first)
{
	for (int i = 0; i < c->layers; i++)
		c->windowed[i] = i >= first;
	c->window = first < c->layers ? window : 0;
}

bool field_layer_types(struct config_reader *r, struct model_config *c, int window)
{
	const struct json *list = field(r, r->root, "layer_types");
	char found[64];
	bool any = false;

	if (!list)
		return false;
	snprintf(found, sizeof found, "a list of %zu for %d layers", json_size(list), c->layers);
	if (!json_is(list, JSON_IS_LIST) || json_size(list) != (size_t)c->layers)
		field_refuse(r, ERR_FORMAT, "layer_types", json_is(list, JSON_IS_LIST) ? found : json_kind_name(list),
			     "it must list every layer");
	for (int i = 0; i < c->layers && !r->err; i++) {
		const char *kind = json_str(json_at(list, (size_t)i));
		c->windowed[i] = kind && !strcmp(kind, "sliding_attention");
		if (!c->windowed[i] && (!kind || strcmp(kind, "full_attention")))
			field_refuse(r, ERR_UNSUPPORTED, "layer_types", kind ? kind : "no list of names",
				     "supported: full_attention, sliding_attention");
		any = any || c->windowed[i];
	}
	if (any && !window)
		field_refuse(r, ERR_FORMAT, "layer_types", "with sliding_attention",
			     "that needs \"sliding_window\", and in Qwen's classes \"use_sliding_window\": true");
	c->window = any ? window : 0;
	return true;
}

void field_check_heads(struct config_reader *r, struct model_config *c, bool own)
{
	char found[96];

	if (r->err)
		return;
	snprintf(found, sizeof found, "%d with hidden_size %d and %d heads", c->head_dim, c->hidden, c->heads);
	if (c->head_dim < 2 || c->head_dim % 2 || (!own && c->hidden % c->heads))
		field_refuse(r, ERR_FORMAT, "head_dim", found,
			     "it must be an even number, and the heads must divide hidden_size");
	if (c->hidden % 2)
		field_refuse(r, ERR_UNSUPPORTED, "hidden_size", "odd", "it must be an even number");
	snprintf(found, sizeof found, "%d with %d heads", c->kv_heads, c->heads);
	if (c->heads % c->kv_heads)
		field_refuse(r, ERR_FORMAT, "num_key_value_heads", found,
			     "it must be a divisor of num_attention_heads");
}

static int token_id(const struct json *v, const struct model_config *c)
{
	int64_t id;

	return json_int(v, &id) && id >= 0 && id < c->vocab ? (int)id : -1;
}

static void add_eos(struct config_reader *r, struct model_config *c, const struct json *v)
{
	int id = token_id(v, c);

	if (id < 0)
		field_note(r, "\"eos_token_id\" has an id that is no token of this model: it is ignored");
	else if (c->n_eos < MODEL_MAX_EOS)
		c->eos[c->n_eos++] = id;
	else
		field_refuse(r, ERR_UNSUPPORTED, "eos_token_id", "too long a list", "at most 1024 ids end an answer");
}

/* eos_token_id is one id or a list of ids; null is none. */
void field_tokens(struct config_reader *r, struct model_config *c)
{
	const struct json *eos = field(r, r->root, "eos_token_id"), *item;

	c->bos = token_id(field(r, r->root, "bos_token_id"), c);
	c->pad = token_id(field(r, r->root, "pad_token_id"), c);
	if (eos && !json_is(eos, JSON_IS_LIST))
		add_eos(r, c, eos);
	for (size_t i = 0; (item = json_at(eos, i)); i++)
		add_eos(r, c, item);
}
