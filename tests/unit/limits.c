/* The file of --limits, and what its entries count: each limit, tokens over time, a file that changes under open calls.
 */
#include "daemon/front/quota.h"

#include <string.h>

#include "tests/check.h"

static struct why why;
static const uint64_t second = 1000000000u;

static bool find_user(const char *name, uint32_t *id)
{
	*id = 500;
	return !strcmp(name, "alice");
}

static bool find_group(const char *name, uint32_t *id)
{
	*id = 700;
	return !strcmp(name, "students");
}

static const struct limits_names names = {find_user, find_group};

static int parse(struct limits *l, const char *text)
{
	char copy[4096];

	snprintf(copy, sizeof copy, "%s", text);
	return limits_parse(l, copy, strlen(copy), "file", &names, &why);
}

TEST(entries_and_their_limits)
{
	struct limits l;
	const struct limit *alice;

	CHECK_EQ(
		parse(&l,
		      "# who\nuser: alice # comment\n max-running: 2\n max-waiting = 0\n tokens-per-minute: 20k\n\n"
		      "group: students\nadapters: none\nuser: 501\nkey: \"a b\"\nmodels: x, y z\ndefault:\nmax-waiting: 1\n"),
		0);
	CHECK_EQ(l.n, 5);
	alice = limits_find(&l, LIMIT_USER, 500, "");
	CHECK(alice && alice->running == 2 && alice->waiting == 0 && alice->tokens == 20000 && !alice->adapters);
	CHECK(limits_find(&l, LIMIT_GROUP, 700, "") && !limits_find(&l, LIMIT_GROUP, 500, ""));
	CHECK(limits_find(&l, LIMIT_USER, 501, "")->running == -1);
	CHECK(limits_allow(limits_find(&l, LIMIT_KEY, 0, "a b")->models, "z"));
	CHECK(!limits_allow(limits_find(&l, LIMIT_KEY, 0, "a b")->models, "xy"));
	CHECK(!limits_allow(limits_find(&l, LIMIT_GROUP, 700, "")->adapters, "none"));
	CHECK(limits_allow(NULL, "anything"));
	CHECK(limits_find(&l, LIMIT_DEFAULT, 77, "k")->waiting == 1);
	limits_finish(&l);
}

TEST(wrong_files_are_named)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{"max-running: 1\n", "line 1: max-running stands before"},
		{"user:\n", "requires a name"},
		{"default: x\n", "has no value"},
		{"user: bob\n", "there is no user \"bob\""},
		{"group: -1\n", "there is no group"},
		{"user: 1k\n", "there is no user \"1k\""},
		{"user: +5\n", "there is no user"},
		{"user: 4294967295\n", "there is no user"},
		{"\nuser: alice\nuser: 500\n", "line 3: \"user: 500\" has an entry already"},
		{"default:\ndefault:\n", "has an entry already"},
		{"default:\nmax-running: 0\n", "from 1 to"},
		{"default:\nmax-running: 9999999999999999999\n", "is not a whole number"},
		{"default:\ntokens-per-minute: 1.5\n", "is not a whole number"},
		{"default:\nmax-waiting: 1\nmax-waiting: 2\n", "given twice"},
		{"key: a\nmodels: a,,b\n", "names with commas"},
		{"key: a\nmodels:\n", "names with commas"},
		{"key: a\nmodels: a\nmodels: b\n", "given twice"},
		{"default:\nmax-runing: 1\n", "did you mean max-running?"},
		{"default\n", "expected \"name: value\""},
	};
	struct limits l;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_EQ(parse(&l, wrong[i].text), ERR_INVALID);
		CHECK(strstr(why.text, wrong[i].says));
		CHECK(!l.at && !l.n);
	}
	CHECK_EQ(limits_parse(&l, (char[]){"default:\0max-waiting: 1\n"}, 24, "file", &names, &why), ERR_INVALID);
}

static struct quotas all;

static void follow(const char *text)
{
	struct limits l;

	REQUIRE(!parse(&l, text));
	quotas_follow(&all, &l);
}

static int admit(struct quota_claim *c, uid_t uid, const char *key, int tokens, bool room, uint64_t now,
		 uint32_t *retry)
{
	struct rpc_peer peer = {.uid = uid, .gid = 700};
	struct xv_asker asker = {key, ""};
	int err;

	quota_open(&all, c, &peer, &asker, now);
	err = quota_admit(c, "model", "", tokens, room, now, retry, &why);
	if (err)
		quota_close(c);
	else if (quota_may_run(c))
		quota_post(c);
	return err;
}

static void run(struct quota_claim *c)
{
	quota_run(c);
}

