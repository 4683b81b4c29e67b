/* The body of a request of the gateway, from its bytes to the fields of a call. */
#include <math.h>

#include "rpc/gateway/api/prompts.h"
#include "rpc/gateway/api/request.h"
#include "rpc/gateway/api/chat.h"
#include "rpc/gateway/api/responses_input.h"
#include "rpc/gateway/http/bodies.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

static void check_request(const struct api_request *a, enum api_where where)
{
	const struct xv_sampling *s = &a->sampling;

	MUST(a->n >= 1 && a->n <= API_MAX_N && a->top <= API_MAX_TOP && a->prompt_top <= API_MAX_TOP);
	MUST(s->n_stop <= API_MAX_STOP && s->n_bias <= API_MAX_BIAS && s->n_stop_ids <= API_MAX_IDS);
	MUST(isfinite(s->temperature) && s->temperature >= 0 && s->top_p >= 0 && s->top_p <= 1 && s->top_k >= 0);
	MUST(where != API_COMPLETIONS || s->has >> XV_MAX_TOKENS & 1);
	for (int i = 0; i < s->n_stop; i++)
		MUST(*s->stop[i] && strlen(s->stop[i]) <= RPC_MAX_STOP_BYTES);
	for (int i = 0; i < s->n_bias; i++)
		MUST(s->bias[i].id >= 0 && s->bias[i].value >= -100 && s->bias[i].value <= 100);
	for (int i = 0; i < s->n_allowed; i++)
		MUST(s->allowed[i] >= 0);
	MUST(strnlen(a->ignored, sizeof a->ignored) < sizeof a->ignored);
}

static void read_as(const struct json *body, enum api_where where)
{
	const char *param = NULL;
	struct why why = {""};
	struct api_request a;
	int err = api_request_read(&a, body, where, &param, &why);

	if (err)
		fuzz_refused(err, &why);
	else
		check_request(&a, where);
	api_request_finish(&a);
}

static void read_prompts(const struct json *body)
{
	struct why why = {""};
	struct api_prompts p;
	int err = api_prompts_read(&p, json_get(body, "prompt"), &why);

	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < p.n; i++)
		MUST(p.prompt[i].is_text || (p.prompt[i].n_ids > 0 && p.prompt[i].ids[0] >= 0));
	api_prompts_finish(&p);
}

/* Content that is a list or null is in the message's JSON, which holds nothing but one object. */
static void check_message(const struct xv_message *m)
{
	struct json_error e;
	struct json_doc *doc = *m->json ? json_read(m->json, strlen(m->json), &json_of_files, &e) : NULL;
	const struct json *content = json_get(json_root(doc), "content");

	MUST(*m->role && (!*m->json || json_is(json_root(doc), JSON_IS_OBJECT)));
	MUST(!m->content || !content);
	for (size_t i = 0; i < json_size(content); i++)
		MUST(json_str(json_get(json_at(content, i), "text")));
	json_close(doc);
}

static void read_chat(const struct json *body)
{
	char ignored[512] = "";
	const char *param = NULL;
	struct why why = {""};
	struct api_chat in = {0};
	int err = api_chat_read(&in, body, ignored, &param, &why);

	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < in.chat.n_messages; i++)
		check_message(&in.chat.messages[i]);
	MUST(strnlen(ignored, sizeof ignored) < sizeof ignored);
	api_chat_finish(&in);
}

static void read_responses(const struct json *body)
{
	const char *param = NULL;
	struct why why = {""};
	struct json_doc *chat;
	int err = api_responses_to_chat(&chat, body, &param, &why);

	MUST(param);
	if (err)
		fuzz_refused(err, &why);
	else
		read_chat(json_root(chat));
	json_close(chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_error e = {0};
	struct json_doc *doc = http_read_json((const char *)data, size, &e);

	if (!doc)
		MUST(e.err && *e.text && strnlen(e.text, sizeof e.text) < sizeof e.text);
	if (json_is(json_root(doc), JSON_IS_OBJECT)) {
		read_as(json_root(doc), API_COMPLETIONS);
		read_as(json_root(doc), API_CHAT);
		read_as(json_root(doc), API_RESPONSES);
		read_responses(json_root(doc));
		read_prompts(json_root(doc));
		read_chat(json_root(doc));
	}
	json_close(doc);
	return 0;
}
