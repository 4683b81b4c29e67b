#include "rpc/gateway/api/routes.h"

#include "rpc/gateway/api/endpoints.h"

#define ROUTE(method, path, tail, flags, endpoint) {method, path, tail, flags, endpoint, NULL},
#define JSON_ROUTE(path, endpoint, schema) {"POST", path, NULL, HTTP_JSON, endpoint, schema},
static const struct http_route routes[] = {
#include "rpc/gateway/api/routes.def"
};

const struct http_route *api_routes(int *n)
{
	*n = sizeof routes / sizeof *routes;
	return routes;
}
