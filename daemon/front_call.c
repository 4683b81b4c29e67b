/* A request becomes a call: prompt to ids, fields to sampling, limits checked before the engine hears of it.
 */
#include "daemon/front.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/board.h"

void open_call_destroy(struct open_call *c)
{
	if (!c)
		return;
	if (c->request)
		rpc_request_free(c->request);
	free(c->request);
	ids_finish(&c->ids);
	free(c->stop_ids);
	free(c->bias);
	free(c->missing);
	detok_destroy(c->detok);
	stop_finish(&c->stop);
	free(c);
}

static void append(struct ids *ids, const int32_t *more, int n)
{
	if (ids->n + n > ids->max) {
		ids->max = ids->n + n;
		ids->id = xgrow(ids->id, (size_t)ids->max, sizeof *ids->id);
	}
	if (n)
		memcpy(ids->id + ids->n, more, (size_t)n * sizeof *more);
	ids->n += n;
}

static const struct rpc_prompt *prompt_of(const struct open_call *c)
{
	return c->request->kind == RPC_SCORE ? &c->request->score.prompt : &c->request->generate.prompt;
}

static struct encode_options encode_how(const struct open_call *c)
{
	const struct rpc_request *r = c->request;
	bool add_special = r->kind == RPC_SCORE ? r->score.add_special
						: !front_has(&r->generate.sampling, RPC_ADD_SPECIAL) ||
							  r->generate.sampling.add_special;

	return (struct encode_options){.add_special = add_special, .parse_special = true};
}

/* Unless the helper thread did it already. */
static int encode_prompt(struct front *f, struct open_call *c, struct why *why)
{
	const struct rpc_prompt *p = prompt_of(c);
	struct encode_options how = encode_how(c);
	int err;

	if (c->encoded)
		return 0;
	if (p->is_text && !f->tokenizer)
		return fail(why, ERR_UNSUPPORTED,
			    "this model has no tokenizer: send the prompt as token ids");
	if (p->is_text)
		return tokenizer_encode(f->tokenizer, p->text, p->text_len, &how, &c->ids, why);
	err = front_check_ids(f, p->ids, p->n_ids, "prompt", why);
	if (!err)
		append(&c->ids, p->ids, p->n_ids);
	return err;
}

static int check_length(const struct front *f, struct open_call *c, struct why *why)
{
	int most = f->node->max_model_len, n = c->call.n_prompt;

	if (!n)
		return fail(why, ERR_INVALID, "prompt: empty");
	if (c->call.score ? n > most : n >= most)
		return fail(why, ERR_LIMIT, "the prompt has %d tokens; --max-model-len is %d", n, most);
	if (c->call.max_tokens > most - n)
		return fail(why, ERR_LIMIT, "%d prompt tokens and max_tokens %d exceed --max-model-len %d", n,
			    c->call.max_tokens, most);
	if (c->call.n_resume > c->call.max_tokens)
		return fail(why, ERR_INVALID, "resume: %d tokens were received already, max_tokens is %d",
			    c->call.n_resume, c->call.max_tokens);
	return 0;
}

static int fill_resume(struct front *f, struct open_call *c, const struct rpc_resume *r, struct why *why)
{
	int err;

	if (!r->present)
		return 0;
	if (strcmp(r->fingerprint, f->fingerprint))
		return fail(why, ERR_MISMATCH, "resume: the stream came from model %.40s, this one is %s",
			    r->fingerprint, f->fingerprint);
	if (strcmp(r->numerics_class, f->node->numerics_class))
		return fail(why, ERR_MISMATCH,
			    "resume: the stream has numerics class %.80s, this server has %s",
			    r->numerics_class, f->node->numerics_class);
	err = front_check_ids(f, r->ids, r->n_ids, "resume.ids", why);
	if (err)
		return err;
	append(&c->ids, r->ids, r->n_ids);
	c->call.n_resume = r->n_ids;
	c->call.how.seed = r->seed;
	c->skip_text = r->text_bytes;
	return 0;
}

