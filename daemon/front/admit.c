/* A request becomes a call: its prompt becomes token ids and its fields a sampling, and limits are checked before the
 * engine gets it. */
#include "daemon/front/inside.h"

#include "base/log_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int append(struct ids *ids, const int32_t *more, int n, struct why *why)
{
	int32_t *to = ids->id;

	if (ids->n + n > ids->max) {
		to = heap_grow(ids->id, (size_t)(ids->n + n), sizeof *ids->id);
		if (!to)
			return effort_check(why);
		ids->id = to;
		ids->max = ids->n + n;
	}
	if (n)
		memcpy(to + ids->n, more, (size_t)n * sizeof *more);
	ids->n += n;
	return 0;
}

static const struct xv_prompt *prompt_of(const struct front_call *c)
{
	return c->request->kind == XV_SCORE ? &c->request->score.prompt : &c->request->generate.prompt;
}

static struct encode_options encode_how(const struct front_call *c)
{
	const struct xv_request *r = c->request;
	bool add_special = r->kind == XV_SCORE ? r->score.add_special
					       : !front_has(&r->generate.sampling, XV_ADD_SPECIAL) ||
							 r->generate.sampling.add_special;

	return (struct encode_options){.add_special = add_special, .parse_special = true};
}

static bool is_cut(const struct front_call *c)
{
	return c->request->kind != XV_SCORE && front_has(&c->request->generate.sampling, XV_TRUNCATE_PROMPT) &&
	       c->request->generate.sampling.truncate_prompt;
}

/* Tokens that the prompt is encoded to at most. Prompts somewhat too long are counted for the message; those that are
 * truncated need all tokens. */
static int most_tokens(const struct front *f, const struct front_call *c)
{
	enum { CUT_MOST = 1 << 24 };

	return is_cut(c) ? CUT_MOST : 2 * min_int(f->model->max_model_len, INT32_MAX / 2);
}

/* Refuses a prompt that cannot fit before it is tokenized or copied. */
static int check_prompt(const struct front *f, const struct front_call *c, struct why *why)
{
	const struct xv_prompt *p = prompt_of(c);
	size_t most = (size_t)f->model->max_model_len,
	       reach = p->is_text && f->tokenizer ? tokenizer_reach(f->tokenizer) : SIZE_MAX;

	if (is_cut(c))
		return 0;
	if (!p->is_text && (size_t)p->n_ids > most)
		return fail(why, ERR_LIMIT, "the prompt has %d tokens; --max-model-len is %zu", p->n_ids, most);
	if (p->is_text && reach <= SIZE_MAX / most && p->text_len > most * reach)
		return fail(why, ERR_LIMIT, "the prompt has %zu bytes, so more than %zu tokens; --max-model-len is %zu",
			    p->text_len, p->text_len / reach, most);
	return 0;
}

/* A text was tokenized before; its tokenizer may add tokens beyond the model's vocabulary. Token ids are copied. */
static int encode_prompt(struct front *f, struct front_call *c, struct why *why)
{
	const struct xv_prompt *p = prompt_of(c);
	int err;

	if (c->encoded)
		return tokenizer_vocab(f->tokenizer) > f->model->vocab
			       ? front_check_ids(f, c->ids.id, c->ids.n, "prompt", why)
			       : 0;
	if (p->is_text && !f->tokenizer)
		return fail(why, ERR_UNSUPPORTED, "this model has no tokenizer: send the prompt as token ids");
	if (p->is_text)
		return fail(why, ERR_INTERNAL, "the prompt was not tokenized");
	err = front_check_ids(f, p->ids, p->n_ids, "prompt", why);
	return err ? err : append(&c->ids, p->ids, p->n_ids, why);
}

