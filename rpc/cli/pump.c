#include "rpc/cli/pump.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "rpc/cli/bar.h"
#include "rpc/cli/cli.h"
#include "rpc/cli/interrupt.h"

enum { BUCKETS = 1024, MOST_IN_FLIGHT = 1024, PATIENCE_S = 600 };

/* An item that was begun and has not ended. */
struct item {
	struct item *next, *chain; /* of the list of all, oldest first; of its bucket */
	uint64_t number, id;       /* id: of its call; 0: it waits until retry_ns */
	uint64_t retry_ns, late_ns;
	int tries, put_off; /* put_off: tries that the server did not take */
	bool cancelled;
	struct arena memory; /* of what the pointers of tokens mean */
	struct text text;
	int32_t *ids;
	struct xv_token *tokens, *prompt;
	int n_ids, max_ids, n_tokens, max_tokens, n_prompt, max_prompt;
	char *fingerprint, *numerics_class, *tool_parser, *reasoning_parser;
	bool reasoning_open;
	uint64_t seed;
};

struct run {
	const struct pump *how;
	struct xv_client *client;
	struct item *first, **last, *bucket[BUCKETS];
	int open, window, most;
	bool all_taken, told, cancelled;
	uint64_t cancelled_ns;
	struct bar bar;
	struct pump_totals *out;
	struct why *why;
};

/* ---- items ---- */

static void forget_output(struct item *i)
{
	arena_finish(&i->memory);
	i->memory.budget = SIZE_MAX;
	i->text.len = 0;
	i->n_ids = i->n_tokens = i->n_prompt = 0;
	free(i->fingerprint);
	free(i->numerics_class);
	free(i->tool_parser);
	free(i->reasoning_parser);
	i->fingerprint = i->numerics_class = i->tool_parser = i->reasoning_parser = NULL;
}

static struct item *item_add(struct run *u, uint64_t number)
{
	struct item *i = xalloc(1, sizeof *i);

	i->number = number;
	i->memory.budget = SIZE_MAX;
	*u->last = i;
	u->last = &i->next;
	u->open++;
	return i;
}

static void unlink_call(struct run *u, struct item *i)
{
	struct item **at = &u->bucket[i->id % BUCKETS];

	while (i->id && *at && *at != i)
		at = &(*at)->chain;
	if (i->id && *at)
		*at = i->chain;
	i->id = 0;
}

static void item_end(struct run *u, struct item *i)
{
	struct item **at = &u->first;

	unlink_call(u, i);
	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	if (u->last == &i->next)
		u->last = at;
	u->open--;
	forget_output(i);
	text_finish(&i->text);
	free(i->ids);
	free(i->tokens);
	free(i->prompt);
	free(i);
}

static struct item *item_of(struct run *u, uint64_t id)
{
	struct item *i = u->bucket[id % BUCKETS];

	while (i && i->id != id)
		i = i->chain;
	return i;
}

/* ---- what arrives ---- */

static const char *copy(struct item *i, const char *from, size_t len)
{
	char *to = arena_take(&i->memory, len + 1);

	if (!to)
		die("out of memory: %zu bytes", len);
	memcpy(to, from, len);
	to[len] = 0;
	return to;
}

static void copy_token(struct item *i, struct xv_token *to, const struct xv_token *from)
{
	struct xv_top *top = arena_zeroed(&i->memory, (size_t)from->n_top, sizeof *top);

	*to = *from;
	to->piece = copy(i, from->piece, from->piece_len);
	for (int k = 0; k < from->n_top; k++) {
		top[k] = from->top[k];
		top[k].piece = copy(i, from->top[k].piece, from->top[k].piece_len);
	}
	to->top = top;
}

static void add_tokens(struct item *i, const struct xv_chunk *k)
{
	struct xv_token **to = k->prompt ? &i->prompt : &i->tokens;
	int *n = k->prompt ? &i->n_prompt : &i->n_tokens, *max = k->prompt ? &i->max_prompt : &i->max_tokens;

	if (*n + k->n_tokens > *max) {
		*max = 2 * (*n + k->n_tokens);
		*to = xgrow(*to, (size_t)*max, sizeof **to);
	}
	for (int t = 0; t < k->n_tokens; t++)
		copy_token(i, *to + (*n)++, &k->tokens[t]);
}

static void take_chunk(struct item *i, const struct xv_chunk *k)
{
	text_put(&i->text, k->text, k->text_len);
	if (i->n_ids + k->n_ids > i->max_ids) {
		i->max_ids = 2 * (i->n_ids + k->n_ids);
		i->ids = xgrow(i->ids, (size_t)i->max_ids, sizeof *i->ids);
	}
	if (k->n_ids)
		memcpy(i->ids + i->n_ids, k->ids, (size_t)k->n_ids * sizeof *k->ids);
	i->n_ids += k->n_ids;
	if (k->n_tokens)
		add_tokens(i, k);
}

