/* How a step's attention is cut into work: decode's keys evenly over the SMs, or every 256 where bits are fixed; tiles
 * of prompts, the longest first. */
#include "engine/cuda/cuda.h"
#include "tests/check.h"

enum { SMS = 132, RUNS = 40, MOST = 64 /* sequences */, ROOM = 8 * SMS / RUNS + 4 * MOST };

static struct attn_item items[4 * MOST + ROOM];
static struct attn_join joins[ROOM];
static struct attn_tile tiles[MOST];
static struct attn_plan plan = {.items = items, .joins = joins, .tiles = tiles};

static int window; /* of all that follows; 0: none */

/* Sequences of `keys` keys each, of which the last `fresh` are new. */
static void make(int seqs, int keys, int fresh, bool fixed, int max_parts)
{
	static int32_t q_start[MOST + 1], block_start[MOST + 1], pos[MOST * 300];
	struct step_head head = {.n_seqs = seqs, .n_tokens = seqs * fresh};
	struct step s = {.head = &head, .q_start = q_start, .block_start = block_start, .pos = pos};
	struct plan_limits lim = {SMS, RUNS, max_parts, fixed, 4 * MOST + ROOM, window};

	for (int i = 0; i < seqs; i++) {
		q_start[i + 1] = (i + 1) * fresh, block_start[i + 1] = (i + 1) * div_up(keys, KV_BLOCK);
		for (int t = 0; t < fresh; t++)
			pos[i * fresh + t] = keys - fresh + t;
	}
	plan_attention(&plan, &s, &lim);
}

/* Every key of every token, or of the pages or ranges that its window reaches, occurs once, in order; parts are
 * numbered through; joins name them. Returns the keys of the largest item. */
static int check_items(int seqs, int keys, int fresh, bool fixed)
{
	int n = 0, parts = 0, n_joins = 0, most = 0;

	for (int t = 0; t < seqs * fresh; t++) {
		int want = keys - fresh + t % fresh + 1, at = 0, first = parts, join = plan.items[n].join,
		    page = fixed ? FIXED_RANGE : KV_BLOCK;
		if (window && want > window)
			at = (want - window) / page * page;
		for (; at < want; at += plan.items[n++].keys) {
			const struct attn_item *it = &plan.items[n];
			CHECK(n < plan.n_items && it->keys > 0);
			CHECK_EQ(it->token, t);
			CHECK_EQ(it->first, at);
			CHECK_EQ(it->block_at, t / fresh * div_up(keys, KV_BLOCK));
			CHECK_EQ(it->join, join);
			CHECK(join < 0 || it->part == parts++);
			most = max_int(most, it->keys);
		}
		CHECK_EQ(at, want);
		if (join < 0)
			continue;
		CHECK_EQ(join, n_joins);
		CHECK_EQ(plan.joins[join].first, first);
		CHECK_EQ(plan.joins[join].count, parts - first);
		CHECK(parts - first > 1);
		n_joins++;
	}
	CHECK_EQ(n, plan.n_items);
	CHECK_EQ(n_joins, plan.n_joins);
	CHECK(parts <= ROOM);
	return most;
}

TEST(few_sequences_are_cut_small)
{
	make(1, 1024, 1, false, ROOM); /* 16 blocks for each head, 640 in all */
	CHECK_EQ(check_items(1, 1024, 1, false), 64);
	CHECK_EQ(plan.n_items, 16);
	make(1, 64, 1, false, ROOM);
	CHECK_EQ(plan.n_items, 1);
	CHECK_EQ(plan.n_joins, 0);
	make(1, 65, 1, false, ROOM);
	CHECK_EQ(plan.n_items, 2);
}

