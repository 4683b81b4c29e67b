#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/token_call.h"
#include "rpc/gateway/http/answer.h"

/* Reads a field; null and absent are the same. Returns false where it answered with an error. */
static bool read_bool(struct http_exchange *x, const char *name, bool fallback, bool *out)
{
	const struct json *v = json_get(http_body(x), name);

	*out = json_none(v) ? fallback : json_yes(v);
	if (json_none(v) || json_is(v, JSON_IS_BOOL))
		return true;
	http_answer_error(x, 400, NULL, name, "%s must be true or false, not %s", name, json_kind_name(v));
	return false;
}

static void tokenize_chat(struct api_token_call *c)
{
	struct xv_request r = {.kind = XV_TEMPLATE};
	char ignored[512] = "";
	const char *param = NULL;
	struct why why;
	int err = api_chat_read(&c->chat, http_body(c->x), ignored, &param, &why);

	http_answer_ignored(c->x, ignored);
	if (err) {
		http_answer_error(c->x, 400, NULL, param, "%s", why.text);
		return;
	}
	r.chat = c->chat.chat;
	api_token_call_send(c, &r, c->chat.bytes);
	api_chat_finish(&c->chat);
}

void api_tokenize(struct http_exchange *x)
{
	const struct json *prompt = json_get(http_body(x), "prompt");
	struct xv_request r = {.kind = XV_TOKENIZE};
	struct api_token_call *c = api_token_call_create(x);

	if (!c)
		return;
	if (!json_none(json_get(http_body(x), "messages"))) {
		tokenize_chat(c);
		return;
	}
	if (!json_str(prompt)) {
		http_answer_error(x, 400, NULL, "prompt", "prompt must be a string, not %s", json_kind_name(prompt));
		return;
	}
	if (!read_bool(x, "return_token_strs", false, &c->strings) ||
	    !read_bool(x, "add_special_tokens", true, &r.tokenize.add_special))
		return;
	r.tokenize.text = json_str(prompt);
	r.tokenize.text_len = json_len(prompt);
	r.tokenize.parse_special = true;
	r.tokenize.pieces = c->strings;
	api_token_call_send(c, &r, json_len(prompt));
}

json_t *api_tokenize_schema(void)
{
	return json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}}, s:[s]}", "type", "object", "properties", "prompt",
			 "type", "string", "add_special_tokens", "type", "boolean", "return_token_strs", "type",
			 "boolean", "required", "prompt");
}
