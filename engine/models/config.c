/* config.json of a Hugging Face directory, for the models of Llama's shape. */
#include "engine/model.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *path;
	json_t *root;
	struct why *why;
	int err; /* first refusal */
};

static int refuse(struct reader *r, int err, const char *key, const char *found, const char *wanted)
{
	if (!r->err)
		r->err = fail(r->why, err, "%s: \"%s\" is %s; %s", r->path, key, found, wanted);
	return r->err;
}

static const char *json_kind(const json_t *v)
{
	static const char *const names[] = {"an object", "an array", "a string", "an integer",
					    "a number",  "true",     "false",    "null"};
	return v ? names[json_typeof(v)] : "missing";
}

/* null counts as absent, as in the reference. */
static json_t *get(const json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);

	return json_is_null(v) ? NULL : v;
}

/* A whole number in [low, high]; absent: `fallback`, or a refusal where that is -1. */
static int read_int(struct reader *r, const char *key, int low, int high, int fallback)
{
	json_t *v = get(r->root, key);
	char found[64], wanted[96];

	if (!v && fallback != -1)
		return fallback;
	snprintf(wanted, sizeof wanted, "wanted: a whole number from %d to %d", low, high);
	if (!json_is_integer(v)) {
		refuse(r, ERR_FORMAT, key, json_kind(v), wanted);
		return low;
	}
	if (json_integer_value(v) < low || json_integer_value(v) > high) {
		snprintf(found, sizeof found, "%lld", (long long)json_integer_value(v));
		refuse(r, ERR_FORMAT, key, found, wanted);
		return low;
	}
	return (int)json_integer_value(v);
}

static double read_number(struct reader *r, const json_t *object, const char *key, double low, double high,
			  double fallback)
{
	json_t *v = get(object, key);
	char found[64], wanted[96];

	if (!v && !isnan(fallback))
		return fallback;
	snprintf(wanted, sizeof wanted, "wanted: a number from %g to %g", low, high);
	if (!json_is_number(v)) {
		refuse(r, ERR_FORMAT, key, json_kind(v), wanted);
		return low;
	}
	if (!(json_number_value(v) >= low && json_number_value(v) <= high)) {
		snprintf(found, sizeof found, "%g", json_number_value(v));
		refuse(r, ERR_FORMAT, key, found, wanted);
		return low;
	}
	return json_number_value(v);
}

static bool read_bool(struct reader *r, const char *key, bool fallback)
{
	json_t *v = get(r->root, key);

	if (!v)
		return fallback;
	if (!json_is_boolean(v))
		refuse(r, ERR_FORMAT, key, json_kind(v), "wanted: true or false");
	return json_is_true(v);
}

static void read_architecture(struct reader *r, struct model_config *c)
{
	json_t *list = get(r->root, "architectures");
	const char *name = json_string_value(json_array_get(list, 0));
	char found[96];

	if (!name)
		refuse(r, ERR_FORMAT, "architectures", json_kind(list),
		       "wanted: a list with the model's class");
	else if (strcmp(name, "XverseForCausalLM") && strcmp(name, "LlamaForCausalLM")) {
		snprintf(found, sizeof found, "%.80s", name);
		refuse(r, ERR_UNSUPPORTED, "architectures", found,
		       "supported: XverseForCausalLM, LlamaForCausalLM");
	} else
		snprintf(c->architecture, sizeof c->architecture, "%s", name);
}

/* What changes the arithmetic and is not built: refused by name, never ignored. */
static void refuse_unsupported(struct reader *r)
{
	static const char *const flags[] = {"attention_bias", "mlp_bias"};
	static const char *const keys[] = {"quantization_config", "quantization_bit"};
	json_t *v = get(r->root, "hidden_act");
	const char *act = json_string_value(v);

	if (v && (!act || strcmp(act, "silu")))
		refuse(r, ERR_UNSUPPORTED, "hidden_act", act ? act : json_kind(v), "supported: silu");
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (read_bool(r, flags[i], false))
			refuse(r, ERR_UNSUPPORTED, flags[i], "true",
			       "linear layers with a bias are not supported");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		v = get(r->root, keys[i]);
		if (v && !(json_is_integer(v) && json_integer_value(v) == 0))
			refuse(r, ERR_UNSUPPORTED, keys[i], "set", "quantised checkpoints are not supported");
	}
}

static void read_scaling(struct reader *r, struct model_config *c, const json_t *s)
{
	const char *type = json_string_value(get(s, "rope_type"));

	if (!type)
		type = json_string_value(get(s, "type"));
	if (!type || !strcmp(type, "default"))
		return;
	if (!strcmp(type, "linear")) {
		c->scaling = ROPE_LINEAR;
		c->rope_factor = read_number(r, s, "factor", 1, 1e6, NAN);
	} else if (!strcmp(type, "llama3")) {
		c->scaling = ROPE_LLAMA3;
		c->rope_factor = read_number(r, s, "factor", 1, 1e6, NAN);
		c->rope_low = read_number(r, s, "low_freq_factor", 1e-6, 1e6, NAN);
		c->rope_high = read_number(r, s, "high_freq_factor", 1e-6, 1e6, NAN);
		c->rope_original = read_number(r, s, "original_max_position_embeddings", 1, 1e9, NAN);
		if (!r->err && c->rope_high <= c->rope_low)
			refuse(r, ERR_FORMAT, "rope_scaling",
			       "without room between low_freq_factor and high_freq_factor",
			       "wanted: low below high");
	} else
		refuse(r, ERR_UNSUPPORTED, "rope_scaling", type, "supported: linear, llama3");
}