static void take_started(struct item *i, const struct xv_started *s)
{
	free(i->fingerprint);
	free(i->numerics_class);
	free(i->tool_parser);
	free(i->reasoning_parser);
	i->fingerprint = xstrdup(s->fingerprint);
	i->numerics_class = xstrdup(s->numerics_class);
	i->tool_parser = xstrdup(s->tool_parser);
	i->reasoning_parser = xstrdup(s->reasoning_parser);
	i->reasoning_open = s->reasoning_open;
	i->seed = s->seed;
}

/* Hands the item's result over, and forgets the item. */
static int give(struct run *u, struct item *i, const struct xv_reply *last, int err, const char *error, bool retryable)
{
	struct pump_result r = {.item = i->number,
				.err = err,
				.error = error,
				.retryable = retryable,
				.tries = i->tries,
				.text = i->text.data ? i->text.data : "",
				.text_len = i->text.len,
				.ids = i->ids,
				.n_ids = i->n_ids,
				.tokens = i->tokens,
				.n_tokens = i->n_tokens,
				.prompt_tokens = i->prompt,
				.n_prompt_tokens = i->n_prompt,
				.fingerprint = i->fingerprint ? i->fingerprint : "",
				.numerics_class = i->numerics_class ? i->numerics_class : "",
				.tool_parser = i->tool_parser ? i->tool_parser : "",
				.reasoning_parser = i->reasoning_parser ? i->reasoning_parser : "",
				.reasoning_open = i->reasoning_open,
				.seed = i->seed,
				.reply = last};
	int end = u->how->done(u->how->arg, &r, u->why);

	if (end == PUMP_AGAIN) {
		unlink_call(u, i);
		forget_output(i);
		i->tries = i->put_off = 0;
		i->late_ns = 0;
		return 0;
	}
	u->out->done += end != PUMP_PART;
	u->out->failed += end != PUMP_PART && err != 0;
	item_end(u, i);
	return end < 0 ? end : 0;
}

static int take_finished(struct run *u, struct item *i, const struct xv_reply *r)
{
	if (r->kind == XV_R_FINISHED) {
		u->out->prompt_tokens += r->finished.prompt_tokens;
		u->out->cached_tokens += r->finished.cached_tokens;
		u->out->output_tokens += r->finished.output_tokens;
	}
	u->window = min_int(u->window + 1, u->most);
	if (r->kind == XV_R_FINISHED && r->finished.reason == XV_FINISH_CANCELLED && i->cancelled) {
		item_end(u, i); /* it stays undone */
		return 0;
	}
	if (r->kind == XV_R_FINISHED && r->finished.reason == XV_FINISH_CANCELLED)
		return give(u, i, NULL, ERR_CANCELLED, "cancelled on the server", false);
	return give(u, i, r, 0, "", false);
}

/* A full queue is no failure: the item waits, and fewer are kept in flight. */
static bool may_wait(struct run *u, struct item *i, const struct xv_error *e)
{
	uint64_t now = now_ns();

	if (!e->retryable || interrupt_count())
		return false;
	if (e->code == ERR_BUSY) {
		i->put_off++;
		u->window = max_int(1, min_int(u->window, u->open) * 7 / 8);
		return true;
	}
	i->late_ns = i->late_ns ? i->late_ns : now;
	return e->code == ERR_LOST_RANK ? i->tries - i->put_off <= u->how->retries
					: now - i->late_ns < PATIENCE_S * 1000 * NS_PER_MS;
}

static int take_error(struct run *u, struct item *i, const struct xv_error *e)
{
	enum { LEAST_MS = 50, PAUSE_MS = 500 };
	bool undone = i->cancelled || (interrupt_count() && e->retryable);

	unlink_call(u, i);
	if (undone) {
		item_end(u, i);
		return 0;
	}
	if (!may_wait(u, i, e))
		return give(u, i, NULL, e->code, e->text, e->retryable);
	forget_output(i);
	i->retry_ns = now_ns() +
		      (uint64_t)max_int(LEAST_MS, e->retry_after_ms ? (int)e->retry_after_ms : PAUSE_MS) * NS_PER_MS;
	return 0;
}

static int take(struct run *u, const struct xv_reply *r)
{
	struct item *i = r->id ? item_of(u, r->id) : NULL;

	if (!i || r->kind == XV_R_KEEP_ALIVE)
		return 0;
	if (r->kind == XV_R_STARTED)
		take_started(i, &r->started);
	else if (r->kind == XV_R_CHUNK)
		take_chunk(i, &r->chunk);
	else
		return r->kind == XV_R_ERROR ? take_error(u, i, &r->error) : take_finished(u, i, r);
	return 0;
}

/* ---- what is sent ---- */

