/* Tokenize, Detokenize, Template and Parse. */
#include "daemon/front/inside.h"

#include <stdlib.h>

#include "rpc/frame.h"

static void send_ids(struct front *f, uint64_t call, const struct ids *ids)
{
	struct xv_reply reply = {.kind = XV_R_TOKENS, .tokens = {.ids = ids->id, .n_ids = ids->n}};

	rpc_send(f->server, call, &reply);
}

enum { TEXTS_MOST = 8192, TEXT_BYTES = 256 /* of one; the rest is left out, as in TokenInfo */ };

/* What the tokens stand for alone; NULL where they are too many, or memory has run out. */
static const char **make_texts(const struct front *f, const struct ids *ids, size_t *lens, char **bytes)
{
	size_t n = (size_t)ids->n, at = 0;
	const char **texts = n <= TEXTS_MOST ? heap_take(n, sizeof *texts) : NULL;

	*bytes = texts ? heap_take(n, TEXT_BYTES) : NULL;
	for (size_t i = 0; *bytes && i < n; i++) {
		texts[i] = *bytes + at;
		lens[i] = tokenizer_token_text(f->tokenizer, ids->id[i], *bytes + at, TEXT_BYTES);
		at += lens[i];
	}
	return *bytes ? texts : NULL;
}

static void send_pieces(struct front *f, uint64_t call, const struct ids *ids)
{
	struct xv_reply reply = {.kind = XV_R_TOKENS};
	size_t n = (size_t)ids->n, *lens = heap_take(2 * n, sizeof *lens);
	const char **pieces = heap_take(n, sizeof *pieces), **texts = NULL;
	uint32_t *first = heap_take(n, sizeof *first), *end = heap_take(n, sizeof *end);
	char *bytes = NULL;

	if (pieces && lens && first && end) {
		for (size_t i = 0; i < n; i++) {
			pieces[i] = tokenizer_piece(f->tokenizer, ids->id[i], &lens[i]);
			first[i] = ids->offset[i].first;
			end[i] = ids->offset[i].end;
		}
		texts = make_texts(f, ids, lens + n, &bytes);
		reply.tokens = (struct xv_tokens){ids->id, ids->n, pieces, lens, texts, lens + n, first, end};
		rpc_send(f->server, call, &reply);
	} else {
		front_error(f, call, ERR_BUSY, "out of memory for the reply");
	}
	free(pieces);
	free(texts);
	free(bytes);
	free(lens);
	free(first);
	free(end);
}

static void send_text(struct front *f, const struct front_job *job)
{
	struct xv_reply reply = {.kind = XV_R_TEXT, .text = {job->out.s, job->out.len}};

	rpc_send(f->server, job->call, &reply);
}

static void send_rendered(struct front *f, const struct front_job *job)
{
	struct xv_reply reply = {.kind = XV_R_RENDERED,
				 .rendered = {job->out.s, job->out.len, job->ids.id, job->ids.n}};

	rpc_send(f->server, job->call, &reply);
}

static void send_parsed(struct front *f, const struct front_job *job)
{
	struct xv_reply reply = {.kind = XV_R_PARSED};

	front_parsed_get(job->parsed, &reply.parsed);
	rpc_send(f->server, job->call, &reply);
}

static void send_job(struct front *f, struct front_job *job)
{
	if (job->err)
		front_error(f, job->call, job->err, job->why.text);
	else if (job->kind == JOB_DECODE)
		send_text(f, job);
	else if (job->kind == JOB_PARSE)
		send_parsed(f, job);
	else if (job->kind == JOB_CHAT)
		send_rendered(f, job);
	else if (job->ids.want_offsets)
		send_pieces(f, job->call, &job->ids);
	else
		send_ids(f, job->call, &job->ids);
}

/* Bytes of the reply that one token takes at least: its id, or its piece, with a head, and two offsets. */
enum { OF_ID = 1, OF_PIECE = 6 };

static int fill_job(struct front *f, struct front_job *job, const struct xv_request *r)
{
	if (r->kind == XV_TEMPLATE) {
		job->kind = JOB_CHAT;
		job->chat = f->chat;
		job->said = r->chat;
		job->want_text = true;
		job->ids.most = FRAME_LIMIT / OF_ID;
		return front_check_chat(f, &job->why);
	}
	if (!f->tokenizer)
		return fail(&job->why, ERR_UNSUPPORTED, "this model has no tokenizer");
	if (r->kind == XV_PARSE) {
		job->kind = JOB_PARSE;
		job->parse = r->parse;
		return 0;
	}
	if (r->kind == XV_DETOKENIZE) {
		job->kind = JOB_DECODE;
		job->pieces = r->detokenize.ids;
		job->n_pieces = r->detokenize.n_ids;
		job->skip_special = r->detokenize.skip_special;
		return front_check_ids(f, job->pieces, job->n_pieces, "ids", &job->why);
	}
	job->text = r->tokenize.text;
	job->len = r->tokenize.text_len;
	job->how = (struct encode_options){.add_special = r->tokenize.add_special,
					   .parse_special = r->tokenize.parse_special};
	job->ids.want_offsets = r->tokenize.pieces;
	job->ids.most = FRAME_LIMIT / (r->tokenize.pieces ? OF_PIECE : OF_ID);
	return 0;
}

/* A job for a helper thread, with its request, which counts in its client's share. */
struct kept {
	struct front_job job;
	struct front_stake stake;
};

static void end_job(struct front_job *job)
{
	struct kept *k = (struct kept *)job;

	front_job_finish(job);
	front_stake_close(&k->stake);
	free(k);
}

static void hand_over(struct front *f, const struct front_job *job, const struct rpc_peer *peer, struct xv_request *r)
{
	struct kept *k = xalloc(1, sizeof *k);

	k->job = *job;
	k->job.keep = xalloc(1, sizeof *r);
	*k->job.keep = *r;
	front_stake_open(&k->stake, &f->accounts, peer->uid, peer->owner, &r->asker);
	k->job.err = front_stake_hold(&k->stake, SHARE_BYTES, (int64_t)rpc_request_bytes(r), &k->job.why);
	if (!k->job.err) {
		front_helpers_put(&f->helpers, &k->job);
		return;
	}
	send_job(f, &k->job);
	end_job(&k->job);
}

void front_tokenized(struct front *f, struct front_job *job)
{
	send_job(f, job);
	end_job(job);
}

void front_tokenize(struct front *f, uint64_t call, const struct rpc_peer *peer, struct xv_request *r)
{
	struct front_job job = {.call = call, .client = front_accounts_turn(&f->accounts, peer->uid, &r->asker)};

	job.err = fill_job(f, &job, r);
	if (job.err || front_job_is_short(&job)) {
		if (!job.err)
			front_job_run(&job, f->tokenizer);
		send_job(f, &job);
		front_job_finish(&job);
		rpc_request_free(r);
		return;
	}
	hand_over(f, &job, peer, r);
}
