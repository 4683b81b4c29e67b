#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/generate.h"
#include "rpc/gateway/api/schema.h"
#include "rpc/gateway/http/answer.h"

void api_completions(struct http_exchange *x)
{
	struct api_generation *w = api_generation_create(x);
	const char *param = NULL;
	struct why why = {""};
	int err;

	if (!w)
		return;
	err = api_request_read(&w->request, http_body(x), API_COMPLETIONS, &param, &why);
	http_answer_ignored(x, w->request.ignored);
	if (!err) {
		param = "prompt";
		err = api_prompts_read(&w->prompts, json_get(http_body(x), "prompt"), &why);
	}
	if (err)
		http_answer_error(x, 400, NULL, param, "%s", why.text);
	else
		api_generate(w);
}

json_t *api_completions_schema(void)
{
	return api_body_schema(API_COMPLETIONS, "prompt");
}
