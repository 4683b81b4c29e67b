/* Accounts: nobody gets all, a newcomer always finds something, owners find what is kept, and the books balance. */
#include "daemon/front/account.h"

#include "tests/check.h"

static uint64_t random_state = 1;
static int below(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)((random_state >> 33) % (uint64_t)n);
}

static struct front_accounts all;
static struct why why;

static void open_one(struct front_stake *s, uid_t uid, bool owner, const char *key, const char *client)
{
	struct xv_asker asker = {key, client};

	front_stake_open(s, &all, uid, owner, &asker);
}

/* Opens calls until one is refused: how many. */
static int flood(struct front_stake *s, int most, uid_t uid, bool owner, const char *key, const char *client)
{
	for (int i = 0; i < most; i++) {
		open_one(&s[i], uid, owner, key, client);
		if (!front_stake_hold(&s[i], SHARE_CALLS, 1, &why))
			continue;
		front_stake_close(&s[i]);
		return i;
	}
	return most;
}

static void close_all(struct front_stake *s, int n)
{
	while (n--)
		front_stake_close(&s[n]);
}

static void check_empty(void)
{
	for (int i = 0; i < ACCOUNT_BUCKETS; i++)
		CHECK(!all.bucket[i]);
	for (int k = 0; k < SHARES; k++)
		CHECK_EQ(all.held[k], 0);
	CHECK(!all.turns.first);
}

static void begin(int calls)
{
	front_accounts_init(&all);
	front_accounts_limit(&all, SHARE_CALLS, calls);
	front_accounts_limit(&all, SHARE_TOKENS, 1 << 20);
	front_accounts_limit(&all, SHARE_BYTES, 256 << 20);
}

TEST(one_who_floods_leaves_places_for_others)
{
	static struct front_stake a[300], b[300], root[300];
	int n, m, k;

	begin(288);
	n = flood(a, 300, 1000, false, "", "");
	CHECK_EQ(n, 245);
	CHECK_HAS(why.text, "245 of your calls are open, 245 of 288 in all");
	m = flood(b, 300, 1001, false, "", "");
	CHECK(m >= 30 && n + m < 280);
	k = flood(root, 300, 0, true, "", "");
	CHECK(k >= 8 && n + m + k <= 288);
	CHECK_EQ(all.refused[SHARE_CALLS], 3);
	close_all(a, n);
	close_all(b, m);
	close_all(root, k);
	check_empty();
}

TEST(clients_without_a_key_share_their_users_account)
{
	static struct front_stake a[300], b[300], keyed[300];
	int n, m, k;

	begin(288);
	n = flood(a, 300, 0, false, "", "10.0.0.1");
	CHECK(n > 200 && n < 245);
	m = flood(b, 300, 0, false, "", "10.0.0.2");
	CHECK(m > 10 && n + m <= 245);
	CHECK(a[0].account->scope == b[0].account->scope && a[0].account->number != b[0].account->number);
	k = flood(keyed, 300, 0, false, "key", "10.0.0.1"); /* with a key the client is nothing */
	CHECK(k > 20);
	CHECK(a[0].account->scope != keyed[0].account->scope);
	CHECK_STR(keyed[0].account->client, "");
	close_all(a, n);
	close_all(b, m);
	close_all(keyed, k);
	check_empty();
}

TEST(a_scope_is_the_same_when_its_account_comes_again)
{
	struct front_stake s;
	uint64_t scope;

	begin(8);
	open_one(&s, 5, false, "alice", "");
	scope = s.account->scope;
	front_stake_close(&s);
	check_empty();
	open_one(&s, 5, false, "alice", "x");
	CHECK(s.account->scope == scope);
	front_stake_close(&s);
	open_one(&s, 6, false, "alice", "");
	CHECK(s.account->scope != scope);
	front_stake_close(&s);
}

TEST(a_few_places_may_all_be_one_accounts)
{
	static struct front_stake a[10];
	int n;

	for (int calls = 1; calls < 8; calls++) {
		begin(calls);
		n = flood(a, 10, 1000, false, "", "");
		CHECK_EQ(n, calls);
		close_all(a, n);
	}
	begin(8);
	CHECK_EQ(flood(a, 10, 1000, false, "", ""), 7);
	close_all(a, 7);
}

TEST(one_large_call_is_judged_alone)
{
	struct front_stake a, b;

	begin(8);
	open_one(&a, 1, false, "", "");
	open_one(&b, 1, false, "", "");
	CHECK_EQ(front_stake_hold(&a, SHARE_TOKENS, 2 << 20, &why), 0);
	CHECK_EQ(front_stake_hold(&b, SHARE_TOKENS, 1, &why), ERR_BUSY);
	CHECK_HAS(why.text, "2097152 of your tokens are waiting");
	CHECK_EQ(front_stake_hold(&a, SHARE_CALLS, 1, &why), 0);
	front_stake_wait(&a);
	front_stake_run(&a); /* its tokens do not wait any more */
	CHECK_EQ(front_stake_hold(&b, SHARE_TOKENS, 1, &why), 0);
	front_stake_close(&a);
	front_stake_close(&b);
	check_empty();
}

/* Whoever holds nothing finds a place while any is free that is not kept; nobody holds more than seven times what is
 * free then. */
TEST(random_lives)
{
	enum { MOST = 400, USERS = 12 };
	static struct front_stake s[MOST];
	static const char *const clients[] = {"", "", "a", "b"};

	begin(100);
	for (int i = 0; i < 200000; i++) {
		struct front_stake *one = &s[below(MOST)];
		int uid = below(USERS);
		int64_t free = 100 - all.kept[SHARE_CALLS] - all.held[SHARE_CALLS];
		bool none;
		if (one->account) {
			front_stake_close(one);
			continue;
		}
		if (below(4) && i % 50000 < 25000)
			uid = 0; /* floods half of the time */
		open_one(one, (uid_t)uid, false, below(3) ? "" : "k", clients[below(4)]);
		none = !one->account->held[SHARE_CALLS] && !one->account->parent;
		if (front_stake_hold(one, SHARE_CALLS, 1, &why)) {
			CHECK(!none || free < 1);
			front_stake_close(one);
			continue;
		}
		CHECK(free >= 1 && one->account->held[SHARE_CALLS] <= 7 * free);
		if (below(2))
			front_stake_wait(one);
		if (one->waits && below(2))
			front_stake_run(one);
	}
	close_all(s, MOST);
	check_empty();
}

CHECK_MAIN()
