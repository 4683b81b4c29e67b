/* read_json.c - reads JSON text as the values that templates take. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"
#include "engine/template/template.h"

enum { DEPTH = 256 }; /* above the depth that a template accepts */

static const struct json_rules rules = {
	.depth = DEPTH, .values = 1 << 22, .bytes = (size_t)256 << 20, .last = true, .special = true, .lone = true};

static json_t *value_of(const struct json *v);

static json_t *object_of(const struct json *v)
{
	json_t *j = json_object();
	const struct json_member *m;

	for (size_t i = 0; (m = json_member(v, i)); i++)
		json_object_setn_new_nocheck(j, m->key, m->key_len, value_of(&m->value));
	return j;
}

static json_t *list_of(const struct json *v)
{
	json_t *j = json_array();
	const struct json *one;

	for (size_t i = 0; (one = json_at(v, i)); i++)
		json_array_append_new(j, value_of(one));
	return j;
}

/* Makes a number that jansson cannot hold. */
static json_t *number(const char *digits, size_t len)
{
	char *text = xalloc(len + 1, 1);
	json_t *j;

	*text = TEMPLATE_NUMBER;
	memcpy(text + 1, digits, len);
	j = json_stringn_nocheck(text, len + 1);
	free(text);
	return j;
}

static json_t *real(double x)
{
	const char *name = isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity";

	return isfinite(x) ? json_real(x) : number(name, strlen(name));
}

static json_t *value_of(const struct json *v)
{
	switch ((enum json_kind)v->kind) {
	case JSON_IS_NULL:
		return json_null();
	case JSON_IS_BOOL:
		return json_boolean(v->yes);
	case JSON_IS_INTEGER:
		return json_integer(v->integer);
	case JSON_IS_BIG:
		return number(v->text, v->n);
	case JSON_IS_REAL:
		return real(v->real);
	case JSON_IS_TEXT:
		return json_stringn_nocheck(v->text, v->n);
	case JSON_IS_LIST:
		return list_of(v);
	case JSON_IS_OBJECT:
		return object_of(v);
	}
	return NULL;
}

int template_read_json(json_t **out, const char *text, size_t len, const char *name, struct why *why)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, len, &rules, &e);

	*out = NULL;
	if (!doc) {
		json_why(why, &e, name);
		return ERR_INVALID;
	}
	*out = value_of(json_root(doc));
	json_close(doc);
	return 0;
}
