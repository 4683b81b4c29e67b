/* config.json of a Hugging Face directory, for the models of Llama's shape. */
#include "engine/models/model.h"

#include "base/file/file.h"
#include "base/json/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct reader {
	const char *path;
	const struct json *root;
	struct model_config *c;
	struct why *why;
	int err; /* first refusal */
};

/* What was taken where a file says two things, or where readers of it differ. */
static void note(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct reader *r, const char *fmt, ...)
{
	va_list args;

	if (r->c->n_notes == MODEL_MAX_NOTES)
		return;
	va_start(args, fmt);
	vsnprintf(r->c->note[r->c->n_notes++], sizeof *r->c->note, fmt, args);
	va_end(args);
}

static int refuse(struct reader *r, int err, const char *key, const char *found, const char *wanted)
{
	if (!r->err)
		r->err = fail(r->why, err, "%s: \"%s\" is %s; %s", r->path, key, found, wanted);
	return r->err;
}

/* null counts as absent, as in the reference. */
static const struct json *get(const struct json *object, const char *key)
{
	const struct json *v = json_get(object, key);

	return json_is(v, JSON_IS_NULL) ? NULL : v;
}

/* A whole number in [low, high]; absent: `fallback`, or a refusal where that is -1. */
static int read_int(struct reader *r, const char *key, int low, int high, int fallback)
{
	const struct json *v = get(r->root, key);
	char found[400], wanted[96];
	int64_t i;

	if (!v && fallback != -1)
		return fallback;
	snprintf(wanted, sizeof wanted, "wanted: a whole number from %d to %d", low, high);
	if (!json_is_int(v)) {
		refuse(r, ERR_FORMAT, key, json_kind_name(v), wanted);
		return low;
	}
	if (!json_int(v, &i) || i < low || i > high) {
		snprintf(found, sizeof found, "%.0f", json_num(v));
		refuse(r, ERR_FORMAT, key, found, wanted);
		return low;
	}
	return (int)i;
}

static double read_number(struct reader *r, const struct json *object, const char *key, double low, double high,
			  double fallback)
{
	const struct json *v = get(object, key);
	char found[64], wanted[96];

	if (!v && !isnan(fallback))
		return fallback;
	snprintf(wanted, sizeof wanted, "wanted: a number from %g to %g", low, high);
	if (!json_is_num(v)) {
		refuse(r, ERR_FORMAT, key, json_kind_name(v), wanted);
		return low;
	}
	if (!(json_num(v) >= low && json_num(v) <= high)) {
		snprintf(found, sizeof found, "%g", json_num(v));
		refuse(r, ERR_FORMAT, key, found, wanted);
		return low;
	}
	return json_num(v);
}

static bool read_bool(struct reader *r, const char *key, bool fallback)
{
	const struct json *v = get(r->root, key);

	if (!v)
		return fallback;
	if (!json_is(v, JSON_IS_BOOL))
		refuse(r, ERR_FORMAT, key, json_kind_name(v), "wanted: true or false");
	return json_yes(v);
}

static bool is_one_of(const char *name, const char *const *list)
{
	while (*list && strcmp(*list, name))
		list++;
	return *list;
}

/* The model's class; without one its type says the same, as the reference's AutoModel goes by it. */
static void read_architecture(struct reader *r, struct model_config *c)
{
	static const char *const known[] = {"XverseForCausalLM", "LlamaForCausalLM", "LLaMAForCausalLM", NULL};
	static const char *const types[] = {"xverse", "llama", NULL};
	const struct json *list = get(r->root, "architectures");
	const char *type = json_str(get(r->root, "model_type")), *name = json_str(json_at(list, 0));
	char found[96];

	if (list && (!json_is(list, JSON_IS_LIST) || (json_size(list) && !name))) {
		refuse(r, ERR_FORMAT, "architectures", json_kind_name(list), "wanted: a list with the model's class");
		return;
	}
	if (!name && type && is_one_of(type, types)) {
		name = strcmp(type, "xverse") ? known[1] : known[0];
		note(r, "\"architectures\" is missing: %s is taken for \"model_type\" %s", name, type);
	} else if (!name) {
		refuse(r, ERR_FORMAT, "architectures", json_kind_name(list), "wanted: a list with the model's class");
		return;
	} else if (!is_one_of(name, known)) {
		snprintf(found, sizeof found, "%.80s", name);
		refuse(r, ERR_UNSUPPORTED, "architectures", found, "supported: XverseForCausalLM, LlamaForCausalLM");
		return;
	} else if (type && !is_one_of(type, types)) {
		note(r, "\"model_type\" is %.60s and \"architectures\" %s: the latter is taken", type, name);
	}
	snprintf(c->architecture, sizeof c->architecture, "%s", strcmp(name, known[2]) ? name : known[1]);
}