static int send_item(struct run *u, struct item *i)
{
	struct xv_request r = {.kind = XV_NONE};
	struct why why = {""};
	int err = u->how->make(u->how->arg, i->number, &r, &why);

	i->tries++;
	i->retry_ns = 0;
	if (err)
		return give(u, i, NULL, err, why.text, false);
	i->id = xv_send(u->client, &r);
	i->chain = u->bucket[i->id % BUCKETS];
	u->bucket[i->id % BUCKETS] = i;
	return 0;
}

static int send_again(struct run *u)
{
	uint64_t now = now_ns();
	int err = 0;

	for (struct item *i = u->first, *next; i && !err; i = next) {
		next = i->next;
		if (!i->id && interrupt_count())
			item_end(u, i);
		else if (!i->id && now >= i->retry_ns)
			err = send_item(u, i);
	}
	return err;
}

static int send_new(struct run *u)
{
	uint64_t number;
	int got = 1;

	while (!u->all_taken && !interrupt_count() && u->open < u->window) {
		got = u->how->next(u->how->arg, &number, u->why);
		if (got < 0)
			return got;
		u->all_taken = !got;
		got = got ? send_item(u, item_add(u, number)) : 0;
		if (got < 0)
			return got;
	}
	return 0;
}

static void cancel_all(struct run *u)
{
	u->cancelled = true;
	u->cancelled_ns = now_ns();
	for (struct item *i = u->first, *next; i; i = next) {
		next = i->next;
		i->cancelled = true;
		if (!i->id || !xv_cancel(u->client, i->id))
			item_end(u, i);
	}
}

static void heed_signals(struct run *u)
{
	static const char *const unit = "item";

	if (interrupt_count() == 1 && !u->told) {
		u->all_taken = u->told = true;
		cli_say("%sxverse: finishing the %d %ss in flight (once more: cancel them)\n", u->bar.shown ? "\n" : "",
			u->open, u->how->unit ? u->how->unit : unit);
	}
	if (interrupt_count() > 1 && !u->cancelled)
		cancel_all(u);
}

/* ---- the run ---- */

/* What the server computes at a time, and as many that wait, so that its batches stay full. */
static int ask_window(struct run *u)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	int err;

	u->most = u->how->in_flight;
	if (u->most <= 0) {
		err = cli_ask(u->client, &r, &reply, u->why);
		if (err)
			return err;
		u->most = min_int(MOST_IN_FLIGHT, 2 * max_int(1, (int)reply.status.max_num_seqs));
	}
	u->window = u->most;
	return 0;
}

static void draw(struct run *u, bool last)
{
	char more[200] = "";

	if (u->how->tell && !u->how->quiet)
		u->how->tell(u->how->arg, more, sizeof more);
	u->bar.done = u->out->done;
	u->bar.failed = u->out->failed;
	u->bar.prompt_tokens = u->out->prompt_tokens;
	u->bar.cached_tokens = u->out->cached_tokens;
	bar_draw(&u->bar, more, last);
}

static int turn(struct run *u)
{
	enum { WAIT_MS = 100 };
	struct xv_reply r;
	int err = send_again(u), got = 1, wait = WAIT_MS;

	heed_signals(u);
	if (!err)
		err = send_new(u);
	for (; !err && u->open && got == 1; wait = 0) {
		got = xv_wait(u->client, &r, wait, u->why->text);
		err = got < 0 ? got : got ? take(u, &r) : 0;
		if (u->open < u->window && !u->all_taken)
			break;
	}
	draw(u, false);
	return err;
}

/* A server that hangs or starts again does not answer; the end of the connection cancels as well. */
static bool is_over(const struct run *u)
{
	enum { PATIENCE_MS = 2000 };

	return u->cancelled && now_ns() - u->cancelled_ns > PATIENCE_MS * NS_PER_MS;
}

static int run_all(struct run *u)
{
	int err = ask_window(u);

	while (!err && !is_over(u) && (u->open || (!u->all_taken && !interrupt_count())))
		err = turn(u);
	while (u->first) { /* after an error: they stay undone */
		if (u->first->id)
			xv_cancel(u->client, u->first->id);
		item_end(u, u->first);
	}
	draw(u, true);
	if (!err && interrupt_count())
		err = fail(u->why, ERR_CANCELLED, "interrupted");
	return err;
}

int pump_run(struct xv_client *c, const struct pump *how, struct pump_totals *out, struct why *why)
{
	struct run u = {.how = how, .client = c, .out = out, .why = why};
	uint64_t begin = now_ns();
	int resends = xv_resends(c), err;

	*out = (struct pump_totals){0};
	u.last = &u.first;
	u.bar = (struct bar){.unit = how->unit ? how->unit : "item",
			     .total = how->total,
			     .already = how->already,
			     .quiet = how->quiet,
			     .begin_ns = begin,
			     .drawn_ns = begin};
	interrupt_catch();
	err = run_all(&u);
	interrupt_release();
	out->seconds = (double)(now_ns() - begin) / 1e9;
	out->resends = xv_resends(c) - resends;
	return err;
}
