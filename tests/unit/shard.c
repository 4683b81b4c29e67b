/* Who owns what, for every shape of heads and every number of ranks. */
#include "base/base.h"
#include "parallel/shard.h"
#include "tests/check.h"

static struct shard_shape shape_of(int heads, int kv_heads)
{
	return (struct shard_shape){
		.hidden = 256, .heads = heads, .kv_heads = kv_heads, .head_dim = 16, .ffn = 172, .vocab = 1000};
}

/* Runs `check` on every rank count of every number of heads and K/V heads. */
static void each_job(void (*check)(const struct shard_shape *p, int size))
{
	for (int heads = 1; heads <= 64; heads++) {
		for (int kv = 1; kv <= heads; kv++) {
			struct shard_shape p = shape_of(heads, kv);

			if (heads % kv)
				continue;
			for (int size = 1; size <= shard_max_ranks(&p); size++)
				check(&p, size);
		}
	}
}

/* Rank r's part of an axis begins where rank r-1's ended, and the last ends with the axis. */
static void check_axis(struct span own, int *at, int rank, int size, int length)
{
	CHECK_EQ(own.first, *at);
	CHECK(own.count >= 0);
	*at += own.count;
	if (rank == size - 1)
		CHECK_EQ(*at, length);
}

static void check_owned_once(const struct shard_shape *p, int size)
{
	int o = 0, down = 0, heads = 0, ffn = 0, vocab = 0, words = 0;

	for (int r = 0; r < size; r++) {
		struct shard s = shard_make(p, r, size);

		check_axis((struct span){s.o.first, s.o.count}, &o, r, size, s.o.n_leaves);
		check_axis((struct span){s.down.first, s.down.count}, &down, r, size, 32);
		check_axis(s.heads, &heads, r, size, p->heads);
		check_axis(s.ffn, &ffn, r, size, p->ffn);
		check_axis(s.vocab, &vocab, r, size, p->vocab);
		check_axis((struct span){s.vocab_sum.first, s.vocab_sum.count}, &words, r, size, size);
		CHECK_EQ(s.vocab_sum.count, 1);
		CHECK(s.heads.count > 0);
		CHECK_EQ(split_columns(&s.o).first, s.heads.first * p->head_dim);
		CHECK_EQ(split_columns(&s.o).count, s.heads.count * p->head_dim);
		CHECK_EQ(split_columns(&s.vocab_sum).first, s.vocab.first);
	}
}

TEST(everything_is_owned_once)
{
	each_job(check_owned_once);
}

static void check_kv(const struct shard_shape *p, int size)
{
	for (int r = 0; r < size; r++) {
		struct shard s = shard_make(p, r, size);
		int lo = p->kv_heads, hi = -1;

		for (int h = s.heads.first; h < s.heads.first + s.heads.count; h++) {
			lo = min_int(lo, h / (p->heads / p->kv_heads));
			hi = max_int(hi, h / (p->heads / p->kv_heads));
		}
		CHECK_EQ(s.kv_heads.first, lo);
		CHECK_EQ(s.kv_heads.count, hi - lo + 1);
	}
}

TEST(kv_heads_cover_their_q_heads)
{
	each_job(check_kv);
}

TEST(leaves_of_o)
{
	for (int heads = 1; heads <= 64; heads++) {
		struct shard_shape p = shape_of(heads, heads);
		struct shard s = shard_make(&p, 0, 1);

		CHECK_EQ(s.o.n_leaves & (s.o.n_leaves - 1), 0);
		CHECK(s.o.n_leaves <= 32 && s.o.n_leaves <= heads);
		CHECK(s.o.n_leaves * 2 > min_int(heads, 32));
		CHECK_EQ(shard_max_ranks(&p), s.o.n_leaves);
		CHECK_EQ(s.o.start[0], 0);
		CHECK_EQ(s.o.start[s.o.n_leaves], heads * 16);
		for (int j = 0; j < s.o.n_leaves; j++)
			CHECK_EQ(s.o.start[j], 16 * (heads * j / s.o.n_leaves));
	}
}