static void read_rope(struct reader *r, struct model_config *c)
{
	json_t *scaling = get(r->root, "rope_scaling"), *parameters = get(r->root, "rope_parameters");

	c->rope_theta = read_number(r, get(r->root, "rope_theta") || !parameters ? r->root : parameters,
				    "rope_theta", 1, 1e12, 10000);
	if (!scaling)
		scaling = parameters;
	if (scaling && !json_is_object(scaling))
		refuse(r, ERR_FORMAT, "rope_scaling", json_kind(scaling), "wanted: an object");
	else if (scaling)
		read_scaling(r, c, scaling);
}

static void read_dtype(struct reader *r, struct model_config *c)
{
	static const struct {
		const char *name;
		enum dtype type;
	} known[] = {{"float32", DT_F32}, {"float16", DT_F16}, {"bfloat16", DT_BF16}};
	json_t *v = get(r->root, "torch_dtype");
	const char *name = json_string_value(v ? v : get(r->root, "dtype"));

	c->torch_dtype = DT_COUNT;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i].name))
			c->torch_dtype = known[i].type;
}

static int token_id(const json_t *v, const struct model_config *c)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < c->vocab
		       ? (int)json_integer_value(v)
		       : -1;
}

static void add_eos(struct model_config *c, int id)
{
	if (id >= 0 && c->n_eos < MODEL_MAX_EOS)
		c->eos[c->n_eos++] = id;
}

/* eos_token_id is one id or a list of ids. */
static void read_tokens(struct reader *r, struct model_config *c)
{
	json_t *eos = get(r->root, "eos_token_id"), *item;
	size_t i;

	c->bos = token_id(get(r->root, "bos_token_id"), c);
	c->pad = token_id(get(r->root, "pad_token_id"), c);
	add_eos(c, token_id(eos, c));
	json_array_foreach(eos, i, item) add_eos(c, token_id(item, c));
}

static void read_sizes(struct reader *r, struct model_config *c)
{
	char found[96];

	c->hidden = read_int(r, "hidden_size", 2, 1 << 17, -1);
	c->ffn = read_int(r, "intermediate_size", 1, 1 << 19, -1);
	c->layers = read_int(r, "num_hidden_layers", 1, 1024, -1);
	c->heads = read_int(r, "num_attention_heads", 1, 1024, -1);
	c->kv_heads = read_int(r, "num_key_value_heads", 1, 1024, c->heads);
	c->vocab = read_int(r, "vocab_size", 2, 1 << 24, -1);
	c->max_pos = read_int(r, "max_position_embeddings", 1, 1 << 26, 2048);
	if (r->err)
		return;
	c->head_dim = read_int(r, "head_dim", 2, 1024, c->hidden / c->heads);
	snprintf(found, sizeof found, "%d with hidden_size %d and %d heads", c->head_dim, c->hidden,
		 c->heads);
	if (c->head_dim < 2 || c->head_dim % 2 || (!get(r->root, "head_dim") && c->hidden % c->heads))
		refuse(r, ERR_FORMAT, "head_dim", found, "wanted: an even number that the heads divide");
	if (c->hidden % 2)
		refuse(r, ERR_UNSUPPORTED, "hidden_size", "odd", "wanted: an even number");
	snprintf(found, sizeof found, "%d with %d heads", c->kv_heads, c->heads);
	if (c->heads % c->kv_heads)
		refuse(r, ERR_FORMAT, "num_key_value_heads", found,
		       "wanted: a divisor of num_attention_heads");
}

static void read_all(struct reader *r, struct model_config *c)
{
	read_architecture(r, c);
	read_sizes(r, c);
	refuse_unsupported(r);
	c->norm_eps = (float)read_number(r, r->root, "rms_norm_eps", 0, 1, 1e-6);
	c->tied = read_bool(r, "tie_word_embeddings", false);
	read_rope(r, c);
	read_dtype(r, c);
	read_tokens(r, c);
}

int model_config_read(struct model_config *c, const char *dir, struct why *why)
{
	struct reader r = {.why = why};
	json_error_t error;
	char *path = xprintf("%s/config.json", dir);

	memset(c, 0, sizeof *c);
	r.path = path;
	r.root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!r.root && error.line > 0)
		r.err = fail(why, ERR_FORMAT, "%s: line %d: %s", path, error.line, error.text);
	else if (!r.root)
		r.err = fail(why, ERR_IO, "%s", error.text);
	else if (!json_is_object(r.root))
		r.err = fail(why, ERR_FORMAT, "%s: not a JSON object", path);
	else
		read_all(&r, c);
	json_decref(r.root);
	free(path);
	return r.err;
}
