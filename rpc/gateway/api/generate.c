/* generate.c - calls of the daemon for the choices of one exchange. */
#include "rpc/gateway/api/generate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* SplitMix64 (Steele, Lea, Flood 2014): choice 0 draws from the seed itself, so that n = 1 gives the same. */
static uint64_t derive_seed(uint64_t seed, int i)
{
	uint64_t z = seed + (uint64_t)i * 0x9e3779b97f4a7c15u;

	if (!i)
		return seed;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill_request(struct generation *w, const struct choice *c, struct rpc_request *r)
{
	struct rpc_sampling s = w->ask.sampling;
	const char *user = w->ask.user ? w->ask.user : "";

	if (s.has >> RPC_SEED & 1)
		s.seed = derive_seed(s.seed, c->index % w->ask.n);
	if (w->prompt_only)
		s.max_tokens = 1;
	if (w->chat) {
		*r = (struct rpc_request){.kind = RPC_CHAT, .chat = w->said.chat};
		r->chat.sampling = s;
		r->chat.user = user;
		return;
	}
	*r = (struct rpc_request){.kind = RPC_GENERATE};
	r->generate.prompt = w->prompts.prompt[c->index / w->ask.n];
	r->generate.sampling = s;
	r->generate.echo = w->ask.echo || w->ask.return_ids; /* which is when the daemon tells a prompt's ids */
	r->generate.user = user;
}

static struct choice *next_waiting(struct generation *w)
{
	uint64_t now = now_ns();

	while (w->first_waiting < w->n_choices && w->choice[w->first_waiting].state != CHOICE_WAITS)
		w->first_waiting++;
	for (int i = w->first_waiting; i < w->n_choices; i++)
		if (w->choice[i].state == CHOICE_WAITS && now >= w->choice[i].retry_ns)
			return &w->choice[i];
	return NULL;
}

static void give_up(struct exchange *x, int err, const char *text, uint32_t retry_ms);
static void give_up_memory(struct exchange *x, int status);

/* libxverse keeps each call's request, encoded and read again, until the call ends. 0, or the status to refuse with. */
static int count_calls(struct exchange *x, int n_open)
{
	const struct generation *w = x->work;

	return budget_set(x, BUDGET_CALLS, (int64_t)(w->own_bytes + w->all_bytes + 2 * (size_t)n_open * w->call_bytes));
}

static bool may_open(const struct generation *w)
{
	return w->n_open < GENERATE_OPEN &&
	       (!w->n_open || (size_t)(w->n_open + 1) * w->call_bytes <= GENERATE_OPEN_BYTES);
}

static void send_more(struct exchange *x)
{
	struct generation *w = x->work;
	struct choice *c;
	int status = 0;

	while (x->client && may_open(w) && (c = next_waiting(w)) && !(status = count_calls(x, w->n_open + 1))) {
		struct rpc_request r;
		fill_request(w, c, &r);
		c->id = exchange_send(x, &r);
		c->state = CHOICE_OPEN;
		w->n_open++;
	}
	if (status && !w->n_open)
		give_up_memory(x, status);
	exchange_arm(x);
}

/* Once all calls have begun nothing is sent from here again. */
static void drop_requests(struct exchange *x)
{
	struct generation *w = x->work;

	prompts_finish(&w->prompts);
	chat_finish(&w->said);
	w->all_bytes = 0;
	count_calls(x, w->n_open);
}

static struct choice *choice_of(struct generation *w, uint64_t id)
{
	for (int i = 0; i < w->n_choices; i++)
		if (w->choice[i].state == CHOICE_OPEN && w->choice[i].id == id)
			return &w->choice[i];
	return NULL;
}

void make_preamble(struct exchange *x, struct generation *w, const struct rpc_started *s)
{
	struct text t = {0};

	text_fmt(&t, "{\"id\":\"%s-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", w->chat ? "chatcmpl" : "cmpl",
		 x->id,
		 !w->chat        ? "text_completion"
		 : w->ask.stream ? "chat.completion.chunk"
				 : "chat.completion",
		 (long long)time(NULL));
	text_json_str(&t, model_name(x->model));
	text_str(&t, ",\"system_fingerprint\":");
	struct text receipt = {0};
	exchange_receipt(&receipt, s->fingerprint, s->numerics_class);
	text_json(&t, receipt.data, receipt.len);
	text_finish(&receipt);
	text_str(&t, ",");
	w->preamble = t.data;
}

static void put_id(struct text *t, int32_t id)
{
	text_fmt(t, t->len ? ",%d" : "%d", id);
}

static void take_started(struct exchange *x, struct choice *c, const struct rpc_started *s)
{
	struct generation *w = x->work;

	w->n_started += !c->started;
	c->started = true;
	c->prompt_tokens = s->prompt_tokens;
	for (int i = 0; i < s->n_prompt_ids && w->ask.return_ids; i++)
		put_id(&c->prompt_ids, s->prompt_ids[i]);
	if (!w->accepted) {
		w->accepted = true;
		make_preamble(x, w, s);
		if (w->ask.stream)
			stream_begin(x);
	}
	if (w->n_started == w->n_choices)
		drop_requests(x);
}

/* The first piece of a chat's choice tells the role; it comes with the first text, so that its time says when that
 * came. */
static void tell_role(struct exchange *x, struct choice *c)
{
	struct generation *w = x->work;

	if (!w->chat || !w->ask.stream || c->told_role)
		return;
	c->told_role = true;
	shape_role(x, w, c);
}

static int64_t bytes_of(const struct choice *c)
{
	const struct logprob_text *l = &c->logprobs;

	return (int64_t)(c->text.max + l->tokens.max + l->values.max + l->top.max + l->offsets.max + c->ids.max +
			 c->prompt_ids.max + c->prompt_logprobs.max);
}

/* A whole answer is there twice for a moment: in parts and put together. */
static void count_answer(struct exchange *x, struct choice *c)
{
	struct generation *w = x->work;
	int64_t now = bytes_of(c);
	int status;

	w->answer_bytes += now - c->counted;
	c->counted = now;
	status = budget_set(x, BUDGET_ANSWER,
			    x->stream.on ? w->answer_bytes + (int64_t)(x->stream.queue.max + w->piece.max)
					 : 2 * w->answer_bytes);
	if (status)
		give_up_memory(x, status);
}

static void tell(struct exchange *x, struct choice *c, const struct rpc_chunk *k)
{
	struct generation *w = x->work;

	if (!w->ask.stream)
		text_put(&c->text, k->text, k->text_len);
	else if (k->text_len || c->logprobs.n || (w->ask.return_ids && c->ids.len)) {
		tell_role(x, c);
		shape_piece(x, w, c, k->text, k->text_len);
	}
}

static void take_chunk(struct exchange *x, struct choice *c, const struct rpc_chunk *k)
{
	struct generation *w = x->work;

	if (!k->prompt && w->prompt_only)
		return;
	for (int i = 0; i < k->n_tokens; i++) {
		if (k->prompt && w->ask.prompt_top >= 0)
			prompt_logprobs_add(&c->prompt_logprobs, &k->tokens[i], w);
		if (w->ask.top >= 0 && (!k->prompt || w->ask.echo))
			logprobs_add(&c->logprobs, c, w, &k->tokens[i]);
	}
	for (int i = 0; i < k->n_ids && w->ask.return_ids && !k->prompt; i++)
		put_id(&c->ids, k->ids[i]);
	if (!k->prompt)
		c->output_tokens += (uint32_t)k->n_ids;
	if (!k->prompt || w->ask.echo)
		tell(x, c, k);
	count_answer(x, c);
}

static void end_all(struct exchange *x)
{
	struct generation *w = x->work;

	if (w->ask.stream) {
		shape_usage(x, w);
		stream_end(x, true);
	} else {
		shape_whole(x, w);
		budget_set(x, BUDGET_ANSWER, (int64_t)x->answer.body.max);
	}
	exchange_forget_daemon(x);
	budget_set(x, BUDGET_CALLS, 0);
}

static void over(struct exchange *x, struct choice *c)
{
	struct generation *w = x->work;

	c->state = CHOICE_OVER;
	w->n_open--;
	w->n_over++;
	count_calls(x, w->n_open);
	if (w->ask.stream) {
		tell_role(x, c);
		shape_finish(x, w, c);
	}
	if (w->n_over == w->n_choices)
		end_all(x);
	else
		send_more(x);
}

/* An id that the request asked to stop at; the model's own end tokens are no reason to name. */
static bool asked_to_stop(const struct ask *a, int32_t id)
{
	for (int i = 0; i < a->sampling.n_stop_ids; i++)
		if (a->stop_ids[i] == id)
			return true;
	return false;
}

static void take_finished(struct exchange *x, struct choice *c, const struct rpc_finished *f)
{
	struct generation *w = x->work;

	c->reason = w->prompt_only ? RPC_FINISH_LENGTH : f->reason;
	c->stop_id = asked_to_stop(&w->ask, f->stop_id) ? f->stop_id : -1;
	c->stop_text = xstrdup(f->stop_text);
	c->prompt_tokens = f->prompt_tokens;
	c->output_tokens = w->prompt_only ? 0 : f->output_tokens;
	c->cached_tokens = f->cached_tokens;
	over(x, c);
}

/* What was gathered for nothing. */
static void forget_answer(struct exchange *x)
{
	struct generation *w = x->work;

	for (int i = 0; i < w->n_choices; i++)
		choice_finish(&w->choice[i]);
	drop_requests(x);
	budget_set(x, BUDGET_CALLS, 0);
	budget_set(x, BUDGET_ANSWER, (int64_t)(x->stream.queue.max + x->answer.body.max));
}

/* A model without any chat, or a chat format that takes no tools: only the second is the request's fault. */
static void refuse_chat(struct exchange *x, const char *text)
{
	const struct rpc_chat *c = &((struct generation *)x->work)->said.chat;
	const char *tools = c->tools_json && *c->tools_json ? "tools" : NULL;
	const char *param = tools ? tools : c->documents_json && *c->documents_json ? "documents" : NULL;

	if (param && strstr(text, "tools"))
		answer_error(x, 400, "unsupported", param, "%s: %s", param, text);
	else
		answer_error(x, 501, "unsupported", NULL,
			     "there is no chat with this model (%.300s): use /v1/completions", text);
}

/* Nothing of this exchange will come any more. */
static void give_up(struct exchange *x, int err, const char *text, uint32_t retry_ms)
{
	struct generation *w = x->work;

	exchange_forget_daemon(x);
	if (x->stream.on)
		stream_error(x, err, text);
	else if (err == ERR_UNSUPPORTED && w->chat)
		refuse_chat(x, text);
	else
		answer_err(x, err, text, retry_ms);
	forget_answer(x);
}

/* There is no room for this exchange. */
static void give_up_memory(struct exchange *x, int status)
{
	exchange_forget_daemon(x);
	if (x->stream.on)
		stream_refuse(x, status, "overloaded", budget_text(status));
	else
		answer_error(x, status, "overloaded", NULL, "%s", budget_text(status));
	forget_answer(x);
}

static void take_error(struct exchange *x, struct choice *c, const struct rpc_error *e)
{
	struct generation *w = x->work;
	char text[512];

	if (e->code == ERR_BUSY && w->accepted && !c->started) { /* the queue has room for a part of us */
		c->state = CHOICE_WAITS;
		c->retry_ns = now_ns() + (uint64_t)max_int((int)e->retry_after_ms, 100) * 1000000u;
		w->first_waiting = 0;
		w->n_open--;
		return;
	}
	snprintf(text, sizeof text, "%s", e->text);
	give_up(x, e->code, text, e->retry_after_ms);
}

static void take(struct exchange *x, const struct rpc_reply *r)
{
	struct generation *w = x->work;
	struct choice *c = choice_of(w, r->id);

	if (!c)
		return;
	switch (r->kind) {
	case RPC_R_STARTED:
		take_started(x, c, &r->started);
		break;
	case RPC_R_CHUNK:
		take_chunk(x, c, &r->chunk);
		break;
	case RPC_R_FINISHED:
		take_finished(x, c, &r->finished);
		break;
	case RPC_R_ERROR:
		take_error(x, c, &r->error);
		break;
	default:
		break;
	}
}

static void lost(struct exchange *x, int err, const char *text)
{
	char copy[512];

	snprintf(copy, sizeof copy, "%s", text);
	give_up(x, err, copy, 1000);
}

/* A call that the daemon forgot (it is away just now) is over here. */
void generation_cancel(struct exchange *x)
{
	struct generation *w = x->work;

	if (!w->accepted) {
		give_up(x, ERR_CANCELLED, "cancelled", 0);
		return;
	}
	for (int i = 0; i < w->n_choices && x->client; i++) {
		struct choice *c = &w->choice[i];
		if (c->state == CHOICE_OVER || (c->state == CHOICE_OPEN && xv_cancel(x->client, c->id)))
			continue;
		w->n_open += c->state == CHOICE_WAITS;
		c->reason = RPC_FINISH_CANCELLED;
		over(x, c);
	}
	if (x->client)
		exchange_arm(x);
}

void choice_finish(struct choice *c)
{
	text_finish(&c->text);
	text_finish(&c->ids);
	text_finish(&c->prompt_ids);
	text_finish(&c->prompt_logprobs);
	logprobs_finish(&c->logprobs);
	free(c->stop_text);
	c->stop_text = NULL;
}

void generation_free(struct exchange *x)
{
	struct generation *w = x->work;

	for (int i = 0; i < w->n_choices; i++)
		choice_finish(&w->choice[i]);
	free(w->choice);
	ask_finish(&w->ask);
	prompts_finish(&w->prompts);
	chat_finish(&w->said);
	free(w->preamble);
	text_finish(&w->piece);
	free(w);
	x->work = NULL;
}

const struct work_ops generation_ops = {take, send_more, lost, generation_free};

void generation_start(struct exchange *x, struct generation *w)
{
	int prompts = w->chat ? 1 : w->prompts.n;

	if (w->ask.n * prompts > ASK_MAX_CHOICES) {
		answer_error(x, 400, NULL, "n", "n times the number of prompts must be at most %d", ASK_MAX_CHOICES);
		return;
	}
	if (w->ask.stream && !x->http11) {
		answer_error(x, 400, NULL, "stream", "a stream needs HTTP/1.1 (a proxy in front may have to be told)");
		return;
	}
	w->prompt_only = w->ask.echo && !w->ask.sampling.max_tokens;
	w->n_choices = w->ask.n * prompts;
	w->all_bytes = w->chat ? w->said.bytes : w->prompts.bytes;
	w->own_bytes = ask_bytes(&w->ask) + (size_t)w->n_choices * sizeof *w->choice;
	w->call_bytes = (w->chat ? w->said.bytes : w->prompts.longest) + ask_bytes(&w->ask);
	exchange_name_asker(x, w->ask.user);
	w->choice = xalloc((size_t)w->n_choices, sizeof *w->choice);
	for (int i = 0; i < w->n_choices; i++)
		w->choice[i].index = i;
	if (exchange_connect(x))
		send_more(x);
}
