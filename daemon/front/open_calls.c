/* The list of open calls, as the asker may see it: root and the server's user see all, others what they may cancel. */
#include "daemon/front/inside.h"

#include <stdlib.h>
#include <string.h>

enum { USUAL = 1000 };

struct listing {
	struct xv_call_info *info; /* (n of max) */
	int n, max;
	const struct rpc_peer *peer;
	const char *key;
	uint64_t now;
};

static bool may_see(const struct listing *l, const struct front_account *a)
{
	return l->peer->owner || (a->uid == l->peer->uid && !strcmp(a->key, l->key));
}

static enum xv_call_kind kind_of(const struct front_call *c)
{
	if (c->chat || c->request->kind == XV_CHAT)
		return XV_CALL_CHAT;
	return c->request->kind == XV_SCORE ? XV_CALL_SCORE : XV_CALL_GENERATE;
}

static void add(struct listing *l, const struct front_call *c, enum xv_call_state state)
{
	const struct front_account *a = c->stake.account;

	if (c->ended || c->cancelled || !a || !may_see(l, a))
		return;
	if (l->n == l->max) {
		l->max = 2 * l->max + 64;
		l->info = xgrow(l->info, (size_t)l->max, sizeof *l->info);
	}
	l->info[l->n++] = (struct xv_call_info){
		.call = c->id,
		.age_ns = l->now - c->arrived_ns,
		.uid = (uint32_t)a->uid,
		.key = a->key,
		.client = a->client,
		.kind = kind_of(c),
		.state = state,
		.prompt_tokens = (uint32_t)c->call.n_prompt,
		.output_tokens = (uint32_t)c->output,
		.resumed = c->call.n_resume > 0,
	};
}

static int by_number(const void *a, const void *b)
{
	const struct xv_call_info *x = a, *y = b;

	return (x->call > y->call) - (x->call < y->call);
}

void front_send_calls(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r)
{
	struct listing l = {.peer = peer, .key = r->asker.key, .now = now_ns()};
	struct xv_reply reply = {.kind = XV_R_CALLS};
	int most = r->calls.most ? (int)r->calls.most : USUAL;

	for (const struct front_call *c = f->waiting; c; c = c->next)
		add(&l, c, XV_CALL_LOADING);
	for (const struct front_call *c = f->tokenizing; c; c = c->next)
		add(&l, c, XV_CALL_TOKENIZING);
	for (const struct front_call *c = f->held; c; c = c->next)
		add(&l, c, XV_CALL_WAITING);
	for (int i = 0; i < FRONT_BUCKETS; i++)
		for (const struct front_call *c = f->bucket[i]; c; c = c->next)
			add(&l, c, c->stake.waits ? XV_CALL_WAITING : XV_CALL_RUNNING);
	if (l.n)
		qsort(l.info, (size_t)l.n, sizeof *l.info, by_number);
	for (int i = 0; i < min_int(l.n, most); i++)
		if (l.info[i].state == XV_CALL_WAITING)
			l.info[i].queue_place = front_place(f, l.info[i].call);
	reply.calls = (struct xv_calls){.call = l.info, .n = min_int(l.n, most)};
	reply.calls.more = (uint32_t)(l.n - reply.calls.n);
	rpc_send(f->server, call, &reply);
	free(l.info);
}