static void truncate_prompt(struct ids *ids, uint32_t keep)
{
	int drop = ids->n - (int)keep;

	if (drop <= 0)
		return;
	memmove(ids->id, ids->id + drop, (size_t)(ids->n - drop) * sizeof *ids->id);
	ids->n -= drop;
}

static bool skip_special(const struct open_call *c)
{
	const struct rpc_sampling *s = &c->request->generate.sampling;

	return !front_has(s, RPC_SKIP_SPECIAL) || s->skip_special;
}

/* Asked for; else the model's own default as far as the context holds it; else what the context leaves. */
static int max_tokens(const struct front *f, const struct open_call *c, const struct rpc_sampling *s)
{
	int left = max_int(0, f->node->max_model_len - c->call.n_prompt);

	if (front_has(s, RPC_MAX_TOKENS))
		return (int)s->max_tokens;
	if (front_has(&f->defaults, RPC_MAX_TOKENS) && f->defaults.max_tokens < (uint32_t)left)
		return (int)f->defaults.max_tokens;
	return left;
}

/* The answer's text goes on where the prompt's ends. */
static struct detok *start_text(const struct front *f, const struct open_call *c)
{
	struct detok *d = detok_create(f->tokenizer, skip_special(c));

	detok_follow(d, c->ids.id, c->call.n_prompt);
	return d;
}

static int make_generate(struct front *f, struct open_call *c, struct why *why)
{
	const struct rpc_generate *g = &c->request->generate;
	const struct rpc_sampling *s = &g->sampling;
	int err = encode_prompt(f, c, why);

	if (!err && front_has(s, RPC_TRUNCATE_PROMPT))
		truncate_prompt(&c->ids, s->truncate_prompt);
	c->call.n_prompt = c->ids.n;
	if (!err)
		err = front_sampling(f, c, s, why);
	if (!err)
		err = fill_resume(f, c, &g->resume, why);
	if (err)
		return err;
	if (g->echo && c->call.prompt_logprobs < 0)
		c->call.prompt_logprobs = c->call.how.n_logprobs;
	c->call.max_tokens = max_tokens(f, c, s);
	c->return_ids = !front_has(s, RPC_RETURN_IDS) || s->return_ids;
	c->include_stop = s->include_stop;
	if (f->tokenizer)
		c->detok = start_text(f, c);
	front_chat_stops(f, c, s);
	return 0;
}

static int make_score(struct front *f, struct open_call *c, struct why *why)
{
	const struct rpc_score *s = &c->request->score;
	int err = encode_prompt(f, c, why);

	c->call.n_prompt = c->ids.n;
	c->call.score = true;
	c->call.how = sampling_default();
	c->call.prompt_logprobs = (int)s->top_n;
	return err;
}

/* Waiting calls as the engine told last, and those it has not seen yet. */
static bool queue_full(const struct front *f)
{
	int64_t unseen = (int64_t)(f->adds_posted - atomic_load(&f->link->adds_taken));

	return atomic_load(&f->link->waiting) + unseen >=
		       f->opt->max_queued_reqs + f->node->limits.max_seqs ||
	       atomic_load(&f->link->waiting_tokens) >= f->opt->max_queued_tokens;
}

static void send_started(struct front *f, const struct open_call *c)
{
	struct rpc_reply r = {.kind = RPC_R_STARTED};
	bool echo = c->request->kind == RPC_GENERATE && c->request->generate.echo;

	r.started = (struct rpc_started){.call = c->id,
					 .seed = c->call.how.seed,
					 .fingerprint = f->fingerprint,
					 .numerics_class = f->node->numerics_class,
					 .prompt_tokens = (uint32_t)c->call.n_prompt,
					 .prompt_ids = c->ids.id,
					 .n_prompt_ids = echo ? c->call.n_prompt : 0};
	rpc_send(f->server, c->id, &r);
}

