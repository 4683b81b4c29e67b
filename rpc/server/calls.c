/* Open calls, found by their number or by connection and id. */
#include "rpc/server/inside.h"

#include <stdlib.h>
#include <string.h>

void calls_init(struct rpc_server *s, int max)
{
	s->calls = xalloc((size_t)max, sizeof *s->calls);
	for (int i = max - 1; i >= 0; i--) {
		s->calls[i].chain = s->free_calls;
		s->free_calls = &s->calls[i];
	}
	for (s->n_buckets = 64; s->n_buckets < (size_t)max;)
		s->n_buckets *= 2;
	s->buckets = xalloc(s->n_buckets, sizeof *s->buckets);
}

void calls_finish(struct rpc_server *s)
{
	for (int i = 0; s->calls && i < s->last.n_calls; i++)
		free(s->calls[i].key);
	free(s->calls);
}

static struct call **bucket(const struct rpc_server *s, uint64_t number)
{
	return &s->buckets[number & (s->n_buckets - 1)]; /* numbers count up, so they spread by themselves */
}

struct call *call_find(const struct rpc_server *s, uint64_t number)
{
	struct call *call = *bucket(s, number);

	while (call && call->number != number)
		call = call->chain;
	return call;
}

struct call *call_of(const struct conn *c, uint64_t id)
{
	struct call *call = c->calls;

	while (call && call->id != id)
		call = call->next;
	return call;
}

struct call *call_open(struct rpc_server *s, struct conn *c, const struct xv_request *r)
{
	struct call *call = s->free_calls, **head;

	if (!call)
		return NULL;
	s->free_calls = call->chain;
	*call = (struct call){.number = ++s->next_call, .id = r->id, .heard_ns = now_ns(), .conn = c};
	head = bucket(s, call->number);
	call->chain = *head;
	*head = call;
	call->next = c->calls;
	call->link = &c->calls;
	if (call->next)
		call->next->link = &call->next;
	c->calls = call;
	c->n_calls++;
	call->key = *r->asker.key ? xstrdup(r->asker.key) : NULL;
	call->bytes = rpc_request_bytes(r);
	c->calls_bytes += call->bytes;
	s->n_calls++;
	last_call_set(&s->last, (int)(call - s->calls), c->slot, r->id);
	return call;
}

void call_close(struct rpc_server *s, struct call *call)
{
	struct call **at = bucket(s, call->number);

	last_call_set(&s->last, (int)(call - s->calls), -1, 0);
	while (*at != call)
		at = &(*at)->chain;
	*at = call->chain;
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	call->conn->n_calls--;
	call->conn->calls_bytes -= call->bytes;
	free(call->key);
	s->n_calls--;
	*call = (struct call){.chain = s->free_calls};
	s->free_calls = call;
}

/* The handler may end the call before this returns. */
static uint32_t cancel_one(struct rpc_server *s, struct call *call)
{
	if (call->cancelled)
		return 0;
	call->cancelled = true;
	s->handler.cancel(s->handler.ctx, call->number);
	return 1;
}

/* The handler may end any call meanwhile, so the list is walked anew after each. */
static uint32_t cancel_all(struct rpc_server *s, struct conn *c)
{
	uint32_t count = 0;
	struct call *call = c->calls;

	while (call) {
		for (call = c->calls; call && call->cancelled;)
			call = call->next;
		if (call)
			count += cancel_one(s, call);
	}
	return count;
}

/* By its number: a client of the same user and key, and an owner who asks for itself. */
static bool may_cancel(const struct call *call, const struct conn *c, const struct xv_request *r)
{
	if (user_is_owner(c->peer.uid) && !*r->asker.key && !*r->asker.client)
		return true;
	return call->conn->peer.uid == c->peer.uid && !strcmp(call->key ? call->key : "", r->asker.key);
}

void calls_cancel(struct rpc_server *s, struct conn *c, const struct xv_request *r)
{
	struct xv_reply done = {.id = r->id, .kind = XV_R_DONE};
	struct call *call = NULL;

	if (r->cancel.has_call)
		call = call_find(s, r->cancel.call);
	else if (r->cancel.has_id)
		call = call_of(c, r->cancel.id);
	if (call && r->cancel.has_call && !may_cancel(call, c, r)) {
		conn_error(s, c, r->id, ERR_DENIED, "call %ju belongs to another user or key",
			   (uintmax_t)r->cancel.call);
		return;
	}
	if (call)
		done.done.count = cancel_one(s, call);
	else if (!r->cancel.has_call && !r->cancel.has_id)
		done.done.count = cancel_all(s, c);
	conn_reply(s, c, &done);
}
