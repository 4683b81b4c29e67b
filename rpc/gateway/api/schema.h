/* schema.h - a body of generation requests as OpenAPI describes it. */
#ifndef RPC_GATEWAY_API_SCHEMA_H
#define RPC_GATEWAY_API_SCHEMA_H

#include <jansson.h>

#include "rpc/gateway/api/fields.h"

/* A new reference. `required` is the field that must be there. */
json_t *api_body_schema(enum api_where where, const char *required);

#endif
