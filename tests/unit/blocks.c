/* Blocks against a reference that keeps whole texts: what is found must be what was written. */
#include "engine/sched/blocks.h"

#include "tests/check.h"

static uint64_t random_state = 1;
static int below(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)((random_state >> 33) % (uint64_t)n);
}

TEST(takes_all_then_none)
{
	struct blocks *b = blocks_create(3, 4, true);

	for (int i = 0; i < 3; i++)
		CHECK(blocks_take(b) >= 0);
	CHECK_EQ(blocks_take(b), -1);
	CHECK_EQ(blocks_held(b), 3);
	blocks_check(b);
	for (int i = 0; i < 3; i++)
		blocks_drop(b, i);
	CHECK_EQ(blocks_available(b), 3);
	blocks_check(b);
	blocks_destroy(b);
}

TEST(finds_a_prefix_but_never_all)
{
	int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct blocks *b = blocks_create(4, 4, true);
	int out[2], one = blocks_take(b), two = blocks_take(b);

	blocks_publish(b, 7, -1, one, ids);
	blocks_publish(b, 7, one, two, ids + 4);
	blocks_drop(b, two);
	blocks_drop(b, one);
	CHECK_EQ(blocks_match(b, 7, ids, 8, out), 1); /* a token is left to compute */
	blocks_drop(b, out[0]);
	CHECK_EQ(blocks_match(b, 8, ids, 8, out), 0); /* another scope */
	ids[5]++;
	CHECK_EQ(blocks_match(b, 7, ids, 8, out), 1);
	blocks_drop(b, out[0]);
	blocks_check(b);
	blocks_destroy(b);
}

/* The parent's number is reused for another text: its child must not be found behind it. */
TEST(generation_guards_a_reused_parent)
{
	int32_t a[] = {1, 1, 9, 9, 0}, c[] = {2, 2, 9, 9, 0};
	struct blocks *b = blocks_create(2, 2, true);
	int out[2], parent = blocks_take(b), child = blocks_take(b), again;

	blocks_publish(b, 0, -1, parent, a);
	blocks_publish(b, 0, parent, child, a + 2);
	blocks_drop(b, parent); /* older: taken first */
	again = blocks_take(b);
	CHECK_EQ(again, parent);
	blocks_publish(b, 0, -1, again, c);
	CHECK_EQ(blocks_match(b, 0, c, 5, out), 1);
	blocks_drop(b, again);
	blocks_drop(b, again);
	blocks_drop(b, child);
	blocks_check(b);
	blocks_destroy(b);
}

TEST(caching_off_finds_nothing)
{
	int32_t ids[] = {1, 2, 3};
	struct blocks *b = blocks_create(2, 2, false);
	int out[1], i = blocks_take(b);

	blocks_publish(b, 0, -1, i, ids);
	CHECK_EQ(blocks_match(b, 0, ids, 3, out), 0);
	blocks_drop(b, i);
	blocks_check(b);
	blocks_destroy(b);
}

enum { N = 24, SIZE = 2, LENGTH = 6, USERS = 8 };

/* A user holds a chain of blocks; `text` remembers what each block number holds by its whole path. */
struct user {
	int n, block[LENGTH];
	int32_t ids[LENGTH * SIZE + 1];
	uint64_t scope;
};
struct reference {
	int32_t path[N][LENGTH * SIZE];
	int depth[N];
	uint64_t scope[N];
};

static void write_block(struct reference *r, const struct user *u, int i)
{
	int block = u->block[i];

	memcpy(r->path[block], u->ids, (size_t)((i + 1) * SIZE) * sizeof(int32_t));
	r->depth[block] = i + 1;
	r->scope[block] = u->scope;
}

static void check_user(const struct reference *r, const struct user *u)
{
	for (int i = 0; i < u->n; i++) {
		int block = u->block[i];
		CHECK_EQ(r->depth[block], i + 1);
		CHECK_EQ(r->scope[block], u->scope);
		CHECK(!memcmp(r->path[block], u->ids, (size_t)((i + 1) * SIZE) * sizeof(int32_t)));
	}
}

static void begin(struct blocks *b, struct reference *r, struct user *u)
{
	u->scope = (uint64_t)below(2);
	for (int i = 0; i < LENGTH * SIZE + 1; i++)
		u->ids[i] = below(2);
	u->n = blocks_match(b, u->scope, u->ids, LENGTH * SIZE + 1, u->block);
	check_user(r, u);
}

static void grow(struct blocks *b, struct reference *r, struct user *u)
{
	int i = u->n, block = blocks_take(b);

	if (block < 0)
		return;
	u->block[u->n++] = block;
	write_block(r, u, i);
	blocks_publish(b, u->scope, i ? u->block[i - 1] : -1, block, u->ids + i * SIZE);
}

static int distinct(const struct user *u)
{
	bool held[N] = {false};
	int n = 0;

	for (int k = 0; k < USERS; k++)
		for (int i = 0; i < u[k].n; i++) {
			n += !held[u[k].block[i]];
			held[u[k].block[i]] = true;
		}
	return n;
}

TEST(a_million_random_steps)
{
	static struct reference r;
	static struct user user[USERS];
	struct blocks *b = blocks_create(N, SIZE, true);

	for (int step = 0; step < 1000000; step++) {
		struct user *u = &user[below(USERS)];
		if (!u->n)
			begin(b, &r, u);
		if (u->n < LENGTH && below(8))
			grow(b, &r, u);
		else
			while (u->n)
				blocks_drop(b, u->block[--u->n]);
		if (step % 64 == 0) {
			check_user(&r, u);
			CHECK_EQ(blocks_held(b), distinct(user));
			blocks_check(b);
		}
	}
	for (int k = 0; k < USERS; k++)
		while (user[k].n)
			blocks_drop(b, user[k].block[--user[k].n]);
	CHECK_EQ(blocks_available(b), N);
	blocks_check(b);
	blocks_destroy(b);
}

CHECK_MAIN()
