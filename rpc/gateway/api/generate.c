#include "rpc/gateway/api/generate.h"

#include <stdlib.h>
#include <string.h>

#include "base/mix.h"
#include "rpc/gateway/api/errors.h"
#include "rpc/gateway/api/asker.h"
#include "rpc/gateway/api/render.h"
#include "rpc/gateway/http/answer.h"
#include "rpc/gateway/http/budget.h"
#include "rpc/gateway/http/stream.h"

/* Choice 0 samples with the seed itself, so that n = 1 gives the same choice. */
static uint64_t derive_seed(uint64_t seed, int i)
{
	return i ? mix64(seed + (uint64_t)i * MIX_GOLDEN) : seed;
}

static void fill_request(struct api_generation *w, const struct api_choice *c, struct xv_request *r)
{
	struct xv_sampling s = w->request.sampling;
	const char *user = w->request.user ? w->request.user : "", *adapter = w->up->adapter ? w->up->adapter : "";

	if (s.has >> XV_SEED & 1)
		s.seed = derive_seed(s.seed, c->index % w->request.n);
	if (w->prompt_only)
		s.max_tokens = 1;
	if (w->is_chat) {
		*r = (struct xv_request){.kind = XV_CHAT, .chat = w->chat.chat};
		r->chat.sampling = s;
		r->chat.user = user;
		r->chat.adapter = adapter;
		return;
	}
	*r = (struct xv_request){.kind = XV_GENERATE};
	r->generate.prompt = w->prompts.prompt[c->index / w->request.n];
	r->generate.sampling = s;
	/* The daemon returns a prompt's ids only with echo. */
	r->generate.echo = w->request.echo || w->request.return_ids;
	r->generate.user = user;
	r->generate.adapter = adapter;
}

static struct api_choice *next_waiting(struct api_generation *w)
{
	uint64_t now = now_ns();

	while (w->first_waiting < w->n_choices && w->choice[w->first_waiting].state != API_CHOICE_WAITS)
		w->first_waiting++;
	for (int i = w->first_waiting; i < w->n_choices; i++)
		if (w->choice[i].state == API_CHOICE_WAITS && now >= w->choice[i].retry_ns)
			return &w->choice[i];
	return NULL;
}

/* libxverse keeps each call's request twice, encoded and decoded, until the call ends. Returns 0, or the status to
 * refuse with. */
static int count_calls(struct api_generation *w, int n_open)
{
	return http_budget_set(w->x, HTTP_BUDGET_WORK,
			       (int64_t)(w->own_bytes + w->all_bytes + 2 * (size_t)n_open * w->call_bytes));
}

static bool may_open(const struct api_generation *w)
{
	return w->n_open < API_OPEN && (!w->n_open || (size_t)(w->n_open + 1) * w->call_bytes <= API_OPEN_BYTES);
}

/* Called once all calls have started: none is sent again from here, since libxverse keeps what it resends. */
static void drop_requests(struct api_generation *w)
{
	api_prompts_finish(&w->prompts);
	api_chat_finish(&w->chat);
	w->all_bytes = 0;
	count_calls(w, w->n_open);
}

/* Frees what was gathered for a response that will not be sent. */
static void forget_answer(struct api_generation *w)
{
	for (int i = 0; i < w->n_choices; i++)
		api_choice_finish(&w->choice[i]);
	drop_requests(w);
	http_budget_set(w->x, HTTP_BUDGET_WORK, 0);
	http_budget_set(w->x, HTTP_BUDGET_ANSWER, http_stream_bytes(w->x) + http_answer_bytes(w->x));
}

/* Distinguishes a model without chat (501) from a chat format without documents, or with a template for tools that
 * cannot be used (400): only the second is the request's
 * fault. */
static void refuse_chat(struct api_generation *w, const char *text)
{
	const struct xv_chat *c = &w->chat.chat;
	const char *param = strstr(text, "documents") && c->documents_json && *c->documents_json ? "documents"
			    : strstr(text, "tool") && c->tools_json && *c->tools_json            ? "tools"
												 : NULL;

	if (param)
		http_answer_error(w->x, 400, "unsupported", param, "%s: %s", param, text);
	else
		http_answer_error(w->x, 501, "unsupported", NULL,
				  "this model has no chat (%.300s): use /v1/completions", text);
}

/* Ends the exchange with an error of the daemon. */
static void give_up(struct api_generation *w, int err, const char *text, uint32_t retry_ms)
{
	api_upstream_close(w->up);
	if (http_stream_begun(w->x)) {
		struct api_shown_error e = api_shown_error(err, text);
		w->form->fail(w, e.status, e.code, e.text);
	} else if (err == ERR_UNSUPPORTED && w->is_chat)
		refuse_chat(w, text);
	else
		api_answer_err(w->x, w->up->daemon, err, text, retry_ms);
	forget_answer(w);
}

