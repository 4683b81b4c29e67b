#include "rpc/cli/batch/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"
#include "base/text.h"
#include "rpc/cli/batch/output.h"
#include "rpc/cli/batch/part.h"
#include "rpc/cli/batch/run.h"
#include "rpc/cli/spawn.h"

struct batch {
	struct args *a;
	struct batch_input in;
	struct spawn *spawn;
	struct xv_client *client;
	struct batch_run run;
	struct pump_totals totals;
	struct batch_part part;
	char *out, *journal_path; /* of the part */
	char *model, *fingerprint, *numerics_class;
	struct batch_adapter *adapter; /* [n_adapters] */
	int n_adapters;
	struct why why;
};

static int check_args(struct batch *b)
{
	const struct batch_args *a = &b->a->batch;

	if (!a->in)
		return fail(&b->why, ERR_INVALID, "batch: which file of requests? (xverse batch --help)");
	if (!a->out)
		return fail(&b->why, ERR_INVALID, "batch: --output FILE is missing: where the answers go");
	if ((a->server || a->ranks) && !a->model)
		return fail(&b->why, ERR_INVALID, "batch: --%s for the daemon that --model starts",
			    a->server ? "server-options are" : "ranks is");
	if (a->part && batch_part_parse(&b->part, a->part, &b->why))
		return ERR_INVALID;
	b->out = b->part.of ? batch_part_path(a->out, b->part.at, b->part.of) : xstrdup(a->out);
	b->journal_path = xprintf("%s.journal", b->out);
	return batch_output_check(a->in, b->out, b->journal_path, &b->why);
}

/* ---- the server ---- */

static int connect_to(struct batch *b, const char *path)
{
	const char *given = b->a->uds;
	int err;

	b->a->uds = path;
	err = cli_connect(&b->client, b->a, false, &b->why);
	b->a->uds = given;
	return err ? err : loading_wait(b->client, &b->why);
}

/* The words of a text, from [1] on, ended by NULL; [0] is their memory, for free(). */
static char **split(const char *text)
{
	char *copy = xstrdup(text ? text : ""), **words = xalloc(strlen(copy) / 2 + 3, sizeof *words), *rest, *word;
	int n = 1;

	words[0] = copy;
	for (word = strtok_r(copy, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest))
		words[n++] = word;
	return words;
}

/* Whether a server runs where --uds or XVERSE_SOCKET says. One that only has the default socket was not asked for: it
 * may serve another model. */
static bool named_runs(struct batch *b)
{
	const char *named = b->a->uds ? b->a->uds : getenv("XVERSE_SOCKET");
	struct xv_options how = {.path = named, .connect_timeout_ms = 2000};

	if (!named || !*named || xv_connect(&b->client, &how, b->why.text))
		return false;
	xv_close(b->client);
	b->client = NULL;
	return true;
}

static int find_server(struct batch *b)
{
	const struct batch_args *a = &b->a->batch;
	bool runs = a->model && named_runs(b);
	char **options;
	int err;

	if (runs)
		cli_say("xverse: the server that is named runs and is used; --model %s starts none\n", a->model);
	if (runs || !a->model)
		return connect_to(b, b->a->uds);
	options = split(a->server);
	err = spawn_start(&b->spawn, a->model, a->ranks ? (int)a->ranks : 1, (const char *const *)options + 1,
			  b->a->uds, &b->why);
	free(options[0]);
	free(options);
	if (!err)
		err = spawn_ready(b->spawn, &b->why);
	return err ? err : connect_to(b, spawn_socket(b->spawn));
}

static int ask_model(struct batch *b)
{
	struct xv_request r = {.kind = XV_STATUS};
	struct xv_reply reply;
	int err = cli_ask(b->client, &r, &reply, &b->why);

	if (err)
		return err;
	b->model = xstrdup(reply.status.model);
	b->fingerprint = xstrdup(reply.status.fingerprint);
	b->numerics_class = xstrdup(reply.status.numerics_class);
	b->adapter = xalloc((size_t)reply.status.n_adapter + 1, sizeof *b->adapter);
	for (int i = 0; i < reply.status.n_adapter; i++) {
		const struct xv_adapter *a = &reply.status.adapter[i];
		if (a->state == XV_ADAPTER_READY)
			b->adapter[b->n_adapters++] = (struct batch_adapter){xstrdup(a->name), xstrdup(a->fingerprint)};
	}
	return 0;
}

/* ---- the journal ---- */

