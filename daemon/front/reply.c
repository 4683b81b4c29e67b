/* Reports of the engine become replies: whole characters, stop strings, logprobs, and the last frame. */
#include "daemon/front/inside.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 256 }; /* of a token's text; longer ones are truncated */

/* The tokens of one report. */
struct shown {
	struct xv_token token[LINK_TOKENS];
	struct xv_top top[LINK_TOKENS][SAMPLE_MAX_TOP];
	char piece[LINK_TOKENS][SAMPLE_MAX_TOP + 1][PIECE_BYTES];
};

static const char *piece(const struct front *f, int32_t id, char out[PIECE_BYTES], size_t *len)
{
	*len = f->tokenizer ? tokenizer_token_text(f->tokenizer, id, out, PIECE_BYTES) : 0;
	return out;
}

static void fill_token(const struct front *f, const struct sampled *p, struct xv_token *t, struct xv_top *top,
		       char pieces[][PIECE_BYTES])
{
	REQUIRE(p->n_top <= SAMPLE_MAX_TOP);
	*t = (struct xv_token){.id = p->id,
			       .logprob = p->logprob,
			       .rank = (uint32_t)p->rank,
			       .greedy = p->greedy,
			       .has_logprob = true,
			       .top = top,
			       .n_top = p->n_top};
	t->piece = piece(f, p->id, pieces[SAMPLE_MAX_TOP], &t->piece_len);
	for (int i = 0; i < p->n_top; i++) {
		top[i] = (struct xv_top){.id = p->top_id[i], .logprob = p->top_logprob[i]};
		top[i].piece = piece(f, p->top_id[i], pieces[i], &top[i].piece_len);
	}
}

static void send_chunk(struct front *f, const struct front_call *c, struct xv_chunk *chunk, const struct link_report *r,
		       struct shown *shown)
{
	struct xv_reply reply = {.kind = XV_R_CHUNK};

	REQUIRE(r->n_details <= LINK_TOKENS);
	for (int i = 0; i < r->n_details; i++)
		fill_token(f, &r->detail[i], &shown->token[i], shown->top[i], shown->piece[i]);
	chunk->tokens = shown->token;
	chunk->n_tokens = r->n_details;
	reply.chunk = *chunk;
	if (chunk->text_len || chunk->n_ids || chunk->n_tokens)
		rpc_send(f->server, c->id, &reply);
}

/* The prompt's first token has no logprob, since nothing precedes it; it is sent before those that are scored. */
static void send_unscored(struct front *f, struct front_call *c)
{
	struct xv_reply first = {.kind = XV_R_CHUNK};
	struct xv_token t = {.id = c->ids.id[0]};
	char text[PIECE_BYTES];

	if (c->scored_first || (!c->call.score && c->call.prompt_logprobs < 0))
		return;
	t.piece = piece(f, t.id, text, &t.piece_len);
	first.chunk = (struct xv_chunk){.tokens = &t, .n_tokens = 1, .prompt = true};
	rpc_send(f->server, c->id, &first);
	c->scored_first = true;
}

/* The scored tokens of the prompt. */
static void send_scored(struct front *f, struct front_call *c, const struct link_report *r)
{
	struct shown shown;
	struct xv_chunk chunk = {.prompt = true};

	send_chunk(f, c, &chunk, r, &shown);
}

/* The text of the tokens of one report, up to a stop string. */
struct gathered {
	char *text;
	size_t len, max;
	int hit; /* stop string found, or -1 */
	int tokens;
};

static void gather(struct front_call *c, struct gathered *g, const char *text, size_t len)
{
	size_t skip = c->skip_text < len ? (size_t)c->skip_text : len;

	c->skip_text -= skip;
	len -= skip;
	if (!len)
		return;
	if (g->len + len > g->max) {
		g->max = 2 * (g->len + len);
		g->text = xgrow(g->text, g->max, 1);
	}
	memcpy(g->text + g->len, text + skip, len);
	g->len += len;
}

/* As in vLLM, a stop string counts where a token after the first min_tokens completes it. */
static void gather_text(struct front_call *c, struct gathered *g, const char *text, size_t len)
{
	const char *out;
	size_t out_len;

	g->hit = front_stop_next(&c->stop, text, len, c->output > c->call.how.min_tokens, &out, &out_len);
	gather(c, g, out, out_len);
}

