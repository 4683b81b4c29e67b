#include "daemon/front/quota.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mix.h"

static struct quota **bucket_of(struct quotas *t, enum limit_kind kind, uint32_t id, const char *key)
{
	uint64_t h = mix64(((uint64_t)kind << 32) ^ id);

	for (; *key; key++)
		h = mix64(h ^ (unsigned char)*key);
	return &t->bucket[h % QUOTA_BUCKETS];
}

static double most(const struct quota *q)
{
	return q->limit && q->limit->tokens > 0 ? (double)q->limit->tokens : 0;
}

/* A bucket fills in a minute. */
static void fill(struct quota *q, uint64_t now_ns)
{
	if (now_ns > q->filled_ns)
		q->tokens += most(q) * (double)(now_ns - q->filled_ns) / 60e9;
	if (q->tokens > most(q))
		q->tokens = most(q);
	q->filled_ns = now_ns;
}

static struct quota *find(struct quotas *t, enum limit_kind kind, uint32_t id, const char *key,
			  const struct limit *limit, uint64_t now_ns)
{
	struct quota **head = bucket_of(t, kind, id, key), *q = *head;

	while (q && (q->kind != kind || q->id != id || strcmp(q->key, key)))
		q = q->next;
	if (q)
		return q;
	q = xalloc(1, sizeof *q);
	*q = (struct quota){.next = *head, .kind = kind, .id = id, .limit = limit, .filled_ns = now_ns};
	snprintf(q->key, sizeof q->key, "%s", key);
	q->tokens = most(q);
	*head = q;
	t->n++;
	return q;
}

void quotas_follow(struct quotas *t, struct limits *limits)
{
	struct limits old = t->limits; /* subjects still point into it */

	t->limits = *limits;
	*limits = (struct limits){0};
	for (int i = 0; i < QUOTA_BUCKETS; i++)
		for (struct quota *q = t->bucket[i]; q; q = q->next) {
			bool was = most(q) > 0;
			q->limit = limits_find(&t->limits, q->kind, q->id, q->key);
			if (!was)
				q->tokens = most(q);
		}
	limits_finish(&old);
}

static void sweep_bucket(struct quotas *t, struct quota **at, bool all, uint64_t now_ns)
{
	while (*at) {
		struct quota *q = *at;
		fill(q, now_ns);
		if (!all && (q->calls || (most(q) > 0 && q->tokens < most(q)))) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		free(q);
		t->n--;
	}
}

void quotas_sweep(struct quotas *t, uint64_t now_ns)
{
	const uint64_t pause_ns = 10000000000u;

	if (!t->n || now_ns - t->swept_ns < pause_ns)
		return;
	t->swept_ns = now_ns;
	for (int i = 0; i < QUOTA_BUCKETS; i++)
		sweep_bucket(t, &t->bucket[i], false, now_ns);
}

void quotas_finish(struct quotas *t)
{
	for (int i = 0; i < QUOTA_BUCKETS; i++)
		sweep_bucket(t, &t->bucket[i], true, 0);
	limits_finish(&t->limits);
}

static void claim(struct quota_claim *c, enum limit_kind kind, uint32_t id, const char *key, uint64_t now_ns)
{
	const struct limit *limit = limits_find(&c->all->limits, kind, id, key);
	struct quota *q;

	if (!limit || c->n == QUOTA_CLAIMS)
		return;
	q = find(c->all, kind, id, key, limit, now_ns);
	q->calls++;
	c->at[c->n++] = q;
}

