/* asker.h - the name of a client within its API key. The daemon schedules turns by both. */
#ifndef RPC_GATEWAY_API_ASKER_H
#define RPC_GATEWAY_API_ASKER_H

#include "rpc/gateway/http/exchange.h"

/* By the request's "user"; NULL or "": by the client's address. */
void api_name_asker(const struct http_exchange *x, const char *user, char out[129]);

#endif
