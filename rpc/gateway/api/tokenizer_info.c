#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

static json_t *name_or_null(const char *name)
{
	return *name ? json_string(name) : json_null();
}

void api_tokenizer_info(struct http_exchange *x)
{
	const struct api_upstream *u = api_upstream_for_model(x);
	const struct xv_status *s;

	if (!u)
		return;
	s = gateway_daemon_status(u->daemon);
	if (!s || !*s->tokenizer) {
		http_answer_error(x, s ? 404 : 503, s ? "not_found" : "loading", NULL, "%s",
				  s ? "this model has no tokenizer: prompts are token ids"
				    : "the daemon has not responded yet");
		return;
	}
	http_answer_json(x, 200,
			 json_pack("{s:s, s:i, s:o, s:o}", "tokenizer_class", s->tokenizer, "vocab_size", (int)s->vocab,
				   "bos_token", name_or_null(s->bos_token), "eos_token", name_or_null(s->eos_token)));
}