/* Ends the exchange because its memory does not fit into the budget. */
static void give_up_memory(struct api_generation *w, int status)
{
	api_upstream_close(w->up);
	if (http_stream_begun(w->x))
		w->form->fail(w, status, "overloaded", http_budget_text(status));
	else
		http_answer_error(w->x, status, "overloaded", NULL, "%s", http_budget_text(status));
	forget_answer(w);
}

static void send_more(struct api_generation *w)
{
	struct api_choice *c;
	int status = 0;

	while (w->up->client && may_open(w) && (c = next_waiting(w)) && !(status = count_calls(w, w->n_open + 1))) {
		struct xv_request r;
		fill_request(w, c, &r);
		c->id = api_upstream_send(w->up, &r);
		c->state = API_CHOICE_OPEN;
		w->n_open++;
	}
	if (status && !w->n_open)
		give_up_memory(w, status);
	api_upstream_wait(w->up);
}

static struct api_choice *choice_of(struct api_generation *w, uint64_t id)
{
	for (int i = 0; i < w->n_choices; i++)
		if (w->choice[i].state == API_CHOICE_OPEN && w->choice[i].id == id)
			return &w->choice[i];
	return NULL;
}

static void put_id(struct text *t, int32_t id)
{
	text_fmt(t, t->len ? ",%d" : "%d", id);
}

/* ---- answers ---- */

static void take_part(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	struct api_choice *c = arg;

	c->of->form->part(c->of, c, kind, call, s, n);
}

static void begin_parts(struct api_generation *w, struct api_choice *c, const struct xv_started *s)
{
	const char *tools = w->chat.chat.tools_json;
	struct json_error e;
	uint64_t seed = now_ns() + (uint64_t)c->index;

	if (!w->is_chat)
		return;
	if (!w->tools && tools && *s->tool_parser) {
		w->tools = json_read(tools, strlen(tools), &json_of_files, &e);
		w->own_bytes += json_bytes(w->tools);
	}
	for (const char *id = http_request_id(w->x); *id; id++)
		seed = mix64(seed + (unsigned char)*id + MIX_GOLDEN);
	api_parts_begin(&c->parts, s, json_root(w->tools), w->one_call, seed, take_part, c);
}

static void take_started(struct api_generation *w, struct api_choice *c, const struct xv_started *s)
{
	if (!c->started)
		begin_parts(w, c, s);
	w->n_started += !c->started;
	c->started = true;
	c->prompt_tokens = s->prompt_tokens;
	for (int i = 0; i < s->n_prompt_ids && w->request.return_ids; i++)
		put_id(&c->prompt_ids, s->prompt_ids[i]);
	if (!w->accepted) {
		w->accepted = true;
		if (w->request.stream)
			http_stream_begin(w->x);
		w->form->begin(w, s);
	}
	if (w->n_started == w->n_choices)
		drop_requests(w);
}

static int64_t bytes_of(const struct api_choice *c)
{
	return (int64_t)(c->text.max + api_parts_bytes(&c->parts) + api_logprobs_bytes(&c->logprobs) + c->ids.max +
			 c->prompt_ids.max + c->prompt_logprobs.max);
}

/* A whole response is in memory twice for a moment, in parts and joined. */
static void count_answer(struct api_generation *w, struct api_choice *c)
{
	int64_t now = bytes_of(c), all;
	int status;

	w->answer_bytes += now - c->counted;
	c->counted = now;
	all = w->answer_bytes + (w->form->bytes ? (int64_t)w->form->bytes(w) : 0);
	all = http_stream_begun(w->x) ? all + http_stream_bytes(w->x) + (int64_t)w->piece.max : 2 * all;
	status = http_budget_set(w->x, HTTP_BUDGET_ANSWER, all);
	if (status)
		give_up_memory(w, status);
}

static void take_chunk(struct api_generation *w, struct api_choice *c, const struct xv_chunk *k)
{
	if (!k->prompt && w->prompt_only)
		return;
	for (int i = 0; i < k->n_tokens; i++) {
		if (k->prompt && w->request.prompt_top >= 0)
			api_prompt_logprobs_add(&c->prompt_logprobs, &w->request, &k->tokens[i]);
		if (w->request.top >= 0 && (!k->prompt || w->request.echo))
			api_logprobs_add(&c->logprobs, &w->request, w->is_chat, &k->tokens[i]);
	}
	for (int i = 0; i < k->n_ids && w->request.return_ids && !k->prompt; i++)
		put_id(&c->ids, k->ids[i]);
	if (!k->prompt)
		c->output_tokens += (uint32_t)k->n_ids;
	if (!k->prompt || w->request.echo)
		w->form->chunk(w, c, k);
	count_answer(w, c);
}

static void end_all(struct api_generation *w)
{
	w->form->end(w);
	if (!w->request.stream)
		http_budget_set(w->x, HTTP_BUDGET_ANSWER, http_answer_bytes(w->x));
	api_upstream_close(w->up);
	http_budget_set(w->x, HTTP_BUDGET_WORK, 0);
}