/* Several feed-forward networks that share a layer. 1 is the plain model. */
static void refuse_experts(struct reader *r)
{
	static const char *const keys[] = {"num_local_experts", "num_experts",         "n_routed_experts",
					   "moe_num_experts",   "num_experts_per_tok", "moe_intermediate_size",
					   "n_shared_experts"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct json *v = get(r->root, keys[i]);

		if (v && !(json_is_num(v) && json_num(v) <= 1) && !(json_is(v, JSON_IS_BOOL) && !v->yes))
			refuse(r, ERR_UNSUPPORTED, keys[i], "set", "a mixture of experts is not supported");
	}
}

/* What changes the arithmetic and is not built: refused by name, never ignored. */
static void refuse_unsupported(struct reader *r)
{
	static const char *const flags[] = {"attention_bias", "mlp_bias"};
	static const char *const keys[] = {"quantization_config", "quantization_bit"};
	const struct json *v = get(r->root, "hidden_act");
	const char *act = json_str(v);

	if (v && (!act || (strcmp(act, "silu") && strcmp(act, "swish"))))
		refuse(r, ERR_UNSUPPORTED, "hidden_act", act ? act : json_kind_name(v), "supported: silu");
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (read_bool(r, flags[i], false))
			refuse(r, ERR_UNSUPPORTED, flags[i], "true", "linear layers with a bias are not supported");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		v = get(r->root, keys[i]);
		if (v && !(json_is_num(v) && json_num(v) == 0))
			refuse(r, ERR_UNSUPPORTED, keys[i], "set", "quantised checkpoints are not supported");
	}
	refuse_experts(r);
}

/* "rope_type", in older files "type". Where both stand and differ, transformers 5 takes the former and 4 the latter. */
static const char *scaling_type(struct reader *r, const struct json *s)
{
	const char *type = json_str(get(s, "rope_type")), *old = json_str(get(s, "type"));

	if (type && old && strcmp(type, old))
		note(r,
		     "the rotary scaling has \"rope_type\" %.40s and \"type\" %.40s: the former is taken, as transformers 5 does",
		     type, old);
	if (!type)
		type = old;
	if (!type && (get(s, "factor") || get(s, "low_freq_factor")))
		note(r, "the rotary scaling has no \"rope_type\": it is not applied, as in transformers 5");
	return type ? type : "default";
}

static void read_llama3(struct reader *r, struct model_config *c, const struct json *s)
{
	const char *key = "original_max_position_embeddings";
	const struct json *own = get(s, key), *outer = get(r->root, key);

	c->scaling = ROPE_LLAMA3;
	c->rope_factor = read_number(r, s, "factor", 1, 1e6, NAN);
	c->rope_low = read_number(r, s, "low_freq_factor", 1e-6, 1e6, NAN);
	c->rope_high = read_number(r, s, "high_freq_factor", 1e-6, 1e6, NAN);
	c->rope_original = read_number(r, outer ? r->root : s, key, 1, 1e9, c->max_pos);
	if (outer && own && !json_same(own, outer))
		note(r,
		     "\"%s\" is %.0f in the model's config and %.0f in its rotary scaling: the former is taken, as transformers 5 does",
		     key, json_num(outer), json_num(own));
	if (!own && !outer)
		note(r,
		     "the llama3 scaling has no \"%s\": \"max_position_embeddings\", %d, is taken, as transformers 5 does",
		     key, c->max_pos);
	if (!r->err && c->rope_high <= c->rope_low)
		refuse(r, ERR_FORMAT, "rope_scaling", "without room between low_freq_factor and high_freq_factor",
		       "wanted: low below high");
}

