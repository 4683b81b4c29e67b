/* Requests as they arrive: some are answered at once, others become calls. Calls that wait for the model; cancelling.
 */
#include "daemon/front/inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "parallel/board.h"
#include "rpc/server/handover.h"

static struct front_call *make_call(struct front *f, uint64_t call, const struct rpc_peer *peer, uint32_t timeout_ms,
				    struct xv_request *r)
{
	struct front_call *c = xalloc(1, sizeof *c);

	c->id = call;
	front_stake_open(&c->stake, &f->accounts, peer->uid, peer->owner, &r->asker);
	c->arrived_ns = now_ns();
	quota_open(&f->quotas, &c->claim, peer, &r->asker, c->arrived_ns);
	c->request = xalloc(1, sizeof *c->request);
	*c->request = *r;
	c->deadline_ns = timeout_ms ? now_ns() + (uint64_t)timeout_ms * 1000000u : 0;
	return c;
}

static void open_call(struct front *f, uint64_t call, const struct rpc_peer *peer, struct xv_request *r)
{
	uint32_t timeout = r->kind == XV_SCORE  ? r->score.timeout_ms
			   : r->kind == XV_CHAT ? r->chat.timeout_ms
						: r->generate.timeout_ms;
	const char *reason;
	int closed = front_closed(f, &reason);
	struct front_call *c;
	struct why why = {""};

	f->metrics.requests++;
	if (closed || (!f->ready && !timeout)) {
		front_error(f, call, closed ? closed : ERR_LOADING, closed ? reason : "the model is still loading");
		rpc_request_free(r);
		return;
	}
	c = make_call(f, call, peer, timeout, r);
	if (front_stake_hold(&c->stake, SHARE_BYTES, (int64_t)rpc_request_bytes(r), &why)) {
		front_refuse(f, c, ERR_BUSY, why.text);
		front_call_destroy(c);
		return;
	}
	if (f->ready) {
		front_admit(f, c);
		return;
	}
	c->next = f->waiting;
	f->waiting = c;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* Takes the list of waiting calls, oldest first. */
static struct front_call *take_waiting(struct front *f)
{
	struct front_call *c = f->waiting, *next, *in_order = NULL;

	for (; c; c = next) {
		next = c->next;
		c->next = in_order;
		in_order = c;
	}
	f->waiting = NULL;
	return in_order;
}

static void become_ready(struct front *f)
{
	uint64_t print = mix(f->model->fingerprint, f->tokenizer ? tokenizer_fingerprint(f->tokenizer) : 0);

	snprintf(f->fingerprint, sizeof f->fingerprint, "%016llx", (unsigned long long)print);
	front_accounts_follow(f);
	front_loras_ready(f);
	f->ready = true;
	handover_say(f->beat_fd, HANDOVER_READY);
	for (struct front_call *c = take_waiting(f), *next; c; c = next) {
		next = c->next;
		if (c->cancelled)
			front_call_destroy(c);
		else
			front_admit(f, c);
	}
}

void front_check_ready(struct front *f)
{
	if (!f->ready && atomic_load(&f->link->state) == LINK_READY)
		become_ready(f);
}

void front_expire(struct front *f)
{
	uint64_t now = now_ns();

	for (struct front_call **at = &f->waiting, *c; (c = *at);) {
		if (now < c->deadline_ns) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		if (!c->cancelled)
			front_error(f, c->id, ERR_DEADLINE, "the model did not load within the deadline");
		front_call_destroy(c);
	}
}

static void answer(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r)
{
	struct xv_reply done = {.kind = XV_R_DONE};

	switch (r->kind) {
	case XV_STATUS:
		front_send_status(f, call);
		return;
	case XV_METRICS:
		front_send_metrics(f, call);
		return;
	case XV_CALLS:
		front_send_calls(f, call, peer, r);
		return;
	case XV_LORA_LOAD:
		front_lora_load(f, call, peer, r);
		return;
	case XV_LORA_UNLOAD:
		front_lora_unload(f, call, peer, r);
		return;
	case XV_DRAIN:
		if (!front_is_owner(f, call, peer, "drain"))
			return;
		rpc_send(f->server, call, &done);
		front_drain(f, "requested by a client");
		return;
	case XV_LOG_LEVEL:
		if (!front_is_owner(f, call, peer, "log_level"))
			return;
		board_log_level(f->board, (enum log_level)r->log_level.level);
		rpc_send(f->server, call, &done);
		return;
	default:
		front_error(f, call, ERR_UNSUPPORTED, "this call is not supported yet");
	}
}

void front_request(void *front, uint64_t call, const struct rpc_peer *peer, struct xv_request *r)
{
	struct front *f = front;
	struct effort e = {0};

	front_check_ready(f);
	effort_begin(&e);
	switch (r->kind) {
	case XV_GENERATE:
	case XV_SCORE:
	case XV_CHAT:
		open_call(f, call, peer, r);
		break;
	case XV_TOKENIZE:
	case XV_DETOKENIZE:
	case XV_TEMPLATE:
	case XV_PARSE:
		front_tokenize(f, call, peer, r);
		break;
	default:
		answer(f, call, peer, r);
		rpc_request_free(r);
	}
	effort_end();
}

static struct front_call *find_in(struct front_call *list, uint64_t call)
{
	while (list && list->id != call)
		list = list->next;
	return list;
}

void front_cancel(void *front, uint64_t call)
{
	struct front *f = front;
	struct front_call *c = front_find(f, call);

	if (c) {
		front_cancel_engine(f, c);
		return;
	}
	if (front_find_held(f, call)) {
		front_drop_held(f, call, ERR_CANCELLED, "cancelled");
		return;
	}
	front_helpers_cancel(&f->helpers, call);
	c = find_in(f->tokenizing, call);
	if (!c)
		c = find_in(f->waiting, call);
	if (!c || c->cancelled)
		return;
	c->cancelled = true;
	c->deadline_ns = 0; /* front_expire() ends it if it waits for the model */
	front_error(f, call, ERR_CANCELLED, "cancelled");
}