static void gather_tokens(struct front_call *c, const struct event *e, struct gathered *g)
{
	for (int i = 0; i < e->n && g->hit < 0; i++) {
		bool last = e->finish != FINISH_NONE && i == e->n - 1;
		const char *text;
		size_t len;

		g->tokens++;
		c->output++;
		/* where a grammar ends the answer without an end token, the last token is a part of it */
		if (!c->detok || (last && e->finish == FINISH_STOP && e->stop_id >= 0 && !c->include_stop))
			continue;
		text = detok_next(c->detok, e->id[i], &len);
		gather_text(c, g, text, len);
	}
}

/* The stream ends: adds incomplete characters, and text that was held back for a stop string. */
static void gather_rest(struct front_call *c, struct gathered *g)
{
	const char *text, *out;
	size_t len;

	if (!c->detok || g->hit >= 0)
		return;
	text = detok_end(c->detok, &len);
	gather_text(c, g, text, len);
	if (g->hit < 0) {
		len = front_stop_rest(&c->stop, &out);
		gather(c, g, out, len);
	}
}

static enum xv_finish reason(const struct front_call *c, enum finish finish)
{
	static const enum xv_finish of[] = {
		[FINISH_NONE] = XV_FINISH_NONE,         [FINISH_STOP] = XV_FINISH_STOP,
		[FINISH_LENGTH] = XV_FINISH_LENGTH,     [FINISH_CANCEL] = XV_FINISH_CANCELLED,
		[FINISH_DEADLINE] = XV_FINISH_DEADLINE, [FINISH_BROKEN] = XV_FINISH_NONE /* it ends with an error */};
	return (c->call.score || c->call.targets.n) && finish == FINISH_LENGTH ? XV_FINISH_SCORED : of[finish];
}

static double seconds(uint64_t ns)
{
	return (double)ns * 1e-9;
}

static void count_tokens(struct front *f, struct front_call *c, int n)
{
	uint64_t now = now_ns();

	if (!n)
		return;
	if (!c->last_ns)
		front_histogram_add(&f->metrics.first_token, seconds(now - c->arrived_ns), 1);
	else
		front_histogram_add(&f->metrics.inter_token, seconds(now - c->last_ns) / n, (uint64_t)n);
	c->last_ns = now;
}

static void count_end(struct front *f, const struct front_call *c, const struct xv_finished *end)
{
	struct front_metrics *m = &f->metrics;

	m->finished[end->reason]++;
	front_histogram_add(&m->e2e, seconds(now_ns() - c->arrived_ns), 1);
	if (!end->queue_ns && !end->prefill_ns)
		return; /* it never reached the engine */
	front_histogram_add(&m->queue, seconds(end->queue_ns), 1);
	front_histogram_add(&m->prefill, seconds(end->prefill_ns), 1);
	front_histogram_add(&m->decode, seconds(end->decode_ns), 1);
}

static void log_end(const struct front_call *c, const struct xv_finished *e)
{
	static const char *const reasons[] = {"none", "stop", "length", "cancelled", "deadline", "scored"};

	log_event(
		LOG_DEBUG, "finished",
		" call=%ju reason=%s prompt_tokens=%u output_tokens=%u cached_tokens=%u queue_ms=%.3f prefill_ms=%.3f decode_ms=%.3f",
		(uintmax_t)c->id, reasons[e->reason], e->prompt_tokens, e->output_tokens, e->cached_tokens,
		(double)e->queue_ns / 1e6, (double)e->prefill_ns / 1e6, (double)e->decode_ns / 1e6);
}

static void fill_targets(const struct front_call *c, struct xv_finished *out)
{
	const struct sample_targets *t = &c->call.targets;

	if (out->reason != XV_FINISH_SCORED || !t->n)
		return;
	out->output_tokens = 0;
	out->target_logits = t->logit;
	out->n_target_logits = t->n;
	out->target_logprobs = t->logprob;
	out->n_target_logprobs = t->logprob ? t->n : 0;
}

