/* refused.c - endpoints of other APIs that clients try, refused by name. */
#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/http/answer.h"

void api_refused_stored_response(struct http_exchange *x)
{
	http_answer_error(x, 404, "not_found", NULL, "no response is stored: keep what /v1/responses answers");
}

void api_refused_messages(struct http_exchange *x)
{
	http_answer_error(x, 404, "unsupported", NULL,
			  "Anthropic's Messages API is not supported: use /v1/chat/completions");
}