/* The prompt's own text; its logprobs come as they are computed. */
static void send_echo(struct front *f, const struct open_call *c)
{
	struct rpc_reply r = {.kind = RPC_R_CHUNK};
	char *text;
	size_t len;

	if (c->request->kind != RPC_GENERATE || !c->request->generate.echo || c->call.n_resume ||
	    !f->tokenizer)
		return;
	text = tokenizer_decode(f->tokenizer, c->ids.id, c->call.n_prompt, skip_special(c), &len);
	r.chunk = (struct rpc_chunk){.text = text, .text_len = len, .prompt = true};
	rpc_send(f->server, c->id, &r);
	free(text);
}

static void refuse(struct front *f, struct open_call *c, int err, const char *text)
{
	front_error(f, c->id, err, text);
	open_call_destroy(c);
}

static int make_call(struct front *f, struct open_call *c, struct why *why)
{
	int err = c->request->kind == RPC_SCORE ? make_score(f, c, why) : make_generate(f, c, why);

	if (!err)
		err = check_length(f, c, why);
	if (!err && queue_full(f))
		err = fail(why, ERR_BUSY, "%d calls are waiting", atomic_load(&f->link->waiting));
	c->call.call = c->id;
	c->call.scope = c->uid;
	c->call.ids = c->ids.id;
	c->call.deadline_ns = c->deadline_ns;
	return err;
}

/* The prompt is there as ids, or short enough to become ids at once. */
static void post_encoded(struct front *f, struct open_call *c)
{
	struct command cmd = {.kind = COMMAND_ADD, .call = c->id, .add = &c->call};
	struct why why = {""};
	int err = make_call(f, c, &why);

	if (!err && c->call.n_resume && front_replay(c)) {
		send_started(f, c);
		front_send_missing(f, c);
		open_call_destroy(c);
		return;
	}
	if (!err && !link_command(f->link, &cmd))
		err = fail(&why, ERR_BUSY, "too many calls at once");
	if (err) {
		refuse(f, c, err, why.text);
		return;
	}
	f->adds_posted++;
	c->next = f->bucket[c->id % FRONT_BUCKETS];
	f->bucket[c->id % FRONT_BUCKETS] = c;
	send_started(f, c);
	send_echo(f, c);
	front_send_missing(f, c);
}

static void encoded(struct front *f, struct open_call *c, struct words_job *job)
{
	c->ids = job->ids;
	c->encoded = true;
	if (c->cancelled)
		open_call_destroy(c);
	else if (job->err)
		refuse(f, c, job->err, job->why.text);
	else if (f->draining)
		refuse(f, c, ERR_DRAINING, "the server is draining");
	else
		post_encoded(f, c);
}

static void hand_over(struct front *f, struct open_call *c, const struct words_job *from)
{
	struct words_job *job = xalloc(1, sizeof *job);

	*job = *from;
	c->next = f->tokenizing;
	f->tokenizing = c;
	words_put(&f->words, job);
}

static void post(struct front *f, struct open_call *c)
{
	const struct rpc_prompt *p = prompt_of(c);
	struct words_job job;

	if (c->request->kind == RPC_CHAT) {
		if (front_chat(f, c, &job))
			encoded(f, c, &job);
		else
			hand_over(f, c, &job);
		return;
	}
	if (!p->is_text || p->text_len < WORDS_LONG || !f->tokenizer) {
		post_encoded(f, c);
		return;
	}
	job = (struct words_job){.call = c->id, .text = p->text, .len = p->text_len, .how = encode_how(c)};
	hand_over(f, c, &job);
}

static void take_job(struct front *f, struct words_job *job)
{
	struct open_call **at = &f->tokenizing, *c;

	if (job->keep) {
		if (job->talk)
			front_send_rendered(f, job);
		else
			front_send_tokens(f, job);
		rpc_request_free(job->keep);
		free(job->keep);
		free(job);
		return;
	}
	while ((*at)->id != job->call)
		at = &(*at)->next;
	c = *at;
	*at = c->next;
	encoded(f, c, job);
	free(job);
}

void front_take_words(struct front *f)
{
	struct words_job *job;

	while (f->words.started && (job = words_take(&f->words)))
		take_job(f, job);
}

