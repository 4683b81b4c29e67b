#include "rpc/cli/batch/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mix.h"

uint64_t batch_hash(const char *bytes, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	return mix64(h);
}

static bool is_openai(const struct json *root)
{
	return json_get(root, "custom_id") || json_get(root, "body");
}

static const struct json *id_in(const struct json *root)
{
	return json_get(root, is_openai(root) ? "custom_id" : "id");
}

static bool cuts_short(const struct json *id)
{
	return json_str(id) && strlen(json_str(id)) < json_len(id);
}

char *batch_line_id(const struct json *root, uint32_t number)
{
	const struct json *id = id_in(root);

	if (json_str(id) && json_len(id) && !cuts_short(id))
		return xstrdup(json_str(id));
	return json_is_int(id) ? json_write(id, NULL, NULL) : xprintf("line-%u", number);
}

const struct json *batch_line_body(const struct json *root)
{
	return is_openai(root) ? json_get(root, "body") : root;
}

/* ---- fields ---- */

/* Fields of the command line count where the line has none. */
static void add_defaults(struct batch_request *q, const struct xv_sampling *d, const struct json *body)
{
	struct xv_sampling *s = &q->request.sampling;
	bool has_max = !json_none(json_get(body, "max_tokens")) || !json_none(json_get(body, "max_completion_tokens"));

	if (!has_max && (!q->openai || d->has >> XV_MAX_TOKENS & 1))
		s->has &= ~(1u << XV_MAX_TOKENS);
	q->whole_context = !has_max && !(d->has >> XV_MAX_TOKENS & 1);
#define COPY(NAME, field) \
	if (!(s->has >> XV_##NAME & 1) && d->has >> XV_##NAME & 1) \
		s->field = d->field, s->has |= 1u << XV_##NAME;
#define REAL(NAME, field, ...) COPY(NAME, field)
#define WHOLE(NAME, type, field, ...) COPY(NAME, field)
#define SWITCH(NAME, field, ...) COPY(NAME, field)
#include "proto/sampling.def"
#undef COPY
	if (!s->n_stop) {
		s->stop = d->stop;
		s->n_stop = d->n_stop;
	}
	if (!s->n_stop_ids) {
		s->stop_ids = d->stop_ids;
		s->n_stop_ids = d->n_stop_ids;
	}
}

/* The same seed for the same id, whatever the order in which lines are computed. */
static void add_seed(struct batch_request *q, const struct json *body, uint64_t seed)
{
	struct xv_sampling *s = &q->request.sampling;

	if (!json_none(json_get(body, "seed")))
		return;
	s->seed = mix64(batch_hash(q->id, strlen(q->id)) + seed * MIX_GOLDEN) >> 1;
	s->has |= 1u << XV_SEED;
}

/* ---- forms ---- */

static int read_url(struct batch_request *q, const struct json *root, struct why *why)
{
	const char *url = json_str(json_get(root, "url")), *method = json_str(json_get(root, "method"));
	const char *what = url ? url + !strncmp(url, "/v1/", 4) * 4 : "";

	if (json_get(root, "method") && (!method || strcmp(method, "POST")))
		return fail(why, ERR_INVALID, "method must be \"POST\"");
	q->chat = url ? !strcmp(what, "chat/completions") : json_get(json_get(root, "body"), "messages") != NULL;
	if (url && !q->chat && strcmp(what, "completions"))
		return fail(why, ERR_UNSUPPORTED, "url: \"%.60s\" is neither /v1/completions nor /v1/chat/completions",
			    url);
	if (!json_is(json_get(root, "body"), JSON_IS_OBJECT))
		return fail(why, ERR_INVALID, "body must be an object, not %s", json_kind_name(json_get(root, "body")));
	return 0;
}

static int read_form(struct batch_request *q, const struct json *root, struct why *why)
{
	bool prompt = json_get(root, "prompt"), messages = json_get(root, "messages");

	if (q->openai)
		return read_url(q, root, why);
	q->chat = messages;
	if (prompt == messages)
		return fail(why, ERR_INVALID,
			    prompt ? "prompt and messages: only one of them may be set"
				   : "neither \"prompt\" nor \"messages\" nor \"body\" is set");
	return 0;
}

static int read_fields(struct batch_request *q, const struct json *body, const struct xv_sampling *d, struct why *why)
{
	const char *param = NULL;
	int err = api_request_read(&q->request, body, q->chat ? API_CHAT : API_COMPLETIONS, &param, why);

	if (!err && q->chat)
		err = api_chat_read(&q->talk, body, q->request.ignored, &param, why);
	else if (!err)
		err = api_prompts_read(&q->prompts, json_get(body, "prompt"), why);
	if (err)
		return err;
	add_defaults(q, d, body);
	add_seed(q, body, d->seed);
	if (q->request.sampling.has >> XV_MAX_TOKENS & 1 && !q->request.sampling.max_tokens)
		return fail(why, ERR_INVALID, "max_tokens must be at least 1");
	q->calls = (q->chat ? 1 : q->prompts.n) * q->request.n;
	if (q->calls > API_MAX_CHOICES)
		return fail(why, ERR_LIMIT, "%d answers (prompts times n), at most %d are allowed", q->calls,
			    API_MAX_CHOICES);
	return 0;
}

/* An answer is found by its id, so one that cannot stand in the output is no reason to make up another silently. */
static int check_id(const struct json *id, const char *name, struct why *why)
{
	if (cuts_short(id))
		return fail(why, ERR_INVALID, "%s holds U+0000", name);
	if (json_none(id) || json_str(id) || json_is_int(id))
		return 0;
	return fail(why, ERR_INVALID, "%s must be a text or an integer, not %s", name, json_kind_name(id));
}

/* As the gateway takes it. */
static int read_model(struct batch_request *q, const struct json *name, struct why *why)
{
	if (json_none(name))
		return 0;
	if (!json_str(name))
		return fail(why, ERR_INVALID, "model must be a string, not %s", json_kind_name(name));
	q->model = xstrdup(json_str(name));
	return 0;
}

int batch_request_read(struct batch_request *q, const char *text, size_t len, uint32_t number,
		       const struct xv_sampling *defaults, struct why *why)
{
	struct json_doc *doc = NULL;
	struct json_error e;
	const struct json *root;
	int err = 0;

	*q = (struct batch_request){.request = {.n = 1, .top = -1, .prompt_top = -1}};
	doc = json_read(text, len, &json_of_files, &e);
	root = json_root(doc);
	q->id = batch_line_id(root, number);
	q->openai = is_openai(root);
	if (!doc)
		err = fail(why, ERR_FORMAT, "column %d: %s", e.column, e.text);
	else if (!json_is(root, JSON_IS_OBJECT))
		err = fail(why, ERR_INVALID, "the line must be an object, not %s", json_kind_name(root));
	if (!err)
		err = check_id(id_in(root), q->openai ? "custom_id" : "id", why);
	if (!err)
		err = read_form(q, root, why);
	if (!err)
		err = read_fields(q, batch_line_body(root), defaults, why);
	if (!err)
		err = read_model(q, json_get(batch_line_body(root), "model"), why);
	json_close(doc);
	return err;
}

void batch_request_finish(struct batch_request *q)
{
	free(q->id);
	free(q->model);
	api_request_finish(&q->request);
	api_prompts_finish(&q->prompts);
	api_chat_finish(&q->talk);
}

/* Answer 0 samples with the seed itself, as the gateway does. */
static uint64_t seed_of(uint64_t seed, int i)
{
	return i ? mix64(seed + (uint64_t)i * MIX_GOLDEN) : seed;
}

void batch_request_fill(const struct batch_request *q, int i, struct xv_request *r)
{
	struct xv_sampling s = q->request.sampling;
	const char *user = q->request.user ? q->request.user : "";

	s.seed = seed_of(s.seed, i % q->request.n);
	if (q->chat) {
		*r = (struct xv_request){.kind = XV_CHAT, .chat = q->talk.chat};
		r->chat.sampling = s;
		r->chat.user = user;
		return;
	}
	*r = (struct xv_request){.kind = XV_GENERATE};
	r->generate.prompt = q->prompts.prompt[i / q->request.n];
	r->generate.sampling = s;
	r->generate.echo = q->request.echo;
	r->generate.user = user;
}
