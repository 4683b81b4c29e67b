/* routes.h - the table of endpoints, for the HTTP side and for the description. */
#ifndef RPC_GATEWAY_API_ROUTES_H
#define RPC_GATEWAY_API_ROUTES_H

#include "rpc/gateway/http/route.h"

const struct http_route *api_routes(int *n);

#endif