static void open_call(struct front *f, uint64_t call, const struct rpc_peer *peer, struct rpc_request *r)
{
	uint32_t timeout = r->kind == RPC_SCORE  ? r->score.timeout_ms
			   : r->kind == RPC_CHAT ? r->chat.timeout_ms
						 : r->generate.timeout_ms;
	struct open_call *c;

	f->metrics.requests++;
	if (f->draining || (atomic_load(&f->link->state) != LINK_READY && !timeout)) {
		front_error(f, call, f->draining ? ERR_DRAINING : ERR_LOADING,
			    f->draining ? "the server is draining" : "the model is still loading");
		rpc_request_free(r);
		return;
	}
	c = xalloc(1, sizeof *c);
	c->id = call;
	c->uid = peer->uid;
	c->arrived_ns = now_ns();
	c->request = xalloc(1, sizeof *c->request);
	*c->request = *r;
	c->deadline_ns = timeout ? now_ns() + (uint64_t)timeout * 1000000u : 0;
	if (atomic_load(&f->link->state) == LINK_READY) {
		post(f, c);
		return;
	}
	c->next = f->waiting;
	f->waiting = c;
}

void front_ready(struct front *f)
{
	struct open_call *c = f->waiting, *next, *in_order = NULL;

	for (; c; c = next) { /* the list is newest first */
		next = c->next;
		c->next = in_order;
		in_order = c;
	}
	f->waiting = NULL;
	for (c = in_order; c; c = next) {
		next = c->next;
		if (c->cancelled)
			open_call_destroy(c);
		else
			post(f, c);
	}
}

void front_expire(struct front *f)
{
	uint64_t now = now_ns();

	for (struct open_call **at = &f->waiting, *c; (c = *at);) {
		if (now < c->deadline_ns) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		if (!c->cancelled)
			front_error(f, c->id, ERR_DEADLINE, "the model did not load within the deadline");
		open_call_destroy(c);
	}
}

static void answer(struct front *f, uint64_t call, const struct rpc_request *r)
{
	struct rpc_reply done = {.kind = RPC_R_DONE};

	switch (r->kind) {
	case RPC_STATUS:
		front_send_status(f, call);
		return;
	case RPC_METRICS:
		front_send_metrics(f, call);
		return;
	case RPC_TOKENIZE:
	case RPC_DETOKENIZE:
		if (!f->tokenizer)
			front_error(f, call, ERR_UNSUPPORTED, "this model has no tokenizer");
		else
			front_send_text(f, call, r);
		return;
	case RPC_DRAIN:
		rpc_send(f->server, call, &done);
		front_drain(f, "asked by a client");
		return;
	case RPC_LOG_LEVEL:
		board_log_level(f->board, (enum log_level)r->log_level.level);
		rpc_send(f->server, call, &done);
		return;
	default:
		front_error(f, call, ERR_UNSUPPORTED, "this call is not supported yet");
	}
}

void front_request(void *front, uint64_t call, const struct rpc_peer *peer, struct rpc_request *r)
{
	struct front *f = front;

	if (r->kind == RPC_GENERATE || r->kind == RPC_SCORE || r->kind == RPC_CHAT) {
		open_call(f, call, peer, r);
		return;
	}
	if (r->kind == RPC_TOKENIZE && f->tokenizer) {
		front_tokenize(f, call, r);
		return;
	}
	if (r->kind == RPC_TEMPLATE) {
		front_template(f, call, r);
		return;
	}
	answer(f, call, r);
	rpc_request_free(r);
}

/* A call that waits for the model or for its prompt's ids. */
static struct open_call *find_early(struct open_call *list, uint64_t call)
{
	while (list && list->id != call)
		list = list->next;
	return list;
}

void front_cancel(void *front, uint64_t call)
{
	struct front *f = front;
	struct open_call *c = front_find(f, call);

	if (c) {
		front_stop_engine(f, c);
		return;
	}
	c = find_early(f->tokenizing, call);
	if (!c)
		c = find_early(f->waiting, call);
	if (!c || c->cancelled)
		return;
	c->cancelled = true;
	c->deadline_ns = 0; /* of those that wait for the model: they go at the next look */
	front_error(f, call, ERR_CANCELLED, "cancelled");
}