static void read_scaling(struct reader *r, struct model_config *c, const struct json *s)
{
	const char *type = scaling_type(r, s);
	char found[96];

	if (!strcmp(type, "default"))
		return;
	if (!strcmp(type, "linear")) {
		c->scaling = ROPE_LINEAR;
		c->rope_factor = read_number(r, s, "factor", 1, 1e6, NAN);
	} else if (!strcmp(type, "llama3")) {
		read_llama3(r, c, s);
	} else {
		snprintf(found, sizeof found, "%.80s", type);
		refuse(r, ERR_UNSUPPORTED, "rope_scaling", found, "supported: linear, llama3");
	}
}

/* The object that says how positions turn: "rope_scaling" where it says anything, else "rope_parameters" of
 * transformers 5. */
static const struct json *rope_object(struct reader *r)
{
	const struct json *old = get(r->root, "rope_scaling"), *parameters = get(r->root, "rope_parameters");
	const struct json_member *m;

	if (old && !json_is(old, JSON_IS_OBJECT))
		refuse(r, ERR_FORMAT, "rope_scaling", json_kind_name(old), "wanted: an object");
	if (parameters && !json_is(parameters, JSON_IS_OBJECT))
		refuse(r, ERR_FORMAT, "rope_parameters", json_kind_name(parameters), "wanted: an object");
	if (json_size(old) && json_size(parameters) && !json_same(old, parameters))
		note(r, "\"rope_scaling\" and \"rope_parameters\" differ: the former is taken, as transformers does");
	if (json_size(old))
		parameters = old;
	for (size_t i = 0; (m = json_member(parameters, i)); i++)
		if (json_is(&m->value, JSON_IS_OBJECT))
			refuse(r, ERR_UNSUPPORTED, "rope_parameters", "given by kinds of layers",
			       "wanted: one for all layers");
	return parameters;
}

/* As transformers 5: the base within the rotary parameters counts before that of the config. Version 4 reads the latter
 * only. */
static void read_rope(struct reader *r, struct model_config *c)
{
	const struct json *s = rope_object(r), *own = get(s, "rope_theta"), *outer = get(r->root, "rope_theta");
	const struct json *part = get(s, "partial_rotary_factor");

	c->rope_theta = read_number(r, own ? s : r->root, "rope_theta", 1, 1e12, 10000);
	if (own && (outer || get(r->root, "rope_scaling") == s) && json_num(own) != (outer ? json_num(outer) : 10000))
		note(r,
		     "\"rope_theta\" is %g in the rotary parameters and %s beside them: the former is taken, as transformers 5 does",
		     json_num(own), outer ? "another" : "missing");
	if (json_size(s))
		read_scaling(r, c, s);
	if (outer && s == get(r->root, "rope_parameters") && c->scaling != ROPE_NONE)
		note(r,
		     "the scaling of \"rope_parameters\" is applied; transformers 4 reads \"rope_theta\" and \"rope_scaling\" only");
	if (!part)
		part = get(r->root, "partial_rotary_factor");
	if (part && json_num(part) != 1 && c->scaling != ROPE_NONE)
		refuse(r, ERR_UNSUPPORTED, "partial_rotary_factor", "set",
		       "with scaled positions all of a head must turn");
	else if (part && json_num(part) != 1)
		note(r,
		     "\"partial_rotary_factor\" is ignored, as this class of transformers does: all of a head turns");
}

static void read_dtype(struct reader *r, struct model_config *c)
{
	static const struct {
		const char *name;
		enum dtype type;
	} known[] = {{"float32", DT_F32}, {"float16", DT_F16}, {"bfloat16", DT_BF16}};
	const struct json *v = get(r->root, "dtype"), *old = get(r->root, "torch_dtype");
	const char *name = json_str(v ? v : old);

	if (json_str(v) && json_str(old) && strcmp(json_str(v), json_str(old)))
		note(r,
		     "\"dtype\" is %.40s and \"torch_dtype\" %.40s: the former is taken; weights have the type of the files",
		     json_str(v), json_str(old));
	if (name && !strncmp(name, "torch.", 6))
		name += 6;

	c->torch_dtype = DT_COUNT;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i].name))
			c->torch_dtype = known[i].type;
}