static bool in_group(const struct rpc_peer *peer, gid_t gid)
{
	for (int i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return peer->gid == gid;
}

void quota_open(struct quotas *t, struct quota_claim *c, const struct rpc_peer *peer, const struct xv_asker *asker,
		uint64_t now_ns)
{
	*c = (struct quota_claim){.all = t};
	claim(c, *asker->key ? LIMIT_KEY : LIMIT_USER, *asker->key ? 0 : peer->uid, asker->key, now_ns);
	if (!c->n && !peer->owner)
		claim(c, LIMIT_DEFAULT, peer->uid, asker->key, now_ns);
	for (int i = 0; i < t->limits.n && !*asker->key; i++)
		if (t->limits.at[i].kind == LIMIT_GROUP && in_group(peer, t->limits.at[i].id))
			claim(c, LIMIT_GROUP, t->limits.at[i].id, "", now_ns);
}

static const char *who(const struct limit *l, char out[160])
{
	static const char *const kinds[] = {"each account (default)", "user ", "group ", "API key "};

	snprintf(out, 160, "%s%.100s", kinds[l->kind], l->name);
	return out;
}

static int refuse_list(struct quotas *t, const struct limit *l, const char *model, const char *adapter, struct why *why)
{
	char name[160];

	if (!limits_allow(l->models, model)) {
		t->refused[QUOTA_MODELS]++;
		return fail(why, ERR_DENIED, "%s may not use the model %.100s (models, --limits)", who(l, name), model);
	}
	if (*adapter && !limits_allow(l->adapters, adapter)) {
		t->refused[QUOTA_ADAPTERS]++;
		return fail(why, ERR_DENIED, "%s may not use the adapter %.100s (adapters, --limits)", who(l, name),
			    adapter);
	}
	return 0;
}

static int refuse_tokens(struct quotas *t, const struct quota *q, int tokens, uint32_t *retry_ms, struct why *why)
{
	double want = fmin((double)tokens, most(q)), lacks = want - q->tokens, ms = lacks / most(q) * 60e3;
	char name[160];

	if (!most(q) || lacks <= 0)
		return 0;
	t->refused[QUOTA_TOKENS]++;
	*retry_ms = (uint32_t)fmin(ceil(ms) + 1, 3600e3);
	return fail(
		why, ERR_BUSY,
		"%s has %lld tokens a minute, and %d of a prompt are %.0f more than are left (tokens-per-minute, --limits)",
		who(q->limit, name), (long long)q->limit->tokens, tokens, ceil(lacks));
}

static bool is_full(const struct quota *q)
{
	return q->limit && q->limit->running > 0 && q->with_engine >= q->limit->running;
}

static int refuse_waiting(struct quotas *t, const struct quota *q, bool room, struct why *why)
{
	char name[160];

	if (q->limit->waiting < 0 || q->waiting < q->limit->waiting || (room && !is_full(q)))
		return 0;
	t->refused[QUOTA_WAITING]++;
	return fail(why, ERR_BUSY, "%s has %d calls waiting, and %lld may wait%s (max-waiting, --limits)",
		    who(q->limit, name), q->waiting, (long long)q->limit->waiting,
		    is_full(q) ? " while as many run as may" : "");
}

int quota_admit(struct quota_claim *c, const char *model, const char *adapter, int tokens, bool room, uint64_t now_ns,
		uint32_t *retry_ms, struct why *why)
{
	int err = 0;

	*retry_ms = 0;
	for (int i = 0; !err && i < c->n; i++) {
		struct quota *q = c->at[i];
		if (!q->limit)
			continue;
		fill(q, now_ns);
		err = refuse_list(c->all, q->limit, model, adapter, why);
		if (!err)
			err = refuse_waiting(c->all, q, room, why);
		if (!err)
			err = refuse_tokens(c->all, q, tokens, retry_ms, why);
	}
	if (err)
		return err;
	quota_spend(c, tokens, now_ns);
	c->waiting = !room || !quota_may_run(c);
	for (int i = 0; i < c->n; i++)
		c->at[i]->waiting += c->waiting;
	return 0;
}

bool quota_may_run(const struct quota_claim *c)
{
	for (int i = 0; i < c->n; i++)
		if (is_full(c->at[i]))
			return false;
	return true;
}

void quota_post(struct quota_claim *c)
{
	for (int i = 0; i < c->n; i++)
		c->at[i]->with_engine++;
	c->with_engine = true;
}

void quota_run(struct quota_claim *c)
{
	for (int i = 0; i < c->n; i++) {
		c->at[i]->waiting -= c->waiting;
		c->at[i]->running += !c->running;
	}
	c->waiting = false;
	c->running = true;
}

void quota_spend(struct quota_claim *c, int tokens, uint64_t now_ns)
{
	for (int i = 0; i < c->n; i++)
		if (most(c->at[i]) > 0) {
			fill(c->at[i], now_ns);
			c->at[i]->tokens -= tokens;
		}
}

void quota_close(struct quota_claim *c)
{
	for (int i = 0; i < c->n; i++) {
		c->at[i]->waiting -= c->waiting;
		c->at[i]->running -= c->running;
		c->at[i]->with_engine -= c->with_engine;
		c->at[i]->calls--;
	}
	*c = (struct quota_claim){0};
}
