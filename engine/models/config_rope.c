/* config_rope.c - rotary positions as config.json of transformers 4 and 5 describe them. */
#include "engine/models/fields.h"
#include "engine/models/rope.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Reads "rope_type", in older files "type". Where they differ, transformers 5 uses the former and 4 the latter. */
static const char *scaling_type(struct config_reader *r, const struct json *s)
{
	const struct json *given = field(r, s, field(r, s, "rope_type") ? "rope_type" : "type");
	const char *type = json_str(field(r, s, "rope_type")), *old = json_str(field(r, s, "type"));

	if (given && !json_str(given))
		field_refuse(r, ERR_FORMAT, "rope_type", json_kind_name(given),
			     "it must be a name: linear, llama3, yarn, dynamic, longrope");

	if (type && old && strcmp(type, old))
		field_note(
			r,
			"the rotary scaling has \"rope_type\" %.40s and \"type\" %.40s: the former is used, as transformers 5 does",
			type, old);
	if (!type)
		type = old;
	if (!type && (field(r, s, "factor") || field(r, s, "low_freq_factor")))
		field_note(r, "the rotary scaling has no \"rope_type\": it is not applied, as in transformers 5");
	return type ? type : "default";
}

/* The length that the model was first trained with. */
static void read_original(struct config_reader *r, struct model_config *c, const struct json *s, const char *type)
{
	const char *key = "original_max_position_embeddings";
	const struct json *own = field(r, s, key), *outer = field(r, r->root, key);

	c->rope_original = field_number(r, outer ? r->root : s, key, 1, 1e9, c->max_pos);
	if (outer && own && !json_same(own, outer))
		field_note(
			r,
			"\"%s\" is %.0f in the model's config and %.0f in its rotary scaling: the former is used, as transformers 5 does",
			key, json_num(outer), json_num(own));
	if (!own && !outer)
		field_note(
			r,
			"the %s scaling has no \"%s\": \"max_position_embeddings\", %d, is used, as transformers 5 does",
			type, key, c->max_pos);
}

static void read_llama3(struct config_reader *r, struct model_config *c, const struct json *s)
{
	c->scaling = ROPE_LLAMA3;
	c->rope_factor = field_number(r, s, "factor", 1, 1e6, NAN);
	c->rope_low = field_number(r, s, "low_freq_factor", 1e-6, 1e6, NAN);
	c->rope_high = field_number(r, s, "high_freq_factor", 1e-6, 1e6, NAN);
	read_original(r, c, s, "llama3");
	if (!r->err && c->rope_high <= c->rope_low)
		field_refuse(r, ERR_FORMAT, "rope_scaling", "without room between low_freq_factor and high_freq_factor",
			     "low must be below high");
}

static double log_scale(double factor, double m)
{
	return factor <= 1 ? 1 : 0.1 * m * rope_log(factor) + 1;
}

/* YaRN (arXiv:2309.00071), with the names and defaults of transformers. 0 and null of the optional keys mean absent
 * there. */
static void read_yarn(struct config_reader *r, struct model_config *c, const struct json *s)
{
	double factor = field_number(r, s, "factor", 1, 1e6, NAN), m = field_number(r, s, "mscale", 0, 100, 0),
	       all = field_number(r, s, "mscale_all_dim", 0, 100, 0),
	       fallback = m > 0 && all > 0 ? log_scale(factor, m) / log_scale(factor, all) : log_scale(factor, 1);
	double fast = field_number(r, s, "beta_fast", 0, 1e6, 32), slow = field_number(r, s, "beta_slow", 0, 1e6, 1);

	c->scaling = ROPE_YARN;
	c->rope_factor = factor;
	c->rope_high = fast > 0 ? fast : 32;
	c->rope_low = slow > 0 ? slow : 1;
	c->rope_attention = field_number(r, s, "attention_factor", 1e-3, 1e3, fallback);
	c->rope_truncate = !json_is(field(r, s, "truncate"), JSON_IS_BOOL) || json_yes(field(r, s, "truncate"));
	read_original(r, c, s, "yarn");
	if (!r->err && c->rope_high <= c->rope_low)
		field_refuse(r, ERR_FORMAT, "rope_scaling", "without room between beta_slow and beta_fast",
			     "beta_slow must be below beta_fast");
	if (c->rope_theta <= 1)
		field_refuse(r, ERR_FORMAT, "rope_theta", "1", "yarn needs a base above 1");
}

