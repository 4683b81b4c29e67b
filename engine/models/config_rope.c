/* config_rope.c - rotary positions as config.json of transformers 4 and 5 describe them. */
#include "engine/models/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Reads "rope_type", in older files "type". Where they differ, transformers 5 uses the former and 4 the latter. */
static const char *scaling_type(struct config_reader *r, const struct json *s)
{
	const char *type = json_str(field(s, "rope_type")), *old = json_str(field(s, "type"));

	if (type && old && strcmp(type, old))
		field_note(
			r,
			"the rotary scaling has \"rope_type\" %.40s and \"type\" %.40s: the former is used, as transformers 5 does",
			type, old);
	if (!type)
		type = old;
	if (!type && (field(s, "factor") || field(s, "low_freq_factor")))
		field_note(r, "the rotary scaling has no \"rope_type\": it is not applied, as in transformers 5");
	return type ? type : "default";
}

static void read_llama3(struct config_reader *r, struct model_config *c, const struct json *s)
{
	const char *key = "original_max_position_embeddings";
	const struct json *own = field(s, key), *outer = field(r->root, key);

	c->scaling = ROPE_LLAMA3;
	c->rope_factor = field_number(r, s, "factor", 1, 1e6, NAN);
	c->rope_low = field_number(r, s, "low_freq_factor", 1e-6, 1e6, NAN);
	c->rope_high = field_number(r, s, "high_freq_factor", 1e-6, 1e6, NAN);
	c->rope_original = field_number(r, outer ? r->root : s, key, 1, 1e9, c->max_pos);
	if (outer && own && !json_same(own, outer))
		field_note(
			r,
			"\"%s\" is %.0f in the model's config and %.0f in its rotary scaling: the former is used, as transformers 5 does",
			key, json_num(outer), json_num(own));
	if (!own && !outer)
		field_note(
			r,
			"the llama3 scaling has no \"%s\": \"max_position_embeddings\", %d, is used, as transformers 5 does",
			key, c->max_pos);
	if (!r->err && c->rope_high <= c->rope_low)
		field_refuse(r, ERR_FORMAT, "rope_scaling", "without room between low_freq_factor and high_freq_factor",
			     "low must be below high");
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
	} else {
		snprintf(found, sizeof found, "%.80s", type);
		field_refuse(r, ERR_UNSUPPORTED, "rope_scaling", found, "supported: linear, llama3");
	}
}

/* Returns the object with the rotary settings: "rope_scaling" unless it is empty, else "rope_parameters" of
 * transformers 5. */
static const struct json *rope_object(struct config_reader *r)
{
	const struct json *old = field(r->root, "rope_scaling"), *parameters = field(r->root, "rope_parameters");
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

/* As in transformers 5, the base within the rotary parameters overrides that of the config. Version 4 reads only the
 * latter. */
void field_rope(struct config_reader *r, struct model_config *c)
{
	const struct json *s = rope_object(r), *own = field(s, "rope_theta"), *outer = field(r->root, "rope_theta");
	const struct json *part = field(s, "partial_rotary_factor");

	c->rope_theta = field_number(r, own ? s : r->root, "rope_theta", 1, 1e12, 10000);
	if (own && (outer || field(r->root, "rope_scaling") == s) && json_num(own) != (outer ? json_num(outer) : 10000))
		field_note(
			r,
			"\"rope_theta\" is %g in the rotary parameters and %s beside them: the former is used, as transformers 5 does",
			json_num(own), outer ? "another" : "missing");
	if (json_size(s))
		read_scaling(r, c, s);
	if (outer && s == field(r->root, "rope_parameters") && c->scaling != ROPE_NONE)
		field_note(
			r,
			"the scaling of \"rope_parameters\" is applied; transformers 4 reads \"rope_theta\" and \"rope_scaling\" only");
	if (!part)
		part = field(r->root, "partial_rotary_factor");
	if (part && json_num(part) != 1 && c->scaling != ROPE_NONE)
		field_refuse(r, ERR_UNSUPPORTED, "partial_rotary_factor", "set",
			     "scaled positions need a rotation of whole heads");
	else if (part && json_num(part) != 1)
		field_note(
			r,
			"\"partial_rotary_factor\" is ignored, as this class of transformers does: whole heads are rotated");
}