TEST(parts_are_alike)
{
	make(8, 1024, 1, false, ROOM); /* 320 keys would leave 64 for the last of four */
	CHECK_EQ(check_items(8, 1024, 1, false), 256);
	CHECK_EQ(plan.n_items, 32);
	for (int keys = 1; keys <= 9000; keys += 1 + keys / 7)
		for (int seqs = 1; seqs <= MOST; seqs *= 2)
			for (int fresh = 1; fresh <= min_int(keys, DECODE_TOKENS); fresh++) {
				int64_t all = (int64_t)seqs * fresh * keys * RUNS;
				int most, least = keys, at_most = (int)((all + 8 * SMS - 1) / (8 * SMS)) + KV_BLOCK;
				make(seqs, keys, fresh, false, 8 * SMS / RUNS + seqs * fresh);
				most = check_items(seqs, keys, fresh, false);
				CHECK(most <= max_int(LEAST_KEYS, at_most));
				for (int i = 0; i < plan.n_items; i++)
					if (plan.items[i].join >= 0 && i + 1 < plan.n_items &&
					    plan.items[i + 1].join == plan.items[i].join)
						least = min_int(least, plan.items[i].keys);
				CHECK(plan.n_joins == 0 || least >= most / 2); /* but for a token's last part */
			}
}

TEST(by_position_where_bits_are_fixed)
{
	for (int seqs = 1; seqs <= 8; seqs *= 2) {
		make(seqs, 600, 1, true, ROOM); /* alike they would be 224 keys each */
		CHECK_EQ(check_items(seqs, 600, 1, true), FIXED_RANGE);
		CHECK_EQ(plan.n_items, 3 * seqs);
		for (int i = 0; i < plan.n_items; i++)
			CHECK_EQ(plan.items[i].first % FIXED_RANGE, 0);
	}
}

TEST(a_window_leaves_keys_out)
{
	window = 100;
	make(4, 5000, 2, false, ROOM); /* 100 keys begin inside a page, so up to five pages are looked at */
	CHECK(check_items(4, 5000, 2, false) <= 160);
	make(4, 90, 2, false, ROOM);
	check_items(4, 90, 2, false);
	for (int keys = 90; keys < 900; keys += 7) {
		make(3, keys, 2, true, ROOM);
		CHECK(check_items(3, keys, 2, true) <= FIXED_RANGE);
		for (int i = 0; i < plan.n_items; i++)
			CHECK_EQ(plan.items[i].first % FIXED_RANGE, 0);
	}
	window = 0;
}

TEST(without_room_for_parts_a_token_is_whole)
{
	make(2, 1024, 1, false, 20); /* the first one takes 11 */
	CHECK(plan.n_joins == 1 && plan.items[plan.n_items - 1].keys == 1024);
	check_items(2, 1024, 1, false);
}

TEST(the_longest_tile_first)
{
	make(2, 300, 300, false, ROOM);
	CHECK_EQ(plan.n_items, 0);
	CHECK_EQ(plan.n_tiles, 6);
	for (int i = 1; i < plan.n_tiles; i++)
		CHECK(tiles[i - 1].pos + tiles[i - 1].rows >= tiles[i].pos + tiles[i].rows);
	CHECK_EQ(tiles[0].pos, 256);
	CHECK_EQ(tiles[0].rows, 44);
}

/* The largest size of steps that have graphs. */
static int largest_size(int max_seqs, int max_tokens)
{
	struct cuda c = {.how = {.limits = {.max_seqs = max_seqs, .max_tokens = max_tokens}}};
	int most = 0;

	for (int i = 0, n; (n = cuda_step_size(&c, i)); i++)
		most = n;
	return most;
}

TEST(sizes_of_steps_with_graphs)
{
	CHECK_EQ(largest_size(2, 512), 8);
	CHECK_EQ(largest_size(64, 512), 64);
	CHECK_EQ(largest_size(65, 512), 96);
	CHECK_EQ(largest_size(97, 512), 128);
	CHECK_EQ(largest_size(500, 512), 128);
	CHECK_EQ(largest_size(500, 100), 96);
}

CHECK_MAIN()
