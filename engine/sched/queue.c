/* queue.c - who waits: pre-empted calls first, then clients in turn, each with its calls in the order of arrival. */
#include "engine/sched/inside.h"

#include <stddef.h>
#include <stdlib.h>

void queue_init(struct sched *s)
{
	s->client_memory = xalloc_touched((size_t)s->n_objects, sizeof *s->client_memory);
	for (int i = 0; i < s->n_objects; i++) {
		s->client_memory[i].chain = s->clients;
		s->clients = &s->client_memory[i];
	}
	for (s->n_buckets = 64; s->n_buckets < (uint64_t)s->n_objects;)
		s->n_buckets *= 2;
	s->bucket = xalloc_touched((size_t)s->n_buckets, sizeof *s->bucket);
}

void queue_finish(struct sched *s)
{
	free(s->client_memory);
	free(s->bucket);
}

static struct client **bucket_of(const struct sched *s, uint64_t id)
{
	uint64_t h = id * 0x9e3779b97f4a7c15u;

	return &s->bucket[(h ^ h >> 32) & (s->n_buckets - 1)];
}

/* A free one always exists: each client has at least one call, and the number of calls is bounded. */
static struct client *client_of(struct sched *s, uint64_t id)
{
	struct client **head = bucket_of(s, id), *c = *head;

	while (c && c->id != id)
		c = c->chain;
	if (c)
		return c;
	c = s->clients;
	s->clients = c->chain;
	*c = (struct client){.id = id, .chain = *head};
	*head = c;
	return c;
}

static void client_release(struct sched *s, struct client *c)
{
	struct client **at = bucket_of(s, c->id);

	while (*at != c)
		at = &(*at)->chain;
	*at = c->chain;
	c->chain = s->clients;
	s->clients = c;
}

static void count(struct sched *s, const struct seq *q, int n)
{
	s->n_waiting += n;
	s->waiting_tokens += n * q->n_tokens;
}

void queue_append(struct sched *s, struct seq *q)
{
	struct client *c = q->client = client_of(s, q->call->turn);

	c->calls++;
	q->next = NULL;
	if (c->turn.waiting)
		c->last->next = q;
	else
		c->first = q;
	c->last = q;
	turns_wait(&s->turns, &c->turn);
	count(s, q, 1);
}

void queue_return(struct sched *s, struct seq *q)
{
	q->next = s->preempted;
	q->passed = 0;
	s->preempted = q;
	s->n_preempted++;
	count(s, q, 1);
}

static void unlink_from(struct seq **first, struct seq **last, struct seq *q)
{
	struct seq **at = first, *before = NULL;

	for (; *at != q; at = &before->next)
		before = *at;
	*at = q->next;
	if (last && *last == q)
		*last = before;
	q->next = NULL;
}

/* A call that has run before waits among the pre-empted ones. */
static bool is_preempted(const struct seq *q)
{
	return q->admitted_ns != 0;
}

static void unlink_waiting(struct sched *s, struct seq *q)
{
	count(s, q, -1);
	if (is_preempted(q)) {
		unlink_from(&s->preempted, NULL, q);
		s->n_preempted--;
	} else {
		unlink_from(&q->client->first, &q->client->last, q);
	}
}

void queue_take(struct sched *s, struct seq *q)
{
	unlink_waiting(s, q);
	if (!is_preempted(q))
		turns_take(&s->turns, &q->client->turn);
}

static void leave_client(struct sched *s, struct seq *q)
{
	if (!--q->client->calls)
		client_release(s, q->client);
	q->client = NULL;
}

void queue_remove(struct sched *s, struct seq *q)
{
	unlink_waiting(s, q);
	if (is_preempted(q)) /* it counts as running until it ends */
		return;
	turns_leave(&s->turns, &q->client->turn);
	leave_client(s, q);
}

static void queue_ended(struct sched *s, struct seq *q)
{
	if (!q->client)
		return;
	turns_end(&s->turns, &q->client->turn);
	leave_client(s, q);
}

static struct client *client_from(const struct turn *t)
{
	return (struct client *)((char *)t - offsetof(struct client, turn));
}

struct seq *queue_first(const struct sched *s)
{
	const struct turn *best = s->turns.first;

	if (s->preempted)
		return s->preempted;
	for (const struct turn *t = best; t; t = t->next)
		if (turns_before(t, best))
			best = t;
	return best ? client_from(best)->first : NULL;
}

struct seq *queue_small(const struct sched *s, const struct seq *but, int blocks)
{
	const struct turn *best = NULL;

	for (const struct turn *t = s->turns.first; t; t = t->next) {
		const struct seq *q = client_from(t)->first;
		if (q != but && seq_need(s, q) <= blocks && (!best || turns_before(t, best)))
			best = t;
	}
	return best ? client_from(best)->first : NULL;
}

static struct seq *find_in(struct seq *q, uint64_t call)
{
	while (q && q->id != call)
		q = q->next;
	return q;
}

struct seq *queue_find(const struct sched *s, uint64_t call)
{
	struct seq *q = find_in(s->preempted, call);

	for (const struct turn *t = s->turns.first; t && !q; t = t->next)
		q = find_in(client_from(t)->first, call);
	return q;
}

static bool is_late(const struct seq *q, uint64_t now)
{
	return q->call->deadline_ns && now >= q->call->deadline_ns;
}

static void expire_in(struct sched *s, struct seq *q, uint64_t now)
{
	for (struct seq *next; q; q = next) {
		next = q->next;
		if (is_late(q, now)) {
			queue_remove(s, q);
			seq_end(s, q, FINISH_DEADLINE, NULL);
		}
	}
}

void queue_expire(struct sched *s, uint64_t now)
{
	expire_in(s, s->preempted, now);
	for (struct turn *t = s->turns.first, *next; t; t = next) {
		next = t->next;
		expire_in(s, client_from(t)->first, now);
	}
}

void seq_end(struct sched *s, struct seq *q, enum finish reason, struct event *last)
{
	q->finish = reason;
	grammar_run_end(q->run);
	queue_ended(s, q);
	last = last ? last : event_put(s, q);
	last->finish = reason;
	event_account(last, q, now_ns());
	q->call = NULL; /* the caller may free it from now on */
	if (q->slot >= 0 && q->last_step > s->done) {
		q->next = s->ending;
		s->ending = q;
		return;
	}
	seq_release(s, q);
}