static void read_factors(struct config_reader *r, const struct json *s, const char *key, int n,
			 float out[MODEL_MAX_PAIRS])
{
	const struct json *list = field(r, s, key);
	char found[64];

	snprintf(found, sizeof found, "a list of %zu for %d pairs of dimensions", json_size(list), n);
	if (!json_is(list, JSON_IS_LIST) || json_size(list) != (size_t)n)
		field_refuse(r, ERR_FORMAT, key, json_is(list, JSON_IS_LIST) ? found : json_kind_name(list),
			     "it must list a factor for each pair");
	for (int i = 0; i < n && !r->err; i++) {
		double x = json_num(json_at(list, (size_t)i));
		if (!(x >= 1e-3 && x <= 1e6))
			field_refuse(r, ERR_FORMAT, key, "a list with another member than a number from 0.001 to 1e6",
				     "it must list a factor for each pair");
		out[i] = (float)x;
	}
}

/* LongRoPE (arXiv:2402.13753), with the names and defaults of transformers 5. */
static void read_longrope(struct config_reader *r, struct model_config *c, const struct json *s)
{
	double factor, fallback = 1;
	int pairs = model_n_rot(c) / 2;

	c->scaling = ROPE_LONGROPE;
	read_original(r, c, s, "longrope");
	if (r->err)
		return;
	read_factors(r, s, "short_factor", pairs, c->rope_short);
	read_factors(r, s, "long_factor", pairs, c->rope_long);
	factor = field_number(r, s, "factor", 1e-6, 1e6, c->max_pos / c->rope_original);
	if (factor > 1 && c->rope_original > 1)
		fallback = sqrt(1 + rope_log(factor) / rope_log(c->rope_original));
	c->rope_attention = field_number(r, s, "attention_factor", 1e-3, 1e3, fallback);
}

/* Phi-3's older files name it otherwise. */
static bool is_longrope(struct config_reader *r, const struct json *s, const char *type)
{
	return !strcmp(type, "longrope") || !strcmp(type, "su") ||
	       (!strcmp(type, "yarn") && field(r, s, "short_factor"));
}

static void read_scaling(struct config_reader *r, struct model_config *c, const struct json *s)
{
	const char *type = scaling_type(r, s);
	char found[96];

	if (!strcmp(type, "default"))
		return;
	if (!strcmp(type, "linear")) {
		c->scaling = ROPE_LINEAR;
		c->rope_factor = field_number(r, s, "factor", 1, 1e6, NAN);
	} else if (!strcmp(type, "llama3")) {
		read_llama3(r, c, s);
	} else if (is_longrope(r, s, type)) {
		read_longrope(r, c, s);
	} else if (!strcmp(type, "yarn")) {
		read_yarn(r, c, s);
	} else if (!strcmp(type, "dynamic")) {
		c->scaling = ROPE_DYNAMIC;
		c->rope_factor = field_number(r, s, "factor", 1, 1e6, NAN);
	} else {
		snprintf(found, sizeof found, "%.80s", type);
		field_refuse(r, ERR_UNSUPPORTED, "rope_scaling", found,
			     "supported: linear, llama3, yarn, dynamic, longrope");
	}
}

/* Returns the object with the rotary settings: "rope_scaling" unless it is empty, else "rope_parameters" of
 * transformers 5. */
