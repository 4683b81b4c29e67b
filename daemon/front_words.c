/* Tokenize and Detokenize. */
#include "daemon/front.h"

#include <stdlib.h>

void front_send_tokens(struct front *f, uint64_t call, const struct rpc_request *r)
{
	struct encode_options how = {.add_special = r->tokenize.add_special,
				     .parse_special = r->tokenize.parse_special};
	struct ids ids = {.want_offsets = r->tokenize.pieces};
	struct rpc_reply reply = {.kind = RPC_R_TOKENS};
	struct why why = {""};
	int err = tokenizer_encode(f->tokenizer, r->tokenize.text, r->tokenize.text_len, &how, &ids, &why);
	const char **pieces = xalloc((size_t)ids.n, sizeof *pieces);
	size_t *lens = xalloc((size_t)ids.n, sizeof *lens);
	uint32_t *first = xalloc((size_t)ids.n, sizeof *first), *end = xalloc((size_t)ids.n, sizeof *end);

	for (int i = 0; r->tokenize.pieces && i < ids.n; i++) {
		pieces[i] = tokenizer_piece(f->tokenizer, ids.id[i], &lens[i]);
		first[i] = ids.offset[i].first;
		end[i] = ids.offset[i].end;
	}
	reply.tokens = (struct rpc_tokens){.ids = ids.id, .n_ids = ids.n};
	if (r->tokenize.pieces)
		reply.tokens = (struct rpc_tokens){ids.id, ids.n, pieces, lens, first, end};
	if (err)
		front_error(f, call, err, why.text);
	else
		rpc_send(f->server, call, &reply);
	free(pieces);
	free(lens);
	free(first);
	free(end);
	ids_finish(&ids);
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
