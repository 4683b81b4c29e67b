#include "rpc/gateway/api/openapi.h"

#include <string.h>

#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/http/answer.h"

static json_t *operation(const struct http_route *r)
{
	json_t *j = json_pack("{s:{s:{s:s}, s:{s:s}}}", "responses", "200", "description", "the answer", "default",
			      "description", "{\"error\": {\"message\", \"type\", \"param\", \"code\"}}");

	if (r->schema)
		json_object_set_new(j, "requestBody",
				    json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content", "application/json",
					      "schema", r->schema()));
	if (r->tail)
		json_object_set_new(j, "parameters",
				    json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", "id", "in", "path", "required", 1,
					      "schema", "type", "string"));
	if (!(r->flags & HTTP_NO_KEY))
		json_object_set_new(j, "security", json_pack("[{s:[]}]", "key"));
	return j;
}

static const char *method_key(const struct http_route *r)
{
	return *r->method == 'G' ? "get" : *r->method == 'P' ? "post" : "delete";
}

static void add_route(json_t *paths, const struct http_route *r)
{
	json_t *path = json_sprintf("%s%s", r->path, r->tail ? r->tail : "");
	const char *name = json_string_value(path);

	if (!json_object_get(paths, name))
		json_object_set_new(paths, name, json_object());
	json_object_set_new(json_object_get(paths, name), method_key(r), operation(r));
	json_decref(path);
}

json_t *api_openapi_document(const struct http_route *routes, int n)
{
	json_t *paths = json_object();

	for (int i = 0; i < n; i++)
		if (!(routes[i].flags & HTTP_UNLISTED))
			add_route(paths, &routes[i]);
	return json_pack("{s:s, s:{s:s, s:s}, s:o, s:{s:{s:{s:s, s:s}}}}", "openapi", "3.0.3", "info", "title",
			 "xverse-gateway", "version", XV_VERSION, "paths", paths, "components", "securitySchemes",
			 "key", "type", "http", "scheme", "bearer");
}

void api_openapi(struct http_exchange *x)
{
	int n;
	const struct http_route *routes = http_routes(x, &n);

	http_answer_json(x, 200, api_openapi_document(routes, n));
}
