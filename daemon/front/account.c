#include "daemon/front/account.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mix.h"
#include "rpc/server/share.h"

void front_accounts_init(struct front_accounts *t)
{
	memset(t, 0, sizeof *t);
	if (getrandom(&t->secret, sizeof t->secret, 0) != (ssize_t)sizeof t->secret)
		t->secret = now_ns();
}

void front_accounts_limit(struct front_accounts *t, enum front_share k, int64_t most)
{
	const int64_t limit = 1ll << 50; /* no real limit reaches it, and shares of it do not overflow */

	t->most[k] = most < limit ? most : limit;
	t->kept[k] = share_kept(t->most[k], k == SHARE_CALLS ? 8 : limit);
}

static uint64_t hash(uint64_t h, uid_t uid, const char *text)
{
	for (h = mix64(h ^ uid); *text; text++)
		h = mix64(h ^ (unsigned char)*text);
	return h;
}

uint64_t front_accounts_turn(const struct front_accounts *t, uid_t uid, const struct xv_asker *asker)
{
	return hash(hash(t->secret, uid, asker->key), 1, *asker->key ? "" : asker->client);
}

static struct front_account *find(struct front_accounts *t, uid_t uid, const struct xv_asker *asker,
				  struct front_account *parent)
{
	uint64_t number = front_accounts_turn(t, uid, asker);
	struct front_account **head = &t->bucket[number % ACCOUNT_BUCKETS], *a = *head;

	while (a && (a->uid != uid || strcmp(a->key, asker->key) || strcmp(a->client, asker->client)))
		a = a->next;
	if (a)
		return a;
	a = xalloc(1, sizeof *a);
	*a = (struct front_account){.next = *head, .parent = parent, .number = number, .uid = uid};
	a->scope = hash(t->secret, uid, asker->key);
	strcpy(a->key, asker->key); /* the codec bounds both */
	strcpy(a->client, asker->client);
	*head = a;
	return a;
}

static void leave(struct front_accounts *t, struct front_account *a)
{
	struct front_account **at = &t->bucket[a->number % ACCOUNT_BUCKETS];

	if (--a->users)
		return;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	if (a->parent)
		leave(t, a->parent);
	free(a);
}

void front_stake_open(struct front_stake *s, struct front_accounts *t, uid_t uid, bool owner,
		      const struct xv_asker *asker)
{
	const struct xv_asker account = {asker->key, ""}, client = {"", asker->client};
	struct front_account *a = find(t, uid, &account, NULL);

	if (!*asker->key && *asker->client) {
		struct front_account *child = find(t, uid, &client, a);
		a->users += !child->users;
		a = child;
	}
	a->users++;
	*s = (struct front_stake){.all = t, .account = a, .owner = owner};
}

/* How much more the account may hold. */
static int64_t room(const struct front_stake *s, const struct front_account *a, enum front_share k)
{
	const struct front_accounts *t = s->all;
	int64_t free = a->parent ? room(s, a->parent, k) : t->most[k] - t->held[k] - (s->owner ? 0 : t->kept[k]);

	return share_room(free, a->held[k], s->owner);
}

static void add(struct front_stake *s, enum front_share k, int64_t amount)
{
	s->held[k] += amount;
	s->all->held[k] += amount;
	for (struct front_account *a = s->account; a; a = a->parent)
		a->held[k] += amount;
}

/* A call whose tokens or bytes exceed a share by itself passes where its account holds nothing else: other limits judge
 * it. */
int front_stake_hold(struct front_stake *s, enum front_share k, int64_t amount, struct why *why)
{
	static const char *const what[] = {"of your calls are open", "of your tokens are waiting",
					   "bytes of your requests are open"};
	struct front_account *a = s->account;

	if (room(s, a, k) < amount && (a->held[k] || k == SHARE_CALLS)) {
		s->all->refused[k]++;
		return fail(why, ERR_BUSY,
			    "%" PRId64 " %s, %" PRId64 " of %" PRId64 " in all; the rest is reserved for others",
			    a->held[k], what[k], s->all->held[k], s->all->most[k]);
	}
	add(s, k, amount);
	return 0;
}

void front_stake_wait(struct front_stake *s)
{
	turns_wait(&s->all->turns, &s->account->turn);
	s->waits = true;
}

void front_stake_run(struct front_stake *s)
{
	turns_take(&s->all->turns, &s->account->turn);
	s->waits = false;
	s->runs = true;
	add(s, SHARE_TOKENS, -s->held[SHARE_TOKENS]);
}

void front_stake_close(struct front_stake *s)
{
	if (!s->account)
		return;
	if (s->waits)
		turns_leave(&s->all->turns, &s->account->turn);
	if (s->runs)
		turns_end(&s->all->turns, &s->account->turn);
	for (int k = 0; k < SHARES; k++)
		add(s, (enum front_share)k, -s->held[k]);
	leave(s->all, s->account);
	*s = (struct front_stake){0};
}

int front_stake_place(const struct front_stake *s, int earlier)
{
	return turns_place(&s->all->turns, &s->account->turn, earlier + 1);
}