TEST(leaves_of_down_start_on_groups)
{
	for (int ffn = 1; ffn < 3000; ffn++) {
		struct shard_shape p = shape_of(32, 8);
		struct shard s;

		p.ffn = ffn;
		s = shard_make(&p, 0, 1);
		CHECK_EQ(s.down.n_leaves, 32);
		CHECK_EQ(s.down.start[0], 0);
		CHECK_EQ(s.down.start[32], ffn);
		for (int j = 0; j < 32; j++) {
			CHECK_EQ(s.down.start[j] % 32, 0);
			CHECK_EQ(s.down.start[j], 32 * ((ffn + 31) / 32 * j / 32));
			CHECK(s.down.start[j + 1] >= s.down.start[j]);
		}
	}
}

TEST(an_empty_share)
{
	struct shard_shape p = shape_of(32, 32);
	int empty = 0;

	p.ffn = 32;
	p.vocab = 100;
	for (int r = 0; r < 8; r++) {
		struct shard s = shard_make(&p, r, 8);

		empty += !s.ffn.count;
		CHECK(s.down.count == 4); /* leaves there are, columns in one of them only */
		CHECK_EQ(s.vocab.count, r == 3 ? 64 : r == 7 ? 36 : 0);
	}
	CHECK_EQ(empty, 7);
}

TEST(shares_of_known_models)
{
	struct shard_shape p = {
		.hidden = 5120, .heads = 40, .kv_heads = 40, .head_dim = 128, .ffn = 13824, .vocab = 100278};
	static const int want[3] = {13, 14, 13};
	int words = 0;

	for (int r = 0; r < 3; r++)
		CHECK_EQ(shard_make(&p, r, 3).heads.count, want[r]);
	for (int r = 0; r < 2; r++) {
		struct shard s = shard_make(&p, r, 2);

		CHECK_EQ(s.heads.count, 20);
		CHECK_EQ(s.ffn.count, 6912);
		CHECK_EQ(s.ffn.first, r * 6912);
		CHECK_EQ(s.vocab.first % 64, 0);
		words += s.vocab.count;
	}
	CHECK_EQ(words, 100278);
	p.ffn = 172; /* 6 groups of 32 */
	CHECK_EQ(shard_make(&p, 0, 8).ffn.count + shard_make(&p, 1, 8).ffn.count, 32);
	CHECK_EQ(shard_make(&p, 7, 8).ffn.first + shard_make(&p, 7, 8).ffn.count, 172);
}

TEST(parts_are_aligned_subtrees_in_order)
{
	struct part parts[SHARD_MAX_PARTS];
	int most = 0;

	CHECK_EQ(leaf_parts(5, 0, parts), 0);
	for (int first = 0; first < 32; first++) {
		for (int count = 1; first + count <= 32; count++) {
			int n = leaf_parts(first, count, parts), at = first;

			most = max_int(most, n);
			for (int i = 0; i < n; i++) {
				CHECK_EQ(parts[i].first, at);
				CHECK_EQ(parts[i].count & (parts[i].count - 1), 0);
				CHECK_EQ(parts[i].first % parts[i].count, 0);
				/* maximal: its parent subtree is not owned whole */
				int twice = 2 * parts[i].count, parent = at / twice * twice;
				CHECK(parent < first || parent + twice > first + count);
				at += parts[i].count;
			}
			CHECK_EQ(at, first + count);
		}
	}
	CHECK_EQ(most, 8);
}

TEST(powers_of_two_ship_one_part)
{
	struct shard_shape p = shape_of(40, 40);
	struct part parts[SHARD_MAX_PARTS];

	for (int size = 1; size <= 32; size *= 2) {
		for (int r = 0; r < size; r++) {
			struct shard s = shard_make(&p, r, size);

			CHECK_EQ(split_parts(&s.o, parts), 1);
			CHECK_EQ(split_parts(&s.down, parts), 1);
		}
	}
}

CHECK_MAIN()