static const struct json *rope_object(struct config_reader *r)
{
	const struct json *old = field(r, r->root, "rope_scaling"), *parameters = field(r, r->root, "rope_parameters");
	const struct json_member *m;

	if (old && !json_is(old, JSON_IS_OBJECT))
		field_refuse(r, ERR_FORMAT, "rope_scaling", json_kind_name(old), "it must be an object");
	if (parameters && !json_is(parameters, JSON_IS_OBJECT))
		field_refuse(r, ERR_FORMAT, "rope_parameters", json_kind_name(parameters), "it must be an object");
	if (json_size(old) && json_size(parameters) && !json_same(old, parameters))
		field_note(r,
			   "\"rope_scaling\" and \"rope_parameters\" differ: the former is used, as transformers does");
	if (json_size(old))
		parameters = old;
	for (size_t i = 0; (m = json_member(parameters, i)); i++)
		if (json_is(&m->value, JSON_IS_OBJECT))
			field_refuse(r, ERR_UNSUPPORTED, "rope_parameters", "given by kinds of layers",
				     "it must be the same for all layers");
	return parameters;
}

/* The share of a head that is rotated, in a class that has one. */
static void read_part(struct config_reader *r, struct model_config *c, const struct json *s,
		      const struct rope_keys *keys)
{
	const char *key = "partial_rotary_factor";
	char found[64];
	double part;

	if (!keys->part || r->err)
		return;
	if (field(r, s, key))
		part = field_number(r, s, key, 0, 1, NAN);
	else if (field(r, r->root, key))
		part = field_number(r, r->root, key, 0, 1, NAN);
	else
		part = field_number(r, r->root, keys->part, 0, 1, keys->fallback_part);
	c->n_rot = (int)(c->head_dim * part);
	snprintf(found, sizeof found, "%g of heads of %d", part, c->head_dim);
	if (!r->err && (c->n_rot < 2 || c->n_rot % 2))
		field_refuse(r, ERR_UNSUPPORTED, keys->part, found, "it must be an even number of dimensions");
}

static void note_whole_heads(struct config_reader *r, const struct model_config *c, const struct json *s)
{
	const struct json *part = field(r, s, "partial_rotary_factor");

	if (!part)
		part = field(r, r->root, "partial_rotary_factor");
	if (part && json_num(part) != 1 && c->scaling != ROPE_NONE)
		field_refuse(r, ERR_UNSUPPORTED, "partial_rotary_factor", "set",
			     "scaled positions need a rotation of whole heads");
	else if (part && json_num(part) != 1)
		field_note(
			r,
			"\"partial_rotary_factor\" is ignored, as this class of transformers does: whole heads are rotated");
}

/* As in transformers 5, the base within the rotary parameters overrides that of the config. Version 4 reads only the
 * latter. */
void field_rope(struct config_reader *r, struct model_config *c, const struct rope_keys *keys)
{
	const struct json *s = rope_object(r), *own = field(r, s, "rope_theta"), *outer = field(r, r->root, keys->base);

	double fallback = keys->fallback_base > 0 ? keys->fallback_base : 10000;

	c->rope_theta = field_number(r, own ? s : r->root, own ? "rope_theta" : keys->base, 1, 1e12, fallback);
	if (own && (outer || field(r, r->root, "rope_scaling") == s) &&
	    json_num(own) != (outer ? json_num(outer) : fallback))
		field_note(
			r,
			"\"rope_theta\" is %g in the rotary parameters and %s beside them: the former is used, as transformers 5 does",
			json_num(own), outer ? "another" : "missing");
	read_part(r, c, s, keys);
	if (json_size(s))
		read_scaling(r, c, s);
	if (outer && s == field(r, r->root, "rope_parameters") && c->scaling != ROPE_NONE)
		field_note(
			r,
			"the scaling of \"rope_parameters\" is applied; transformers 4 reads \"rope_theta\" and \"rope_scaling\" only");
	if (!keys->part)
		note_whole_heads(r, c, s);
	if (c->scaling == ROPE_DYNAMIC && model_n_rot(c) < 4)
		field_refuse(r, ERR_UNSUPPORTED, "rope_scaling", "dynamic", "it needs at least 4 rotated dimensions");
}
