#include <stdlib.h>

#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/request.h"
#include "rpc/gateway/api/token_call.h"
#include "rpc/gateway/http/answer.h"
#include "rpc/gateway/http/bodies.h"

void api_detokenize(struct http_exchange *x)
{
	struct xv_request r = {.kind = XV_DETOKENIZE};
	struct api_token_call *c = api_token_call_create(x);
	struct why why;

	if (!c)
		return;
	if (api_read_ids(json_get(http_body(x), "tokens"), "tokens", HTTP_JSON_VALUES, &c->ids, &r.detokenize.n_ids,
			 &why)) {
		http_answer_error(x, 400, NULL, "tokens", "%s", why.text);
		return;
	}
	r.detokenize.ids = c->ids;
	api_token_call_send(c, &r, (size_t)r.detokenize.n_ids * sizeof(int32_t));
	free(c->ids);
	c->ids = NULL;
}

json_t *api_detokenize_schema(void)
{
	return json_pack("{s:s, s:{s:{s:s, s:{s:s}}}, s:[s]}", "type", "object", "properties", "tokens", "type",
			 "array", "items", "type", "integer", "required", "tokens");
}
