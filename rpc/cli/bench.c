/* bench.c - `xverse bench`: prompts of random tokens against a running daemon, over one connection. Without --rate a
 * new request follows each answer (closed loop). With it requests fall due at random (Poisson), and times count from
 * when a request was due, so that waiting for a place under --concurrency is not hidden. */
#include "rpc/cli/bench_report.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mix.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted++;
}

/* One open request. */
struct stream {
	uint64_t id;              /* 0: free */
	uint64_t due_ns, last_ns; /* last_ns: when its last token came; 0: none did */
};

struct bench {
	const struct args *a;
	struct xv_client *client;
	struct stream *stream; /* (a->concurrency) */
	int open, asked;
	uint64_t vocab, random, next_due_ns, begin_ns, shown_ns;
	int32_t *prompt; /* (a->input_len) */
	struct bench_result result;
	int err; /* the first failure */
	struct why why;
};

static uint64_t draw(struct bench *b)
{
	return mix_next(&b->random);
}

static double ms_since(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1e6 : 0;
}

static struct stream *find(struct bench *b, uint64_t id)
{
	for (int64_t i = 0; i < b->a->concurrency; i++)
		if (b->stream[i].id == id)
			return &b->stream[i];
	return NULL;
}

static void send_one(struct bench *b, uint64_t now)
{
	struct xv_request r = {.kind = XV_GENERATE};
	struct xv_sampling *s = &r.generate.sampling;
	struct stream *free_one = find(b, 0);

	for (int64_t i = 0; i < b->a->input_len; i++)
		b->prompt[i] = (int32_t)(draw(b) % b->vocab);
	r.generate.prompt = (struct xv_prompt){.text = "", .ids = b->prompt, .n_ids = (int)b->a->input_len};
	r.generate.user = "";
	s->max_tokens = (uint32_t)b->a->output_len;
	s->ignore_eos = true;
	s->seed = draw(b);
	s->has = 1u << XV_MAX_TOKENS | 1u << XV_IGNORE_EOS | 1u << XV_SEED;
	*free_one = (struct stream){.due_ns = b->a->rate > 0 ? b->next_due_ns : now};
	free_one->id = xv_send(b->client, &r);
	b->result.sent++;
	b->open++;
	if (b->a->rate > 0) {
		double u = ((double)(draw(b) >> 11) + 0.5) / 9007199254740992.0;
		b->next_due_ns += (uint64_t)(-log(u) / (double)b->a->rate * 1e9);
	}
}

static bool all_sent(const struct bench *b)
{
	return interrupted || b->result.sent >= b->asked;
}

static void send_due(struct bench *b)
{
	uint64_t now = now_ns();

	while (!all_sent(b) && b->open < b->a->concurrency && (b->a->rate <= 0 || b->next_due_ns <= now))
		send_one(b, now);
}

static int wait_ms(const struct bench *b)
{
	uint64_t now = now_ns();
	double left = b->next_due_ns > now ? (double)(b->next_due_ns - now) / 1e6 : 0;

	if (all_sent(b) || b->a->rate <= 0 || b->open >= b->a->concurrency)
		return 100;
	return left < 100 ? (int)left + 1 : 100;
}

static void take_tokens(struct bench *b, struct stream *s, int n)
{
	uint64_t now = now_ns();

	if (!n)
		return;
	if (!s->last_ns) {
		samples_add(&b->result.first, ms_since(s->due_ns, now), 1);
		n--; /* of several that come first, the others count from it */
		s->last_ns = now;
	}
	if (n)
		samples_add(&b->result.between, ms_since(s->last_ns, now) / n, n);
	s->last_ns = now;
}

static void end(struct bench *b, struct stream *s)
{
	s->id = 0;
	b->open--;
}

static void take_finished(struct bench *b, struct stream *s, const struct xv_finished *f)
{
	b->result.prompt_tokens += f->prompt_tokens;
	b->result.output_tokens += f->output_tokens;
	b->result.cached_tokens += f->cached_tokens;
	if (f->reason != XV_FINISH_CANCELLED) {
		samples_add(&b->result.whole, ms_since(s->due_ns, now_ns()), 1);
		b->result.done++;
	}
	end(b, s);
}

static void take_error(struct bench *b, struct stream *s, const struct xv_error *e)
{
	if (!b->err)
		b->err = cli_error(e, &b->why);
	b->result.failed++;
	if (e->code < 0 && -e->code < BENCH_CODES)
		b->result.errors[-e->code]++;
	end(b, s);
}

