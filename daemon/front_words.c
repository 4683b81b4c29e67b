/* Tokenize and Detokenize. */
#include "daemon/front.h"
#include "rpc/frame.h"

#include <stdlib.h>

static void send_ids(struct front *f, uint64_t call, const struct ids *ids)
{
	struct rpc_reply reply = {.kind = RPC_R_TOKENS, .tokens = {.ids = ids->id, .n_ids = ids->n}};

	rpc_send(f->server, call, &reply);
}

static void send_pieces(struct front *f, uint64_t call, const struct ids *ids)
{
	struct rpc_reply reply = {.kind = RPC_R_TOKENS};
	size_t n = (size_t)ids->n, *lens = xalloc(n, sizeof *lens);
	const char **pieces = xalloc(n, sizeof *pieces);
	uint32_t *first = xalloc(n, sizeof *first), *end = xalloc(n, sizeof *end);

	for (size_t i = 0; i < n; i++) {
		pieces[i] = tokenizer_piece(f->tokenizer, ids->id[i], &lens[i]);
		first[i] = ids->offset[i].first;
		end[i] = ids->offset[i].end;
	}
	reply.tokens = (struct rpc_tokens){ids->id, ids->n, pieces, lens, first, end};
	rpc_send(f->server, call, &reply);
	free(pieces);
	free(lens);
	free(first);
	free(end);
}

static struct words_job tokenize_job(uint64_t call, const struct rpc_request *r)
{
	return (struct words_job){
		.call = call,
		.text = r->tokenize.text,
		.len = r->tokenize.text_len,
		.how = {.add_special = r->tokenize.add_special, .parse_special = r->tokenize.parse_special},
		.ids = {.want_offsets = r->tokenize.pieces}};
}

/* Before an answer that no frame holds is built: its bytes, at least. */
static int check_answer(struct words_job *job)
{
	size_t each = job->ids.want_offsets ? 6 : 1, least = each * (size_t)job->ids.n;

	if (least <= FRAME_LIMIT)
		return 0;
	return fail(&job->why, ERR_LIMIT,
		    "an answer of %d tokens is larger than a frame may be: send the text in parts",
		    job->ids.n);
}

void front_send_tokens(struct front *f, struct words_job *job)
{
	if (!job->err)
		job->err = check_answer(job);
	if (job->err)
		front_error(f, job->call, job->err, job->why.text);
	else if (job->ids.want_offsets)
		send_pieces(f, job->call, &job->ids);
	else
		send_ids(f, job->call, &job->ids);
	ids_finish(&job->ids);
}

void front_tokenize(struct front *f, uint64_t call, struct rpc_request *r)
{
	struct words_job job = tokenize_job(call, r), *later;

	if (job.len < WORDS_LONG) {
		job.err = tokenizer_encode(f->tokenizer, job.text, job.len, &job.how, &job.ids, &job.why);
		front_send_tokens(f, &job);
		rpc_request_free(r);
		return;
	}
	later = xalloc(1, sizeof *later);
	*later = job;
	later->keep = xalloc(1, sizeof *r);
	*later->keep = *r;
	words_put(&f->words, later);
}

void front_send_text(struct front *f, uint64_t call, const struct rpc_request *r)
{
	struct rpc_reply reply = {.kind = RPC_R_TEXT};
	struct why why = {""};
	char *text;
	int err = front_check_ids(f, r->detokenize.ids, r->detokenize.n_ids, "ids", &why);

	if (err) {
		front_error(f, call, err, why.text);
		return;
	}
	text = tokenizer_decode(f->tokenizer, r->detokenize.ids, r->detokenize.n_ids,
				r->detokenize.skip_special, &reply.text.text_len);
	reply.text.text = text;
	rpc_send(f->server, call, &reply);
	free(text);
}
