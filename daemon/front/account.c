#include "daemon/front/account.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "rpc/server/share.h"

void accounts_init(struct accounts *t)
{
	memset(t, 0, sizeof *t);
	if (getrandom(&t->secret, sizeof t->secret, 0) != (ssize_t)sizeof t->secret)
		t->secret = now_ns();
}

void accounts_limit(struct accounts *t, enum account_share k, int64_t most)
{
	const int64_t limit = 1ll << 50; /* far above what fits, so that shares can be multiplied */

	t->most[k] = most < limit ? most : limit;
	t->kept[k] = share_kept(t->most[k], k == SHARE_CALLS ? 8 : limit);
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

static uint64_t hash(uint64_t h, uid_t uid, const char *text)
{
	for (h = mix(h ^ uid); *text; text++)
		h = mix(h ^ (unsigned char)*text);
	return h;
}

uint64_t accounts_turn(const struct accounts *t, uid_t uid, const struct rpc_asker *asker)
{
	return hash(hash(t->secret, uid, asker->key), 1, *asker->key ? "" : asker->client);
}

static struct account *find(struct accounts *t, uid_t uid, const struct rpc_asker *asker, struct account *parent)
{
	uint64_t number = accounts_turn(t, uid, asker);
	struct account **head = &t->bucket[number % ACCOUNT_BUCKETS], *a = *head;

	while (a && (a->uid != uid || strcmp(a->key, asker->key) || strcmp(a->client, asker->client)))
		a = a->next;
	if (a)
		return a;
	a = xalloc(1, sizeof *a);
	*a = (struct account){.next = *head, .parent = parent, .number = number, .uid = uid};
	a->scope = hash(t->secret, uid, asker->key);
	strcpy(a->key, asker->key); /* both are bounded by the codec */
	strcpy(a->client, asker->client);
	*head = a;
	return a;
}

static void leave(struct accounts *t, struct account *a)
{
	struct account **at = &t->bucket[a->number % ACCOUNT_BUCKETS];

	if (--a->users)
		return;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	if (a->parent)
		leave(t, a->parent);
	free(a);
}

void stake_open(struct stake *s, struct accounts *t, uid_t uid, bool owner, const struct rpc_asker *asker)
{
	const struct rpc_asker account = {asker->key, ""}, client = {"", asker->client};
	struct account *a = find(t, uid, &account, NULL);

	if (!*asker->key && *asker->client) {
		struct account *child = find(t, uid, &client, a);
		a->users += !child->users;
		a = child;
	}
	a->users++;
	*s = (struct stake){.all = t, .account = a, .owner = owner};
}

/* More that it may take. */
static int64_t room(const struct stake *s, const struct account *a, enum account_share k)
{
	const struct accounts *t = s->all;
	int64_t free = a->parent ? room(s, a->parent, k) : t->most[k] - t->held[k] - (s->owner ? 0 : t->kept[k]);

	return share_room(free, a->held[k], s->owner);
}

static void add(struct stake *s, enum account_share k, int64_t amount)
{
	s->held[k] += amount;
	s->all->held[k] += amount;
	for (struct account *a = s->account; a; a = a->parent)
		a->held[k] += amount;
}

/* A single call with more tokens or bytes than a share is judged by the limits of all alone, where its account holds
 * nothing else. */
int stake_hold(struct stake *s, enum account_share k, int64_t amount, struct why *why)
{
	static const char *const what[] = {"calls of yours are open", "tokens of yours are waiting",
					   "bytes of requests of yours are open"};
	struct account *a = s->account;

	if (room(s, a, k) < amount && (a->held[k] || k == SHARE_CALLS)) {
		s->all->refused[k]++;
		return fail(why, ERR_BUSY,
			    "%" PRId64 " %s, and %" PRId64 " of %" PRId64 " in all: the rest is kept for others",
			    a->held[k], what[k], s->all->held[k], s->all->most[k]);
	}
	add(s, k, amount);
	return 0;
}

void stake_wait(struct stake *s)
{
	turns_wait(&s->all->turns, &s->account->turn);
	s->waits = true;
}

void stake_run(struct stake *s)
{
	turns_take(&s->all->turns, &s->account->turn);
	s->waits = false;
	s->runs = true;
	add(s, SHARE_TOKENS, -s->held[SHARE_TOKENS]);
}

void stake_close(struct stake *s)
{
	if (!s->account)
		return;
	if (s->waits)
		turns_leave(&s->all->turns, &s->account->turn);
	if (s->runs)
		turns_end(&s->all->turns, &s->account->turn);
	for (int k = 0; k < SHARES; k++)
		add(s, (enum account_share)k, -s->held[k]);
	leave(s->all, s->account);
	*s = (struct stake){0};
}

int stake_place(const struct stake *s, int earlier)
{
	return turns_place(&s->all->turns, &s->account->turn, earlier + 1);
}
