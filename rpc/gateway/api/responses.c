/* responses.c - POST /v1/responses: OpenAI's Responses API, of which nothing is stored here. */
#include <string.h>

#include "rpc/gateway/api/constraint.h"
#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/generate.h"
#include "rpc/gateway/api/responses_form.h"
#include "rpc/gateway/api/responses_input.h"
#include "rpc/gateway/api/schema.h"
#include "rpc/gateway/http/answer.h"

/* What else could be included is of tools that are refused, except reasoning.encrypted_content: the text itself is in
 * the answer. */
static int read_include(struct api_request *a, const struct json *v, struct why *why)
{
	if (!json_none(v) && !json_is(v, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "include must be a list, not %s", json_kind_name(v));
	for (size_t i = 0; i < json_size(v); i++) {
		const char *name = json_str(json_at(v, i));
		if (!name)
			return fail(why, ERR_INVALID, "include[%zu] must be a string, not %s", i,
				    json_kind_name(json_at(v, i)));
		if (!strcmp(name, "message.output_text.logprobs") && a->top < 0) {
			a->top = 0;
			a->sampling.logprobs = 0;
			a->sampling.has |= 1u << XV_LOGPROBS;
		}
	}
	return 0;
}

static int read_text(struct api_request *a, const struct json *v, struct why *why)
{
	if (!json_none(v) && !json_is(v, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "text must be an object, not %s", json_kind_name(v));
	if (!json_none(json_get(v, "verbosity")))
		api_note_ignored(a->ignored, "text.", "verbosity");
	return api_constraint_read_format(a, "text.format", json_get(v, "format"), why);
}

static int read_request(struct api_request *a, const struct json *body, const char **param, struct why *why)
{
	const struct json *metadata = json_get(body, "metadata");
	int err = api_request_read(a, body, API_RESPONSES, param, why);

	if (!err)
		err = read_include(a, json_get(body, *param = "include"), why);
	if (!err)
		err = read_text(a, json_get(body, *param = "text"), why);
	if (err)
		return err;
	*param = "metadata";
	if (!json_none(metadata) && !json_is(metadata, JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "metadata must be an object, not %s", json_kind_name(metadata));
	return 0;
}

static int read_chat(struct api_generation *w, const struct json *body, const char **param, struct why *why)
{
	struct json_doc *chat;
	int err = api_responses_to_chat(&chat, body, param, why);

	if (!err) {
		err = api_chat_read(&w->chat, json_root(chat), w->request.ignored, param, why);
		if (err && !strcmp(*param, "messages"))
			*param = "input";
	}
	json_close(chat);
	return err;
}

void api_responses(struct http_exchange *x)
{
	struct api_generation *w = api_generation_create(x);
	const char *param = NULL;
	struct why why = {""};
	int err;

	if (!w)
		return;
	w->is_chat = true;
	api_responses_begin(w, http_body(x));
	err = read_request(&w->request, http_body(x), &param, &why);
	if (!err)
		err = read_chat(w, http_body(x), &param, &why);
	http_answer_ignored(x, w->request.ignored);
	if (err)
		http_answer_error(x, 400, NULL, param, "%s", why.text);
	else
		api_generate(w);
}

json_t *api_responses_schema(void)
{
	return api_body_schema(API_RESPONSES, "input");
}