TEST(as_many_run_and_wait_as_may)
{
	struct quota_claim c[5];
	uint32_t retry;

	follow("user: alice\nmax-running: 2\nmax-waiting: 1\n");
	CHECK(!admit(&c[0], 500, "", 1, true, 0, &retry) && c[0].with_engine);
	CHECK(!admit(&c[1], 500, "", 1, true, 0, &retry) && c[1].with_engine);
	run(&c[0]);
	CHECK(!admit(&c[2], 500, "", 1, true, 0, &retry) && !c[2].with_engine);
	CHECK_EQ(admit(&c[3], 500, "", 1, true, 0, &retry), ERR_BUSY);
	CHECK(strstr(why.text, "user alice") && strstr(why.text, "max-waiting"));
	CHECK(!admit(&c[3], 501, "", 1, true, 0, &retry) && c[3].with_engine);
	quota_close(&c[0]);
	CHECK(quota_may_run(&c[2]));
	quota_post(&c[2]);
	run(&c[2]);
	CHECK(!admit(&c[0], 500, "", 1, false, 0, &retry) && !c[0].with_engine);
	for (int i = 0; i < 4; i++)
		quota_close(&c[i]);
	quotas_sweep(&all, 100 * second);
	CHECK_EQ(all.n, 0);
	quotas_finish(&all);
}

TEST(a_call_waits_only_where_there_is_no_room)
{
	struct quota_claim a, b;
	uint32_t retry;

	follow("user: alice\nmax-waiting: 0\n");
	CHECK(!admit(&a, 500, "", 1, true, 0, &retry));
	CHECK(!admit(&b, 500, "", 1, true, 0, &retry));
	quota_close(&b);
	CHECK_EQ(admit(&b, 500, "", 1, false, 0, &retry), ERR_BUSY);
	quota_close(&a);
	quotas_finish(&all);
}

TEST(tokens_come_back_with_time)
{
	struct quota_claim c;
	uint32_t retry;

	follow("key: k\ntokens-per-minute: 60\n");
	CHECK(!admit(&c, 1, "k", 50, true, 0, &retry));
	quota_spend(&c, 20, 0);
	quota_close(&c);
	CHECK_EQ(admit(&c, 1, "k", 5, true, 0, &retry), ERR_BUSY);
	CHECK(strstr(why.text, "API key k") && retry >= 15000 && retry <= 15010);
	CHECK_EQ(admit(&c, 1, "k", 5, true, 14 * second, &retry), ERR_BUSY);
	CHECK(!admit(&c, 1, "k", 5, true, 16 * second, &retry));
	quota_close(&c);
	quotas_sweep(&all, 20 * second);
	CHECK_EQ(all.n, 1);                                         /* its bucket is not full */
	CHECK(!admit(&c, 1, "k", 500, true, 200 * second, &retry)); /* more than it holds: when it is full */
	quota_close(&c);
	CHECK_EQ(admit(&c, 1, "k", 1, true, 200 * second, &retry), ERR_BUSY);
	CHECK(retry > 400000 && retry <= 3600000);
	quotas_finish(&all);
}

TEST(groups_are_counted_together_and_owners_have_no_default)
{
	struct quota_claim a, b;
	struct rpc_peer owner = {.uid = 0, .owner = true, .gid = 1},
			far = {.uid = 9, .gid = 1, .groups = {3, 700}, .n_groups = 2};
	struct xv_asker asker = {"", ""};
	uint32_t retry;

	follow("group: students\nmax-running: 1\nmax-waiting: 0\ndefault:\nmax-running: 1\n");
	CHECK(!admit(&a, 500, "", 1, true, 0, &retry));
	CHECK_EQ(a.n, 2);
	CHECK_EQ(admit(&b, 501, "", 1, true, 0, &retry), ERR_BUSY);
	CHECK(strstr(why.text, "group students"));
	quota_open(&all, &b, &owner, &asker, 0);
	CHECK_EQ(b.n, 0);
	quota_close(&b);
	quota_open(&all, &b, &far, &asker, 0);
	CHECK_EQ(b.n, 2);
	quota_close(&b);
	quota_close(&a);
	quotas_finish(&all);
}

TEST(a_new_file_counts_for_open_calls)
{
	struct quota_claim a, b;
	uint32_t retry;

	follow("user: alice\nmax-running: 2\n");
	CHECK(!admit(&a, 500, "", 1, true, 0, &retry));
	follow("user: alice\nmax-running: 1\nmax-waiting: 0\n");
	CHECK_EQ(admit(&b, 500, "", 1, true, 0, &retry), ERR_BUSY);
	follow("");
	CHECK(!admit(&b, 500, "", 1, true, 0, &retry));
	follow("user: alice\ntokens-per-minute: 100\n");
	quota_close(&b);
	CHECK(!admit(&b, 500, "", 100, true, second, &retry));
	quota_close(&a);
	quota_close(&b);
	quotas_finish(&all);
}

CHECK_MAIN()