static void over(struct api_generation *w, struct api_choice *c)
{
	c->state = API_CHOICE_OVER;
	w->n_open--;
	w->n_over++;
	count_calls(w, w->n_open);
	if (c->parts.parser)
		tools_end(c->parts.parser);
	w->form->over(w, c);
	if (w->n_over == w->n_choices)
		end_all(w);
	else
		send_more(w);
}

/* stop_reason names only ids of stop_token_ids, not the model's own end tokens. */
static bool asked_to_stop(const struct api_request *a, int32_t id)
{
	for (int i = 0; i < a->sampling.n_stop_ids; i++)
		if (a->stop_ids[i] == id)
			return true;
	return false;
}

static void take_finished(struct api_generation *w, struct api_choice *c, const struct xv_finished *f)
{
	c->reason = w->prompt_only ? XV_FINISH_LENGTH : f->reason;
	c->stop_id = asked_to_stop(&w->request, f->stop_id) ? f->stop_id : -1;
	c->stop_text = xstrdup(f->stop_text);
	c->prompt_tokens = f->prompt_tokens;
	c->output_tokens = w->prompt_only ? 0 : f->output_tokens;
	c->cached_tokens = f->cached_tokens;
	over(w, c);
}

static void take_error(struct api_generation *w, struct api_choice *c, const struct xv_error *e)
{
	char text[512];

	if (e->code == ERR_BUSY && w->accepted && !c->started) { /* the queue has room for some of the calls */
		c->state = API_CHOICE_WAITS;
		c->retry_ns = now_ns() + (uint64_t)max_int((int)e->retry_after_ms, 100) * 1000000u;
		w->first_waiting = 0;
		w->n_open--;
		return;
	}
	snprintf(text, sizeof text, "%s", e->text);
	give_up(w, e->code, text, e->retry_after_ms);
}

static void take(void *data, const struct xv_reply *r)
{
	struct api_generation *w = data;
	struct api_choice *c = choice_of(w, r->id);

	if (!c)
		return;
	switch (r->kind) {
	case XV_R_STARTED:
		take_started(w, c, &r->started);
		break;
	case XV_R_CHUNK:
		take_chunk(w, c, &r->chunk);
		break;
	case XV_R_FINISHED:
		take_finished(w, c, &r->finished);
		break;
	case XV_R_ERROR:
		take_error(w, c, &r->error);
		break;
	default:
		break;
	}
}

static void tick(void *data)
{
	send_more(data);
}

static void lost(void *data, int err, const char *text)
{
	char copy[512];

	snprintf(copy, sizeof copy, "%s", text);
	give_up(data, err, copy, 1000);
}

/* A call that cannot be cancelled in the daemon, because the daemon is lost just now, ends here. */
static void cancel(void *data)
{
	struct api_generation *w = data;

	if (!w->accepted) {
		give_up(w, ERR_CANCELLED, "cancelled", 0);
		return;
	}
	for (int i = 0; i < w->n_choices && w->up->client; i++) {
		struct api_choice *c = &w->choice[i];
		if (c->state == API_CHOICE_OVER || (c->state == API_CHOICE_OPEN && xv_cancel(w->up->client, c->id)))
			continue;
		w->n_open += c->state == API_CHOICE_WAITS;
		c->reason = XV_FINISH_CANCELLED;
		over(w, c);
	}
	if (w->up->client)
		api_upstream_wait(w->up);
}

void api_generate(struct api_generation *w)
{
	struct api_calls *calls = &w->up->calls;
	int prompts = w->is_chat ? 1 : w->prompts.n;

	if (w->request.n * prompts > API_MAX_CHOICES) {
		http_answer_error(w->x, 400, NULL, "n", "n times the number of prompts must be at most %d",
				  API_MAX_CHOICES);
		return;
	}
	if (w->request.stream && !http_can_stream(w->x)) {
		http_answer_error(w->x, 400, NULL, "stream",
				  "a stream requires HTTP/1.1 (a proxy may have to be configured for it)");
		return;
	}
	w->prompt_only = w->request.echo && !w->request.sampling.max_tokens;
	w->n_choices = w->request.n * prompts;
	w->all_bytes = w->is_chat ? w->chat.bytes : w->prompts.bytes;
	w->own_bytes = w->form_bytes + api_request_bytes(&w->request) + (size_t)w->n_choices * sizeof *w->choice;
	w->call_bytes = (w->is_chat ? w->chat.bytes : w->prompts.longest) + api_request_bytes(&w->request);
	api_name_asker(w->x, w->request.user, w->up->asker);
	w->choice = xalloc((size_t)w->n_choices, sizeof *w->choice);
	for (int i = 0; i < w->n_choices; i++) {
		w->choice[i].index = i;
		w->choice[i].of = w;
	}
	if (!w->form)
		w->form = &api_render_form;
	w->one_call = w->is_chat && w->chat.chat.one_call;
	calls->take = take;
	calls->tick = tick;
	calls->lost = lost;
	calls->cancel = cancel;
	if (api_upstream_connect(w->up))
		send_more(w);
}
