#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/generate.h"
#include "rpc/gateway/api/schema.h"
#include "rpc/gateway/http/answer.h"

void api_chat_completions(struct http_exchange *x)
{
	struct api_generation *w = api_generation_create(x);
	const char *param = NULL;
	struct why why = {""};
	int err;

	if (!w)
		return;
	w->is_chat = true;
	err = api_request_read(&w->request, http_body(x), API_CHAT, &param, &why);
	if (!err)
		err = api_chat_read(&w->chat, http_body(x), w->request.ignored, &param, &why);
	http_answer_ignored(x, w->request.ignored);
	if (err)
		http_answer_error(x, 400, NULL, param, "%s", why.text);
	else
		api_generate(w);
}

json_t *api_chat_completions_schema(void)
{
	return api_body_schema(API_CHAT, "messages");
}