static int check_length(const struct front *f, struct front_call *c, struct why *why)
{
	int most = f->model->max_model_len, n = c->call.n_prompt;

	if (!n)
		return fail(why, ERR_INVALID, "prompt must not be empty");
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

static int fill_resume(struct front *f, struct front_call *c, const struct xv_resume *r, struct why *why)
{
	int err;

	if (!r->present)
		return 0;
	if (strcmp(r->fingerprint, f->fingerprint))
		return fail(why, ERR_MISMATCH, "resume: the stream came from model %.40s, this one is %s",
			    r->fingerprint, f->fingerprint);
	if (strcmp(r->numerics_class, f->model->numerics_class))
		return fail(why, ERR_MISMATCH, "resume: the stream has numerics class %.80s, this server has %s",
			    r->numerics_class, f->model->numerics_class);
	if (strcmp(r->adapter_fingerprint, c->lora ? c->lora->print : ""))
		return fail(why, ERR_MISMATCH, "resume: the stream came from %s%.40s, this adapter is %s",
			    *r->adapter_fingerprint ? "adapter " : "the model without an adapter",
			    r->adapter_fingerprint, c->lora ? c->lora->print : "none");
	err = front_check_ids(f, r->ids, r->n_ids, "resume.ids", why);
	if (err)
		return err;
	if (r->n_ids > f->model->max_model_len)
		return fail(why, ERR_LIMIT, "resume: %d tokens were received; --max-model-len is %d", r->n_ids,
			    f->model->max_model_len);
	err = append(&c->ids, r->ids, r->n_ids, why);
	if (err)
		return err;
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

static bool skip_special(const struct front_call *c)
{
	const struct xv_sampling *s = &c->request->generate.sampling;

	return !front_has(s, XV_SKIP_SPECIAL) || s->skip_special;
}

/* The request's, else the model's default if the context holds it, else what the context leaves. */
static int max_tokens(const struct front *f, const struct front_call *c, const struct xv_sampling *s)
{
	int left = max_int(0, f->model->max_model_len - c->call.n_prompt);

	if (front_has(s, XV_MAX_TOKENS))
		return (int)s->max_tokens;
	if (front_has(&f->defaults, XV_MAX_TOKENS) && f->defaults.max_tokens < (uint32_t)left)
		return (int)f->defaults.max_tokens;
	return left;
}

/* The output's text continues the prompt's. */
static struct detok *start_text(const struct front *f, const struct front_call *c)
{
	struct detok *d = detok_create(f->tokenizer, skip_special(c));
	int32_t marks[FRONT_MARKS];
	int n = front_forms_marks(&c->forms, f->tokenizer, marks);

	detok_show(d, marks, n);

	detok_follow(d, c->ids.id, c->call.n_prompt);
	return d;
}

/* An empty text becomes the begin token, where every text of the model starts; some tokenizers do not add it. */
static int begin_empty(const struct front *f, struct front_call *c, struct why *why)
{
	const struct xv_prompt *p = prompt_of(c);
	int32_t bos = f->tokenizer ? tokenizer_bos(f->tokenizer) : -1;

	return !p->is_text || p->text_len || c->ids.n || bos < 0 || !encode_how(c).add_special
		       ? 0
		       : append(&c->ids, &bos, 1, why);
}

static int make_generate(struct front *f, struct front_call *c, struct why *why)
{
	const struct xv_generate *g = &c->request->generate;
	const struct xv_sampling *s = &g->sampling;
	int err = encode_prompt(f, c, why);

	if (!err)
		err = begin_empty(f, c, why);
	if (!err && front_has(s, XV_TRUNCATE_PROMPT))
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
	c->call.grammar = c->grammar;
	c->call.room = f->room;
	if (c->grammar)
		err = front_stake_hold(&c->stake, SHARE_BYTES, (int64_t)grammar_bytes(c->grammar), why);
	if (err)
		return err;
	c->call.max_tokens = max_tokens(f, c, s);
	c->call.open_ended = !front_has(s, XV_MAX_TOKENS);
	c->return_ids = !front_has(s, XV_RETURN_IDS) || s->return_ids;
	c->include_stop = s->include_stop;
	if (f->tokenizer)
		c->detok = start_text(f, c);
	front_chat_stops(f, c, s);
	return 0;
}

/* The engine samples a token after the prompt, whose row reports the targets. */
static int make_targets(struct front *f, struct front_call *c, const struct xv_score *s, struct why *why)
{
	int err = front_check_ids(f, s->targets, s->n_targets, "targets", why);

	if (err)
		return err;
	c->targets = heap_grow(NULL, 2 * (size_t)s->n_targets, sizeof *c->targets);
	if (!c->targets)
		return effort_check(why);
	c->call.targets = (struct sample_targets){.n = s->n_targets, .id = s->targets, .logit = c->targets};
	if (s->target_logprobs)
		c->call.targets.logprob = c->targets + s->n_targets;
	c->call.how.temperature = 0;
	c->call.max_tokens = 1;
	c->call.prompt_logprobs = -1;
	return 0;
}

static int make_score(struct front *f, struct front_call *c, struct why *why)
{
	const struct xv_score *s = &c->request->score;
	int err = encode_prompt(f, c, why);

	if (!err && s->n_targets)
		err = begin_empty(f, c, why);
	c->call.n_prompt = c->ids.n;
	c->call.score = !s->n_targets;
	c->call.how = sampling_default();
	c->call.prompt_logprobs = (int)s->top_n;
	return err || !s->n_targets ? err : make_targets(f, c, s, why);
}

static void send_started(struct front *f, const struct front_call *c)
{
	struct xv_reply r = {.kind = XV_R_STARTED};
	bool echo = c->request->kind == XV_GENERATE && c->request->generate.echo;

	r.started = (struct xv_started){.call = c->id,
					.seed = c->call.how.seed,
					.fingerprint = f->fingerprint,
					.numerics_class = f->model->numerics_class,
					.prompt_tokens = (uint32_t)c->call.n_prompt,
					.prompt_ids = c->ids.id,
					.n_prompt_ids = echo ? c->call.n_prompt : 0,
					.adapter = c->lora ? c->lora->name : "",
					.adapter_fingerprint = c->lora ? c->lora->print : "",
					.tool_parser = c->forms.calls ? c->forms.calls->name : "",
					.reasoning_parser = c->forms.reasoning ? c->forms.reasoning->name : "",
					.reasoning_open = c->forms.reasoning && c->forms.reasoning_open};
	rpc_send(f->server, c->id, &r);
}

/* Sends the prompt's text; its logprobs follow as they are computed. */
static void send_echo(struct front *f, const struct front_call *c)
{
	struct xv_reply r = {.kind = XV_R_CHUNK};
	char *text;
	size_t len;

	if (c->request->kind != XV_GENERATE || !c->request->generate.echo || c->call.n_resume || !f->tokenizer)
		return;
	text = tokenizer_decode(f->tokenizer, c->ids.id, c->call.n_prompt, skip_special(c), &len);
	r.chunk = (struct xv_chunk){.text = text, .text_len = len, .prompt = true};
	rpc_send(f->server, c->id, &r);
	free(text);
}

static void refuse(struct front *f, struct front_call *c, int err, const char *text)
{
	front_refuse(f, c, err, text);
	front_call_destroy(c);
}

static const char *adapter_of(const struct front_call *c)
{
	return c->request->kind == XV_SCORE ? c->request->score.adapter : c->request->generate.adapter;
}

static int make_call(struct front *f, struct front_call *c, struct why *why)
{
	int err = front_lora_take(f, c, adapter_of(c), why);

	c->call.scope ^= c->stake.account->scope;
	if (!err)
		err = c->request->kind == XV_SCORE ? make_score(f, c, why) : make_generate(f, c, why);

	if (!err)
		err = check_length(f, c, why);
	if (!err)
		err = front_limits_admit(f, c, why);
	if (!err)
		err = front_take_place(f, c, why);
	c->call.call = c->id;
	c->call.turn = c->stake.account->number;
	c->call.ids = c->ids.id;
	c->call.deadline_ns = c->deadline_ns;
	return err;
}

/* Once it is accepted, so that one that is put off while the model loads counts once. */
static void note_resumed(struct front *f, const struct front_call *c)
{
	static struct log_limit limit = {.event = "a call is resumed"};

	if (c->request->kind != XV_GENERATE || !c->request->generate.resume.present)
		return;
	f->metrics.resumed++;
	if (log_limit(&limit))
		log_event(LOG_INFO, limit.event, " call=%ju uid=%u output_tokens=%d resumed_total=%ju",
			  (uintmax_t)c->id, c->stake.account->uid, c->call.n_resume, (uintmax_t)f->metrics.resumed);
}

static void enter(struct front *f, struct front_call *c)
{
	struct link_command cmd = {.kind = COMMAND_ADD, .call = c->id, .add = &c->call};

	if (!link_post(f->link, &cmd)) {
		refuse(f, c, ERR_BUSY, "too many calls at once");
		return;
	}
	f->adds_posted++;
	front_stake_wait(&c->stake);
	quota_post(&c->claim);
	front_add(f, c);
	send_started(f, c);
	send_echo(f, c);
	front_send_missing(f, c);
}

void front_release_held(struct front *f)
{
	for (struct front_call **at = &f->held, *c; (c = *at);) {
		if (c->deadline_ns && now_ns() >= c->deadline_ns) {
			front_error(f, c->id, ERR_DEADLINE,
				    "the call waited for its turn (--limits) until its deadline");
			front_call_destroy(front_take_held(f, at));
		} else if (!quota_may_run(&c->claim)) {
			at = &c->next;
		} else {
			enter(f, front_take_held(f, at));
		}
	}
	quotas_sweep(&f->quotas, now_ns());
}

/* The prompt is encoded, or is token ids. */
static void post(struct front *f, struct front_call *c)
{
	struct why why = {""};
	int err = make_call(f, c, &why);

	if (!err)
		note_resumed(f, c);
	if (!err && c->call.n_resume && front_replay(c)) {
		send_started(f, c);
		front_send_missing(f, c);
		front_call_destroy(c);
		return;
	}
	if (err)
		refuse(f, c, err, why.text);
	else if (quota_may_run(&c->claim))
		enter(f, c);
	else
		front_hold(f, c);
}

/* The job is done; the call takes its ids. */
static void encoded(struct front *f, struct front_call *c, struct front_job *job)
{
	const char *closed;

	c->grammar = job->grammar;
	if (c->chat)
		c->forms = job->forms;
	if (job->kind != JOB_COMPILE) {
		c->ids = job->ids;
		c->encoded = true;
	}
	if (job->ids.over && job->err && !is_cut(c))
		fail(&job->why, job->err, "the prompt has more than %d tokens; --max-model-len is %d", job->ids.most,
		     f->model->max_model_len);
	if (c->cancelled)
		front_call_destroy(c);
	else if (job->err)
		refuse(f, c, job->err, job->why.text);
	else if (f->draining)
		refuse(f, c, front_closed(f, &closed), closed);
	else
		post(f, c);
}

static void hand_over(struct front *f, struct front_call *c, const struct front_job *from)
{
	struct front_job *job = xalloc(1, sizeof *job);

	*job = *from;
	c->next = f->tokenizing;
	f->tokenizing = c;
	front_helpers_put(&f->helpers, job);
}

static void fill_job(const struct front_call *c, struct front_job *job)
{
	const struct xv_prompt *p = prompt_of(c);

	job->text = p->text;
	job->len = p->text_len;
	job->how = encode_how(c);
}

/* What the answer must be, or NULL. A Chat is a Generate by now. */
static const struct xv_constraint *constraint_of(const struct front_call *c)
{
	const struct xv_request *r = c->request;
	const struct xv_constraint *said = r->kind == XV_SCORE ? NULL : &r->generate.sampling.constraint;

	return said && said->kind != XV_FREE ? said : NULL;
}

/* A call with a constraint goes to a helper thread, also where its prompt is token ids. */
static void add_constraint(struct front *f, const struct front_call *c, struct front_job *job)
{
	job->constraint = constraint_of(c);
	job->compact = f->opt->guided_whitespace;
	if (!job->constraint)
		return;
	if (!f->room)
		job->err = fail(&job->why, ERR_UNSUPPORTED,
				"this model has no tokenizer, so its answers cannot be constrained");
	if (!c->chat && !prompt_of(c)->is_text)
		job->kind = JOB_COMPILE;
}

void front_admit(struct front *f, struct front_call *c)
{
	struct front_job job = {.call = c->id, .client = c->stake.account->number};
	bool chat = c->request->kind == XV_CHAT;

	job.err = chat ? front_check_chat(f, &job.why) : check_prompt(f, c, &job.why);
	if (chat)
		front_chat(f, c, &job);
	else
		fill_job(c, &job);
	if (!job.err)
		add_constraint(f, c, &job);
	if (job.err) {
		refuse(f, c, job.err, job.why.text);
	} else if (job.kind != JOB_COMPILE && !chat && !(prompt_of(c)->is_text && f->tokenizer)) {
		post(f, c);
	} else {
		job.ids.most = most_tokens(f, c);
		if (!front_job_is_short(&job)) {
			hand_over(f, c, &job);
			return;
		}
		front_job_run(&job, f->tokenizer);
		encoded(f, c, &job);
	}
}

void front_encoded(struct front *f, struct front_job *job)
{
	struct front_call **at = &f->tokenizing, *c;

	while ((*at)->id != job->call)
		at = &(*at)->next;
	c = *at;
	*at = c->next;
	encoded(f, c, job);
	free(job);
}