static int token_id(const struct json *v, const struct model_config *c)
{
	int64_t id;

	return json_int(v, &id) && id >= 0 && id < c->vocab ? (int)id : -1;
}

static void add_eos(struct reader *r, struct model_config *c, const struct json *v)
{
	int id = token_id(v, c);

	if (id < 0)
		note(r, "\"eos_token_id\" holds what is no token of this model: it is ignored");
	else if (c->n_eos < MODEL_MAX_EOS)
		c->eos[c->n_eos++] = id;
	else
		refuse(r, ERR_UNSUPPORTED, "eos_token_id", "too long a list", "at most 1024 ids end an answer");
}

/* eos_token_id is one id or a list of ids. */
static void read_tokens(struct reader *r, struct model_config *c)
{
	const struct json *eos = get(r->root, "eos_token_id"), *item;

	c->bos = token_id(get(r->root, "bos_token_id"), c);
	c->pad = token_id(get(r->root, "pad_token_id"), c);
	if (eos && !json_is(eos, JSON_IS_LIST))
		add_eos(r, c, eos);
	for (size_t i = 0; (item = json_at(eos, i)); i++)
		add_eos(r, c, item);
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
	snprintf(found, sizeof found, "%d with hidden_size %d and %d heads", c->head_dim, c->hidden, c->heads);
	if (c->head_dim < 2 || c->head_dim % 2 || (!get(r->root, "head_dim") && c->hidden % c->heads))
		refuse(r, ERR_FORMAT, "head_dim", found, "wanted: an even number that the heads divide");
	if (c->hidden % 2)
		refuse(r, ERR_UNSUPPORTED, "hidden_size", "odd", "wanted: an even number");
	snprintf(found, sizeof found, "%d with %d heads", c->kv_heads, c->heads);
	if (c->heads % c->kv_heads)
		refuse(r, ERR_FORMAT, "num_key_value_heads", found, "wanted: a divisor of num_attention_heads");
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

static bool has(const char *dir, const char *name)
{
	char *path = xprintf("%s/%s", dir, name);
	struct stat st;
	bool there = !stat(path, &st);

	free(path);
	return there;
}

/* Without config.json: says what the place is instead. */
static int refuse_folder(const char *dir, struct why *why)
{
	static const char *const others[][2] = {
		{"snapshots",
		 "this is a folder of the hub's cache; give the folder below snapshots that holds config.json"},
		{"adapter_config.json",
		 "this is an adapter (LoRA), no model; merge it into its base model with peft's merge_and_unload()"},
		{"params.json",
		 "these are the maker's own files; take the download in the form of transformers, which has config.json"}};
	struct stat st;

	if (stat(dir, &st))
		return fail(why, ERR_IO, "%.300s/config.json: %s: there is no directory %.100s", dir, strerror(errno),
			    dir);
	if (!S_ISDIR(st.st_mode))
		return fail(why, ERR_IO,
			    "%.300s: this is a file; give the directory that holds config.json and the weights", dir);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (has(dir, others[i][0]))
			return fail(why, ERR_IO, "%.200s: no config.json, but %s is there: %s", dir, others[i][0],
				    others[i][1]);
	return fail(why, ERR_IO, "%.300s/config.json: No such file or directory", dir);
}

int model_config_read(struct model_config *c, const char *dir, struct why *why)
{
	char *path = xprintf("%s/config.json", dir);
	struct json_doc *doc;
	struct reader r = {.path = path, .c = c, .why = why};
	int err = json_read_file(&doc, path, FILE_CONFIG, why);

	memset(c, 0, sizeof *c);
	if (!err) {
		r.root = json_root(doc);
		read_all(&r, c);
	}
	json_close(doc);
	free(path);
	return err == ERR_UNKNOWN ? refuse_folder(dir, why) : err ? err : r.err;
}