static void take(struct bench *b, const struct xv_reply *r)
{
	struct stream *s = r->id ? find(b, r->id) : NULL;

	if (!s)
		return;
	if (r->kind == XV_R_CHUNK && !r->chunk.prompt)
		take_tokens(b, s, r->chunk.n_ids);
	else if (r->kind == XV_R_FINISHED)
		take_finished(b, s, &r->finished);
	else if (r->kind == XV_R_ERROR)
		take_error(b, s, &r->error);
}

static void show_progress(struct bench *b, bool last)
{
	uint64_t now = now_ns();

	if (b->a->json || !isatty(STDERR_FILENO) || (!last && now - b->shown_ns < 250000000u))
		return;
	b->shown_ns = now;
	fprintf(stderr, "\r%d of %d requests answered, %d open, %zu tokens \033[K%s", b->result.done + b->result.failed,
		b->asked, b->open, b->result.first.n + b->result.between.n, last ? "\r\033[K" : "");
}

static void cancel_all(struct bench *b)
{
	cli_say("xverse: cancelling %d requests (once more: end at once)\n", b->open);
	for (int64_t i = 0; i < b->a->concurrency; i++)
		if (b->stream[i].id && !xv_cancel(b->client, b->stream[i].id))
			end(b, &b->stream[i]);
}

/* 0, or the connection's end. */
static int run_load(struct bench *b)
{
	struct xv_reply r;
	bool cancelled = false;

	while (b->open || !all_sent(b)) {
		int got;
		send_due(b);
		got = xv_wait(b->client, &r, wait_ms(b), b->why.text);
		if (got < 0)
			return got;
		if (got)
			take(b, &r);
		if (interrupted > 1)
			return 0;
		if (interrupted && !cancelled) {
			cancelled = true;
			cancel_all(b);
		}
		show_progress(b, false);
	}
	return 0;
}

static int ask_model(struct bench *b)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	int err = cli_ask(b->client, &r, &reply, &b->why);

	if (err)
		return err;
	b->result.model = xstrdup(reply.status.model);
	b->result.numerics_class = xstrdup(reply.status.numerics_class);
	b->result.ranks = reply.status.ranks;
	b->vocab = reply.status.vocab;
	if (reply.status.state != XV_STATE_READY)
		return fail(&b->why, reply.status.state == XV_STATE_DRAINING ? ERR_DRAINING : ERR_LOADING,
			    "the server is %s", state_name(reply.status.state));
	if (!b->vocab)
		return fail(&b->why, ERR_FORMAT, "the server reports no vocabulary, so no prompts can be made");
	if ((uint64_t)b->a->input_len + (uint64_t)b->a->output_len > reply.status.max_model_len)
		return fail(&b->why, ERR_INVALID,
			    "--input-len %lld and --output-len %lld are more than the server's %u tokens",
			    (long long)b->a->input_len, (long long)b->a->output_len, reply.status.max_model_len);
	return 0;
}

static int measure(struct bench *b)
{
	int err = ask_model(b);

	if (err)
		return err;
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	b->begin_ns = b->next_due_ns = now_ns();
	err = run_load(b);
	b->result.seconds = (double)(now_ns() - b->begin_ns) / 1e9;
	b->result.interrupted = interrupted != 0;
	if (err)
		b->result.failed += b->open;
	show_progress(b, true);
	samples_sort(&b->result.first);
	samples_sort(&b->result.between);
	samples_sort(&b->result.whole);
	if (b->a->json)
		json_print(bench_json(b->a, &b->result));
	else
		bench_table(b->a, &b->result);
	return err ? err : b->err;
}

int run_bench(struct args *a, struct xv_client *c)
{
	struct bench b = {.a = a, .client = c, .random = a->sampling.seed};
	int err;

	a->concurrency = a->concurrency ? a->concurrency : 8;
	a->input_len = a->input_len ? a->input_len : 64;
	a->output_len = a->output_len ? a->output_len : 64;
	b.asked = a->requests ? (int)a->requests : 4 * (int)a->concurrency;
	b.stream = xalloc((size_t)a->concurrency, sizeof *b.stream);
	b.prompt = xalloc((size_t)a->input_len, sizeof *b.prompt);
	err = measure(&b);
	fflush(stdout);
	if (err)
		cli_say("xverse: %s\n", b.why.text);
	free(b.stream);
	free(b.prompt);
	bench_finish(&b.result);
	return interrupted ? EXIT_INTERRUPTED : cli_exit_code(err);
}
