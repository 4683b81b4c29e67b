/* endpoints.h - the functions that the rows of routes.def name. */
#ifndef RPC_GATEWAY_API_ENDPOINTS_H
#define RPC_GATEWAY_API_ENDPOINTS_H

#include "rpc/gateway/http/route.h"

#define ROUTE(method, path, tail, flags, endpoint) http_endpoint endpoint;
#define JSON_ROUTE(path, endpoint, schema) \
	http_endpoint endpoint; \
	http_schema schema;
#include "rpc/gateway/api/routes.def"
#undef ROUTE
#undef JSON_ROUTE

#endif
