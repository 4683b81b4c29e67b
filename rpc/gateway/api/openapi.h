/* openapi.h - the description of the endpoints (OpenAPI 3.0.3), made from the tables of routes and fields. */
#ifndef RPC_GATEWAY_API_OPENAPI_H
#define RPC_GATEWAY_API_OPENAPI_H

#include "rpc/gateway/http/route.h"

json_t *api_openapi_document(const struct http_route *routes, int n); /* a new reference */

#endif
