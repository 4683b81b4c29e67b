/* ask.c - the commands with one answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rpc/cli/cli.h"
#include "rpc/cli/interrupt.h"

int cli_exit_code(int err)
{
	switch (err) {
	case 0:
		return 0;
	case ERR_BUSY:
	case ERR_LOADING:
	case ERR_DRAINING:
		return EXIT_AGAIN;
	case ERR_GONE:
	case ERR_DENIED:
		return EXIT_UNREACHABLE;
	case ERR_INVALID:
	case ERR_LIMIT:
	case ERR_UNSUPPORTED:
	case ERR_UNKNOWN:
		return EXIT_USAGE;
	default:
		return EXIT_SOFTWARE;
	}
}

/* The code's text is left out where the server's own text says the same. */
int cli_error(const struct xv_error *e, struct why *why)
{
	const char *kind = err_text(e->code);
	bool same = !strcmp(kind, e->text);
	char later[48] = "";

	if (e->retry_after_ms)
		snprintf(later, sizeof later, " (try again in %u ms)", e->retry_after_ms);
	return fail(why, e->code, "%s%s%s%s", same ? "" : kind, same ? "" : ": ", e->text, later);
}

bool cli_quiet(struct cli_quiet *q, bool heard)
{
	enum { QUIET_MS = 3000 };
	uint64_t now = now_ns();

	if (heard || !q->heard_ns) {
		q->heard_ns = now;
		q->said = false;
	}
	if (q->said || now - q->heard_ns < QUIET_MS * NS_PER_MS)
		return false;
	return q->said = true;
}

void cli_listen(struct cli_quiet *q, bool heard)
{
	if (cli_quiet(q, heard))
		cli_say("xverse: " CLI_QUIET "\n");
}

int cli_ask(struct xv_client *c, struct xv_request *r, struct xv_reply *out, struct why *why)
{
	uint64_t id = xv_send(c, r);
	struct cli_quiet quiet = {0};

	for (;;) {
		int got = xv_wait(c, out, 1000, why->text);

		cli_listen(&quiet, got == 1);
		if (got < 0)
			return got;
		if (interrupt_count())
			return fail(why, ERR_CANCELLED, "interrupted");
		if (got == 0 || out->id != id || out->kind == XV_R_KEEP_ALIVE)
			continue;
		return out->kind == XV_R_ERROR ? cli_error(&out->error, why) : 0;
	}
}

int cli_give_up(int err, const struct why *why)
{
	cli_say("xverse: %s\n", why->text);
	return cli_exit_code(err);
}

static json_t *json_of_tokens(const struct xv_tokens *t)
{
	json_t *j = json_object(), *ids = json_array(), *pieces = json_array(), *texts = json_array(),
	       *first = json_array(), *end = json_array();

	for (int i = 0; i < t->n_ids; i++) {
		json_array_append_new(ids, json_integer(t->ids[i]));
		if (!t->pieces)
			continue;
		json_array_append_new(pieces, json_text(t->pieces[i], t->piece_len[i]));
		if (t->texts)
			json_array_append_new(texts, json_text(t->texts[i], t->text_len[i]));
		json_array_append_new(first, json_integer(t->first[i]));
		json_array_append_new(end, json_integer(t->end[i]));
	}
	json_object_set_new(j, "ids", ids);
	json_object_set_new(j, "pieces", pieces);
	json_object_set_new(j, "texts", texts);
	json_object_set_new(j, "first", first);
	json_object_set_new(j, "end", end);
	return j;
}

static void print_tokens(const struct xv_tokens *t)
{
	struct text out = {0};

	if (t->pieces)
		text_str(&out, "# id\tfirst\tend\ttoken\n");
	for (int i = 0; i < t->n_ids; i++) {
		if (!t->pieces) {
			text_fmt(&out, "%s%d", i ? " " : "", t->ids[i]);
			continue;
		}
		text_fmt(&out, "%d\t%u\t%u\t", t->ids[i], t->first[i], t->end[i]);
		cli_piece(&out, t->texts ? t->texts[i] : t->pieces[i], t->texts ? t->text_len[i] : t->piece_len[i]);
		text_str(&out, "\n");
	}
	if (!t->pieces)
		text_str(&out, "\n");
	cli_write(out.data, out.len);
	text_finish(&out);
}

int run_tokenize(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_TOKENIZE};
	struct xv_reply reply;
	struct why why;
	int err;

	r.tokenize.text = a->text;
	r.tokenize.text_len = a->text_len;
	r.tokenize.add_special = !a->no_special;
	r.tokenize.parse_special = a->parse_special;
	r.tokenize.pieces = a->pieces;
	err = cli_ask(c, &r, &reply, &why);
	if (err)
		return cli_give_up(err, &why);
	if (a->json)
		json_print(json_of_tokens(&reply.tokens));
	else
		print_tokens(&reply.tokens);
	return 0;
}

int run_detokenize(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_DETOKENIZE};
	struct xv_reply reply;
	struct why why;
	int err;

	r.detokenize.ids = a->ids.id;
	r.detokenize.n_ids = a->ids.n;
	err = cli_ask(c, &r, &reply, &why);
	if (err)
		return cli_give_up(err, &why);
	if (a->json)
		json_print(json_pack("{s:o}", "text", json_text(reply.text.text, reply.text.text_len)));
	else
		cli_write(reply.text.text, reply.text.text_len);
	return 0;
}

int run_cancel(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_CANCEL};
	struct xv_reply reply;
	struct why why;
	int err;

	if (!a->has_call)
		return cli_give_up(fail(&why, ERR_INVALID, "which call? xverse cancel NUMBER"), &why);
	r.cancel.has_call = true;
	r.cancel.call = (uint64_t)a->call;
	err = cli_ask(c, &r, &reply, &why);
	if (err)
		return cli_give_up(err, &why);
	if (a->json)
		json_print(json_pack("{s:i}", "count", (int)reply.done.count));
	else
		cli_print("%u cancelled\n", reply.done.count);
	return 0;
}

int run_drain(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_DRAIN};
	struct xv_reply reply;
	struct why why;
	int err = cli_ask(c, &r, &reply, &why);

	(void)a;
	if (err)
		return cli_give_up(err, &why);
	cli_say("the server is draining: it stops when its open calls have ended\n");
	return 0;
}

int run_metrics(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_METRICS};
	struct xv_reply reply;
	struct why why;
	int err = cli_ask(c, &r, &reply, &why);

	(void)a;
	if (err)
		return cli_give_up(err, &why);
	cli_write(reply.text.text, reply.text.text_len);
	return 0;
}

int run_log_level(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_LOG_LEVEL};
	struct xv_reply reply;
	struct why why;
	int err;

	if (!a->has_call || a->level > LOG_DEBUG)
		return cli_give_up(fail(&why, ERR_INVALID, "which level? 0 errors, 1 warnings, 2 information, 3 debug"),
				   &why);
	r.log_level.level = (uint32_t)a->level;
	err = cli_ask(c, &r, &reply, &why);
	return err ? cli_give_up(err, &why) : 0;
}
