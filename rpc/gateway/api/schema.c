#include "rpc/gateway/api/schema.h"

#include "rpc/gateway/api/unsupported.h"

static json_t *typed(const char *type)
{
	return json_pack("{s:s, s:b}", "type", type, "nullable", 1);
}

static json_t *any(void)
{
	return json_pack("{s:b}", "nullable", 1);
}

static json_t *numeric(const struct api_field *f, const char *type)
{
	json_t *j = typed(type);

	json_object_set_new(j, "minimum", json_real(f->low));
	json_object_set_new(j, "maximum", json_real(f->high));
	if (f->above_low)
		json_object_set_new(j, "exclusiveMinimum", json_true());
	return j;
}

static json_t *schema_of(const struct api_field *f)
{
	switch (f->kind) {
	case API_FLOAT:
		return numeric(f, "number");
	case API_UINT:
	case API_INT:
	case API_TOP_K:
		return numeric(f, "integer");
	case API_SEED:
		return json_pack("{s:s, s:b}", "type", "integer", "nullable", 1);
	case API_SWITCH:
	case API_BOOL:
		return typed("boolean");
	case API_IDS:
		return json_pack("{s:s, s:{s:s, s:i}, s:I, s:I, s:b}", "type", "array", "items", "type", "integer",
				 "minimum", 0, "minItems", (json_int_t)f->low, "maxItems", (json_int_t)f->high,
				 "nullable", 1);
	case API_BIAS:
		return json_pack("{s:s, s:{s:s, s:f, s:f}, s:b}", "type", "object", "additionalProperties", "type",
				 "number", "minimum", f->low, "maximum", f->high, "nullable", 1);
	case API_USER:
		return typed("string");
	case API_STREAM_OPTIONS:
		return typed("object");
	default:
		return any();
	}
}

static void add_unsupported(json_t *properties, enum api_where where)
{
	int n;
	const struct api_unsupported *u = api_unsupported_fields(&n);

	for (int i = 0; i < n; i++) {
		json_t *s = any();
		if (!(u[i].where & (int)where)) {
			json_decref(s);
			continue;
		}
		json_object_set_new(s, "description",
				    json_sprintf("not supported; only null%s%s%s%s", u[i].neutral ? "|" : "",
						 u[i].neutral ? u[i].neutral : "", u[i].instead ? "; " : "",
						 u[i].instead ? u[i].instead : ""));
		json_object_set_new(properties, u[i].name, s);
	}
}

json_t *api_body_schema(enum api_where where, const char *required)
{
	json_t *properties = json_object();
	int n;
	const struct api_field *f = api_fields(&n);

	add_unsupported(properties, where);

	for (int i = 0; i < n; i++) {
		json_t *s;
		if (!(f[i].where & (int)where))
			continue;
		s = schema_of(&f[i]);
		if (f[i].text)
			json_object_set_new(s, "description", json_string(f[i].text));
		json_object_set_new(properties, f[i].name, s);
	}
	return json_pack("{s:s, s:o, s:[s]}", "type", "object", "properties", properties, "required", required);
}
