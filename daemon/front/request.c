/* Requests as they come: which are answered at once, and which are calls; calls that wait for the model; cancelling. */
#include "daemon/front/front.h"

#include <stdlib.h>

#include "parallel/board.h"

static void open_call(struct front *f, uint64_t call, const struct rpc_peer *peer, struct rpc_request *r)
{
	uint32_t timeout = r->kind == RPC_SCORE  ? r->score.timeout_ms
			   : r->kind == RPC_CHAT ? r->chat.timeout_ms
						 : r->generate.timeout_ms;
	struct open_call *c;
	struct why why = {""};

	metrics_count(&f->metrics, r);
	if (f->draining || (atomic_load(&f->link->state) != LINK_READY && !timeout)) {
		front_error(f, call, f->draining ? ERR_DRAINING : ERR_LOADING,
			    f->draining ? "the server is draining" : "the model is still loading");
		rpc_request_free(r);
		return;
	}
	c = xalloc(1, sizeof *c);
	c->id = call;
	stake_open(&c->stake, &f->accounts, peer->uid, peer->owner, &r->asker);
	c->arrived_ns = now_ns();
	c->request = xalloc(1, sizeof *c->request);
	*c->request = *r;
	c->deadline_ns = timeout ? now_ns() + (uint64_t)timeout * 1000000u : 0;
	if (stake_hold(&c->stake, SHARE_BYTES, (int64_t)rpc_request_bytes(r), &why)) {
		front_refuse(f, c, ERR_BUSY, why.text);
		open_call_destroy(c);
		return;
	}
	if (atomic_load(&f->link->state) == LINK_READY) {
		front_post(f, c);
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
	accounts_limit(&f->accounts, SHARE_CALLS, f->opt->max_queued_reqs + f->node->limits.max_seqs);
	accounts_limit(&f->accounts, SHARE_TOKENS, f->opt->max_queued_tokens);
	for (c = in_order; c; c = next) {
		next = c->next;
		if (c->cancelled)
			open_call_destroy(c);
		else
			front_post(f, c);
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

static void answer(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct rpc_request *r)
{
	struct rpc_reply done = {.kind = RPC_R_DONE};

	switch (r->kind) {
	case RPC_STATUS:
		front_send_status(f, call);
		return;
	case RPC_METRICS:
		front_send_metrics(f, call);
		return;
	case RPC_DRAIN:
		if (!front_is_owner(f, call, peer, "drain"))
			return;
		rpc_send(f->server, call, &done);
		front_drain(f, "asked by a client");
		return;
	case RPC_LOG_LEVEL:
		if (!front_is_owner(f, call, peer, "log_level"))
			return;
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
	struct effort e = {0};

	effort_begin(&e);
	switch (r->kind) {
	case RPC_GENERATE:
	case RPC_SCORE:
	case RPC_CHAT:
		open_call(f, call, peer, r);
		break;
	case RPC_TOKENIZE:
	case RPC_DETOKENIZE:
	case RPC_TEMPLATE:
		front_words(f, call, peer, r);
		break;
	default:
		answer(f, call, peer, r);
		rpc_request_free(r);
	}
	effort_end();
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
	words_cancel(&f->words, call);
	c = find_early(f->tokenizing, call);
	if (!c)
		c = find_early(f->waiting, call);
	if (!c || c->cancelled)
		return;
	c->cancelled = true;
	c->deadline_ns = 0; /* of those that wait for the model: they go at the next look */
	front_error(f, call, ERR_CANCELLED, "cancelled");
}