static void send_finished(struct front *f, struct front_call *c, const struct event *e, int hit)
{
	struct xv_reply r = {.kind = XV_R_FINISHED};

	r.finished = (struct xv_finished){.reason = hit >= 0 ? XV_FINISH_STOP : reason(c, e->finish),
					  .stop_id = hit >= 0 ? -1 : e->stop_id,
					  .stop_text = hit >= 0 ? c->stop.stop[hit] : "",
					  .prompt_tokens = (uint32_t)c->call.n_prompt,
					  .output_tokens = (uint32_t)c->output,
					  .cached_tokens = (uint32_t)e->n_cached,
					  .queue_ns = e->queue_ns,
					  .prefill_ns = e->prefill_ns,
					  .decode_ns = e->decode_ns};
	fill_targets(c, &r.finished);
	count_end(f, c, &r.finished);
	log_end(c, &r.finished);
	rpc_send(f->server, c->id, &r);
	c->ended = true;
}

/* How the stream had ended with the last of its resumed tokens. */
static enum finish resumed_end(const struct front_call *c)
{
	const struct sampling *how = &c->call.how;
	int32_t last = c->ids.id[c->ids.n - 1];

	for (int i = 0; i < how->n_stop && c->call.n_resume > how->min_tokens; i++)
		if (how->stop[i] == last)
			return FINISH_STOP;
	return c->call.n_resume >= c->call.max_tokens ? FINISH_LENGTH : FINISH_NONE;
}

bool front_replay(struct front_call *c)
{
	struct gathered g = {.hit = -1};

	c->over = resumed_end(c);
	for (int i = 0; i < c->call.n_resume && g.hit < 0; i++) {
		struct event e = {.n = 1, .id = {c->ids.id[c->call.n_prompt + i]}};
		e.finish = i == c->call.n_resume - 1 ? c->over : FINISH_NONE;
		gather_tokens(c, &e, &g);
	}
	if (c->over != FINISH_NONE)
		gather_rest(c, &g);
	if (g.hit >= 0 && c->over == FINISH_NONE)
		c->over = FINISH_STOP;
	c->hit = g.hit;
	c->missing = g.text;
	c->n_missing = g.len;
	return c->over != FINISH_NONE;
}

void front_send_missing(struct front *f, struct front_call *c)
{
	struct xv_reply r = {.kind = XV_R_CHUNK, .chunk = {.text = c->missing, .text_len = c->n_missing}};
	struct event end = {.finish = c->over, .stop_id = -1};

	if (c->n_missing)
		rpc_send(f->server, c->id, &r);
	if (c->over == FINISH_NONE || !c->call.n_resume)
		return;
	if (c->over == FINISH_STOP && c->hit < 0)
		end.stop_id = c->ids.id[c->ids.n - 1];
	send_finished(f, c, &end, c->hit);
}

static void send_output(struct front *f, struct front_call *c, const struct link_report *r)
{
	const struct event *e = &r->event;
	struct gathered g = {.hit = -1};
	struct shown shown;
	struct link_report cut = *r; /* without tokens behind a stop string */
	struct xv_chunk chunk;

	gather_tokens(c, e, &g);
	if (e->finish != FINISH_NONE)
		gather_rest(c, &g);
	count_tokens(f, c, g.tokens);
	quota_spend(&c->claim, g.tokens, now_ns());
	cut.n_details = min_int(r->n_details, g.tokens);
	chunk = (struct xv_chunk){
		.text = g.text, .text_len = g.len, .ids = e->id, .n_ids = c->return_ids ? g.tokens : 0};
	send_chunk(f, c, &chunk, &cut, &shown);
	if (g.hit >= 0 && e->finish == FINISH_NONE)
		front_cancel_engine(f, c);
	if (g.hit >= 0 || e->finish != FINISH_NONE)
		send_finished(f, c, e, g.hit);
	free(g.text);
}

void front_report(struct front *f, const struct link_report *r)
{
	struct front_call *c = front_find(f, r->event.call);

	if (!c)
		return;
	if (r->event.admitted) {
		front_stake_run(&c->stake);
		quota_run(&c->claim);
		return;
	}
	if (r->refused) {
		if (!c->ended)
			front_refuse(f, c, r->refused, r->text);
		f->metrics.failed += !c->ended;
		front_forget(f, c);
		return;
	}
	if (!c->ended)
		send_unscored(f, c);
	if (!c->ended && r->event.scored)
		send_scored(f, c, r);
	else if (!c->ended)
		send_output(f, c, r);
	if (!c->ended && r->event.finish != FINISH_NONE)
		send_finished(f, c, &r->event, -1);
	if (r->event.finish == FINISH_NONE)
		return;
	front_forget(f, c);
	front_count_end(f);
}
