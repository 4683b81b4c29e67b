/* openapi.c - GET /openapi.json (OpenAPI 3.0.3), made from the tables of routes and fields. */
#include <string.h>

#include "rpc/gateway/api/request.h"
#include "rpc/gateway/gateway.h"

static json_t *typed(const char *type)
{
	return json_pack("{s:s, s:b}", "type", type, "nullable", 1);
}

static json_t *any(void)
{
	return json_pack("{s:b}", "nullable", 1);
}

static json_t *numeric(const struct ask_field *f, const char *type)
{
	json_t *j = typed(type);

	json_object_set_new(j, "minimum", json_real(f->low));
	json_object_set_new(j, "maximum", json_real(f->high));
	if (f->above_low)
		json_object_set_new(j, "exclusiveMinimum", json_true());
	return j;
}

static json_t *schema_of(const struct ask_field *f)
{
	switch (f->kind) {
	case ASK_FLOAT:
		return numeric(f, "number");
	case ASK_UINT:
	case ASK_INT:
	case ASK_TOP_K:
		return numeric(f, "integer");
	case ASK_SEED:
		return json_pack("{s:s, s:b}", "type", "integer", "nullable", 1);
	case ASK_SWITCH:
	case ASK_BOOL:
		return typed("boolean");
	case ASK_IDS:
		return json_pack("{s:s, s:{s:s, s:i}, s:I, s:I, s:b}", "type", "array", "items", "type", "integer",
				 "minimum", 0, "minItems", (json_int_t)f->low, "maxItems", (json_int_t)f->high,
				 "nullable", 1);
	case ASK_BIAS:
		return json_pack("{s:s, s:{s:s, s:f, s:f}, s:b}", "type", "object", "additionalProperties", "type",
				 "number", "minimum", f->low, "maximum", f->high, "nullable", 1);
	case ASK_USER:
		return typed("string");
	case ASK_STREAM_OPTIONS:
		return typed("object");
	default:
		return any();
	}
}

static void add_unsupported(json_t *properties, enum ask_where where)
{
	int n;
	const struct ask_unsupported *u = ask_unsupported(&n);

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

static json_t *body_of(enum ask_where where, const char *needed)
{
	json_t *properties = json_object();
	int n;
	const struct ask_field *f = ask_fields(&n);

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
	return json_pack("{s:s, s:o, s:[s]}", "type", "object", "properties", properties, "required", needed);
}

static json_t *request_body(const char *path)
{
	json_t *schema;

	if (strstr(path, "chat/completions"))
		schema = body_of(ASK_CHAT, "messages");
	else if (strstr(path, "completions"))
		schema = body_of(ASK_COMPLETIONS, "prompt");
	else if (!strcmp(path, "/tokenize"))
		schema = json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}}, s:[s]}", "type", "object", "properties",
				   "prompt", "type", "string", "add_special_tokens", "type", "boolean",
				   "return_token_strs", "type", "boolean", "required", "prompt");
	else
		schema = json_pack("{s:s, s:{s:{s:s, s:{s:s}}}, s:[s]}", "type", "object", "properties", "tokens",
				   "type", "array", "items", "type", "integer", "required", "tokens");
	return json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content", "application/json", "schema", schema);
}

static json_t *operation(const struct route *r)
{
	json_t *j = json_pack("{s:{s:{s:s}, s:{s:s}}}", "responses", "200", "description", "the answer", "default",
			      "description", "{\"error\": {\"message\", \"type\", \"param\", \"code\"}}");
	bool tail = r->path[strlen(r->path) - 1] == '/';

	if (!strcmp(r->method, "POST") && !tail)
		json_object_set_new(j, "requestBody", request_body(r->path));
	if (tail)
		json_object_set_new(j, "parameters",
				    json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", "id", "in", "path", "required", 1,
					      "schema", "type", "string"));
	if (!r->open)
		json_object_set_new(j, "security", json_pack("[{s:[]}]", "key"));
	return j;
}

json_t *openapi_document(void)
{
	json_t *paths = json_object();
	int n;
	const struct route *r = route_all(&n);

	for (int i = 1; i < n; i++) { /* all but the page */
		bool tail = r[i].path[strlen(r[i].path) - 1] == '/';
		json_t *path = json_sprintf("%s%s%s", r[i].path, tail ? "{id}" : "",
					    tail && !strcmp(r[i].method, "POST") ? "/cancel" : "");
		const char *name = json_string_value(path), *method = r[i].method;
		if (!json_object_get(paths, name))
			json_object_set_new(paths, name, json_object());
		json_object_set_new(json_object_get(paths, name),
				    *method == 'G'   ? "get"
				    : *method == 'P' ? "post"
						     : "delete",
				    operation(&r[i]));
		json_decref(path);
	}
	return json_pack("{s:s, s:{s:s, s:s}, s:o, s:{s:{s:{s:s, s:s}}}}", "openapi", "3.0.3", "info", "title",
			 "xverse-gateway", "version", XV_VERSION, "paths", paths, "components", "securitySchemes",
			 "key", "type", "http", "scheme", "bearer");
}

void get_openapi(struct exchange *x)
{
	answer_json(x, 200, openapi_document());
}
