/* budget.h - memory of requests: bodies, what is read from them, what their work keeps, responses that are not
 * sent yet. One limit (--max-bodies) covers all together, a share of it each API key, a quarter of it one response. */
#ifndef RPC_GATEWAY_HTTP_BUDGET_H
#define RPC_GATEWAY_HTTP_BUDGET_H

#include <stdint.h>

#include "rpc/gateway/http/exchange.h"

/* What the memory of an exchange is for. */
enum http_budget_part { HTTP_BUDGET_BODY, HTTP_BUDGET_JSON, HTTP_BUDGET_WORK, HTTP_BUDGET_ANSWER, HTTP_BUDGET_PARTS };

void http_budget_init(void); /* malloc's settings; called once, at the start */
/* Sets how many bytes this part of the exchange holds from now on. Returns 0, or the status to refuse with: then
 * nothing changed. Fewer bytes are never refused. */
int http_budget_set(struct http_exchange *x, enum http_budget_part part, int64_t bytes);
const char *http_budget_text(int status); /* why it was refused */

#endif