static void put_numbers(struct text *t, const struct xv_sampling *s)
{
#define PUT(NAME, field, form, as) \
	if (s->has >> XV_##NAME & 1) \
		text_fmt(t, ",\"" #field "\":" form, as s->field);
#define REAL(NAME, field, ...) PUT(NAME, field, "%.9g", (double))
#define WHOLE(NAME, type, field, ...) PUT(NAME, field, "%" PRIu64, (uint64_t))
#define SWITCH(NAME, field, ...) PUT(NAME, field, "%d", )
#include "proto/sampling.def"
#undef PUT
	for (int i = 0; i < s->n_stop; i++) {
		text_fmt(t, ",\"stop%d\":", i);
		text_json_str(t, s->stop[i]);
	}
	for (int i = 0; i < s->n_stop_ids; i++)
		text_fmt(t, ",\"stop_id%d\":%d", i, s->stop_ids[i]);
}

/* All that decides the answers; of a part, or what all parts share. */
static char *make_head(const struct batch *b, bool shared)
{
	struct text t = {0};

	text_fmt(&t, "{\"input_bytes\":%" PRIu64 ",\"input\":\"%016" PRIx64 "\",\"model\":", b->in.bytes, b->in.hash);
	text_json_str(&t, b->model);
	text_fmt(&t, ",\"fingerprint\":\"%s\",\"numerics_class\":\"%s\",\"seed\":%" PRIu64, b->fingerprint,
		 b->numerics_class, b->a->sampling.seed);
	for (int i = 0; i < b->n_adapters; i++) { /* names have no quotes and no control characters */
		text_fmt(&t, ",\"adapter %s\":", b->adapter[i].name);
		text_json_str(&t, b->adapter[i].fingerprint);
	}
	if (b->part.of && shared)
		text_fmt(&t, ",\"parts\":%d", b->part.of);
	else if (b->part.of)
		text_fmt(&t, ",\"part\":\"%d/%d\"", b->part.at, b->part.of);
	put_numbers(&t, &b->a->sampling);
	text_str(&t, "}");
	return t.data;
}

/* Answers of different numerics classes, as GPUs of two kinds give them, must not end up in one output unnoticed. */
static int agree(struct batch *b)
{
	char *head = make_head(b, true);
	int err = b->part.of ? batch_part_agree(b->a->batch.out, head, &b->why) : 0;

	free(head);
	if (err == ERR_MISMATCH)
		strncat(b->why.text, " (without that file and all parts it begins anew)",
			sizeof b->why.text - strlen(b->why.text) - 1);
	return err;
}

static int open_journal(struct batch *b)
{
	struct journal_options how = {
		.path = b->journal_path, .resume = true, .fresh = b->a->batch.fresh, .sync_ms = 500};
	char *head = make_head(b, false);
	int err;

	how.head = head;
	err = journal_open(&b->run.journal, &how, &b->why);
	free(head);
	if (err == ERR_MISMATCH)
		strncat(b->why.text, " (--fresh begins anew)", sizeof b->why.text - strlen(b->why.text) - 1);
	return err == ERR_FORMAT ? ERR_MISMATCH : err; /* another file of that name */
}

/* ---- the end ---- */

static void say_totals(const struct batch *b)
{
	const struct pump_totals *t = &b->totals;
	double tokens = (double)t->output_tokens;

	cli_say("xverse: %s: %d lines, %" PRIu64
		" answered now in %.1f s (%.1f tokens/s, %.0f %% of prompts from the cache)",
		b->out, b->in.n, t->done - t->failed, t->seconds, t->seconds > 0 ? tokens / t->seconds : 0.0,
		t->prompt_tokens ? 100.0 * (double)t->cached_tokens / (double)t->prompt_tokens : 0.0);
	if (b->run.refused)
		cli_say(", %" PRIu64 " refused", b->run.refused);
	if (t->resends)
		cli_say(", %d requests sent again after a loss", t->resends);
	cli_say("\n");
	if (b->run.refused || b->run.failed)
		cli_say("xverse: first error: %s\n", b->run.first_error);
}

/* On a full disk what is answered is kept, and the same command goes on. What does not fit together ends in the same
 * way each time. */
static int code_of(int err)
{
	switch (err) {
	case ERR_CANCELLED:
		return EXIT_INTERRUPTED;
	case ERR_LIMIT:
		return EXIT_AGAIN;
	case ERR_MISMATCH:
		return EXIT_USAGE;
	default:
		return cli_exit_code(err);
	}
}

static int give_up_output(struct batch *b, int err)
{
	cli_say("xverse: %s\n", b->why.text);
	return code_of(err);
}

/* Before anything is asked: the command line, or a file that it names, must be mended. */
static int refuse(const struct batch *b)
{
	cli_say("xverse: %s\n", b->why.text);
	return EXIT_USAGE;
}

/* The part that ends last makes the whole output. */
static int join(struct batch *b)
{
	bool joined = false;
	int err = b->part.of ? batch_part_join(b->a->batch.out, b->part.of, &joined, &b->why) : 0;

	if (joined)
		batch_output_date(&b->in, b->a->batch.out);
	if (joined && !b->a->json)
		cli_say("xverse: %s: all %d parts are joined\n", b->a->batch.out, b->part.of);
	return err ? give_up_output(b, err) : EXIT_OK;
}

/* The output appears whole; the journal stays while lines may still get an answer. */
static int finish(struct batch *b)
{
	uint64_t undone = batch_undone(&b->run), refused = batch_refused(&b->run);
	int err = journal_final_of(b->run.journal, (uint64_t)b->in.n, batch_pick, &b->run, b->out, &b->why);

	if (err)
		return give_up_output(b, err);
	batch_output_date(&b->in, b->out);
	if (!b->a->json)
		say_totals(b);
	if (undone) {
		cli_say("xverse: %" PRIu64 " lines have an error that may pass; the same command tries them again\n",
			undone);
		return EXIT_AGAIN;
	}
	journal_remove(b->run.journal);
	b->run.journal = NULL;
	err = join(b);
	return err || !refused ? err : EXIT_INPUT;
}

static int give_up(struct batch *b, int err)
{
	cli_say("xverse: %s\n", b->why.text);
	if (b->run.journal)
		cli_say("xverse: %" PRIu64 " of %d answers are kept in %s; the same command goes on\n",
			(uint64_t)b->in.n - batch_undone(&b->run), b->in.n, b->journal_path);
	return code_of(err);
}

static int run_lines(struct batch *b)
{
	const struct args *a = b->a;
	int64_t in_flight = a->eval.in_flight > 0 ? a->eval.in_flight : 0;

	b->run.in = &b->in;
	b->run.defaults = &a->sampling;
	b->run.model = b->model;
	b->run.adapter = b->adapter;
	b->run.n_adapters = b->n_adapters;
	b->run.fingerprint = b->fingerprint;
	b->run.numerics_class = b->numerics_class;
	return batch_run(&b->run, b->client, (int)in_flight, (int)(a->batch.retries < 0 ? 3 : a->batch.retries),
			 a->json, &b->totals, &b->why);
}

/* A part of fewer lines than parts may be empty. */
static int finish_empty(struct batch *b)
{
	FILE *f = fopen(b->out, "we");

	if (!f || fclose(f))
		return give_up_output(
			b, fail(&b->why, file_write_error(errno), "%s: %s", b->out, file_error(b->out, errno)));
	batch_output_date(&b->in, b->out);
	return join(b);
}

/* Whether an earlier run has answered all, then *code is set. */
static bool is_complete(struct batch *b, const char *out, const char *journal, int *err, int *code)
{
	bool complete = false;
	uint64_t refused = 0;

	if (!*err && !b->a->batch.fresh)
		*err = batch_output_look(&b->in, out, journal, &complete, &refused, &b->why);
	if (!complete)
		return false;
	cli_say("xverse: %s is complete; --fresh computes it again\n", out);
	*code = refused ? EXIT_INPUT : EXIT_OK;
	return true;
}

/* All parts together may be complete already. */
static bool take_part(struct batch *b, int *err, int *code)
{
	const struct batch_args *a = &b->a->batch;
	const struct batch_part *p = &b->part;
	int n = b->in.n;

	if (*err || !p->of)
		return false;
	if (is_complete(b, a->out, b->journal_path, err, code))
		return true;
	if (!*err)
		batch_input_keep(&b->in, batch_part_first(p->at, p->of, n), batch_part_first(p->at + 1, p->of, n),
				 a->as_is);
	return false;
}

static int run_all(struct batch *b)
{
	int err = check_args(b), code = EXIT_OK;

	if (!err)
		err = batch_input_open(&b->in, b->a->batch.in, b->a->batch.as_is, &b->why);
	if (take_part(b, &err, &code))
		return code;
	if (is_complete(b, b->out, b->journal_path, &err, &code)) {
		err = join(b);
		return err ? err : code;
	}
	if (err)
		return refuse(b);
	if (!b->in.n)
		return finish_empty(b);
	err = find_server(b);
	if (!err)
		err = ask_model(b);
	if (!err)
		err = agree(b);
	if (!err)
		err = open_journal(b);
	if (!err)
		err = run_lines(b);
	return err ? give_up(b, err) : finish(b);
}

int run_batch(struct args *a)
{
	struct batch b = {.a = a, .in.fd = -1};
	int code = run_all(&b);

	journal_close(b.run.journal);
	xv_close(b.client);
	spawn_stop(b.spawn);
	batch_input_close(&b.in);
	free(b.out);
	free(b.journal_path);
	for (int i = 0; i < b.n_adapters; i++) {
		free(b.adapter[i].name);
		free(b.adapter[i].fingerprint);
	}
	free(b.adapter);
	free(b.model);
	free(b.fingerprint);
	free(b.numerics_class);
	return code;
}
