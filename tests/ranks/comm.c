/* Sums and gathers between ranks: exact values, the same bits on any number of ranks, no races. */
#include "parallel/comm.h"
#include "tests/ranks/job.h"

static uint32_t mix(uint32_t h)
{
	h = (h ^ h >> 16) * 0x7feb352du;
	h = (h ^ h >> 15) * 0x846ca68bu;
	return h ^ h >> 16;
}

/* Leaf j of element `at` of sum `no`: of very different sizes, so that another order gives other bits. */
static float leaf_value(uint32_t no, int j, size_t at)
{
	uint32_t h = mix(no * 0x9e3779b9u + (uint32_t)j * 0x85ebca6bu + (uint32_t)at);

	return (float)((int32_t)h >> 8) * 0x1p-20f * (float)(1u << (h & 15));
}

static float subtree(uint32_t no, int first, int count, size_t at)
{
	if (count == 1)
		return leaf_value(no, first, at);
	return subtree(no, first, count / 2, at) + subtree(no, first + count / 2, count / 2, at);
}

/* The whole axis: the largest perfect subtree plus the rest. */
static float whole(uint32_t no, int first, int n, size_t at)
{
	int big = 1;

	while (big * 2 <= n)
		big *= 2;
	return big == n ? subtree(no, first, n, at) : subtree(no, first, big, at) + whole(no, first + big, n - big, at);
}

static void fill_parts(float *to, uint32_t no, const struct split *k, size_t length)
{
	struct part parts[SHARD_MAX_PARTS];
	int n = split_parts(k, parts);

	for (int i = 0; i < n; i++)
		for (size_t at = 0; at < length; at++)
			to[(size_t)i * length + at] = subtree(no, parts[i].first, parts[i].count, at);
}

/* One sum, checked element by element, or only every `stride`th of them. */
static int check_sum(struct comm *c, uint32_t no, const struct split *k, int rows, int cols, size_t stride)
{
	size_t length = (size_t)rows * (size_t)cols;
	float *out = xalloc(length, sizeof *out), *parts = comm_parts(c, k, rows, cols);
	int wrong = 0;

	fill_parts(parts, no, k, length);
	memset(out, 0xff, length * sizeof *out);
	comm_sum(c, out, DT_F32, k, rows, cols);
	for (size_t at = 0; at < length; at += stride) {
		float want = whole(no, 0, k->n_leaves, at) + 0.0f;

		if (memcmp(&out[at], &want, sizeof want))
			wrong = job_wrong(wrong, "sum", (long)at);
	}
	free(out);
	return wrong;
}

static const struct comm_limits limits = {
	.max_rows = 160, .max_cols = 5120, .max_parts = 8, .gather_rows = 16, .gather_cols = 10000};

static const struct shard_shape shapes[] = {
	{.hidden = 5120, .heads = 40, .kv_heads = 40, .head_dim = 128, .ffn = 13824, .vocab = 100278},
	{.hidden = 64, .heads = 8, .kv_heads = 2, .head_dim = 8, .ffn = 172, .vocab = 500},
	{.hidden = 65, .heads = 5, .kv_heads = 5, .head_dim = 13, .ffn = 172, .vocab = 100},
};

/* All splits of a shape that has a rank count of this size. */
static int check_shape(struct comm *c, const struct shard_shape *p, int rows, int cols, size_t stride, uint32_t no)
{
	struct shard s;

	if (c->size > shard_max_ranks(p))
		return 0;
	s = shard_make(p, c->rank, c->size);
	return check_sum(c, no, &s.o, rows, cols, stride) + check_sum(c, no + 1, &s.down, rows, cols, stride) +
	       check_sum(c, no + 2, &s.vocab_sum, rows, cols, stride);
}

static int sums_have_the_same_bits(struct world *w)
{
	static const int sizes[][3] = {{1, 1, 1},    {1, 5, 1},     {3, 1000, 1},    {1, 5120, 1},
				       {17, 333, 1}, {7, 5120, 11}, {160, 5120, 997}};
	struct comm *c = comm_host_create(w, &limits);
	int wrong = 0;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++)
			wrong += check_shape(c, &shapes[j], sizes[i][0], sizes[i][1], (size_t)sizes[i][2],
					     (uint32_t)(100 * i + 10 * j));
	comm_destroy(c);
	return wrong;
}

/* Whole numbers: every order gives rank-count-free values that one can foretell. */
static int sums_are_exact(struct world *w)
{
	struct comm *c = comm_host_create(w, &limits);
	struct split k = {.n_leaves = w->size, .first = w->rank, .count = 1};
	int wrong = 0;

	for (int rows = 1; rows <= 160; rows += 53) {
		size_t length = (size_t)rows * 5120;
		float *out = xalloc(length, sizeof *out), *parts = comm_parts(c, &k, rows, 5120);

		for (size_t at = 0; at < length; at++)
			parts[at] = (float)((int)(at & 1023) * (w->rank + 1));
		comm_sum(c, out, DT_F32, &k, rows, 5120);
		for (size_t at = 0; at < length; at++)
			if (out[at] != (float)((int)(at & 1023) * w->size * (w->size + 1) / 2))
				wrong = job_wrong(wrong, "exact sum", (long)at);
		free(out);
	}
	comm_destroy(c);
	return wrong;
}

static float word(uint32_t no, int row, int col)
{
	return (float)(mix(no * 77u + (uint32_t)row * 10007u + (uint32_t)col) >> 8);
}

static int check_gather(struct comm *c, uint32_t no, int rows, const int *cols, float *out)
{
	int first = 0, all = 0, wrong = 0;
	float *mine = comm_columns(c, rows, cols[c->rank]);

	for (int r = 0; r < c->size; r++) {
		first += r < c->rank ? cols[r] : 0;
		all += cols[r];
	}
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < cols[c->rank]; j++)
			mine[i * cols[c->rank] + j] = word(no, i, first + j);
	comm_gather(c, c->rank ? NULL : out, rows, cols);
	for (int i = 0; c->rank == 0 && i < rows * all; i++)
		if (out[i] != word(no, i / all, i % all))
			wrong = job_wrong(wrong, "gather", i);
	return wrong;
}

static int gathers_are_uneven(struct world *w)
{
	static const int vocabs[] = {1, 64, 172, 1000, 10000};
	struct comm *c = comm_host_create(w, &limits);
	float *out = xalloc(16 * 10000, sizeof *out);
	int wrong = 0, cols[32];

	for (size_t v = 0; v < sizeof vocabs / sizeof *vocabs; v++) {
		struct shard_shape p = {
			.hidden = 8, .heads = 32, .kv_heads = 32, .head_dim = 1, .ffn = 8, .vocab = vocabs[v]};

		for (int r = 0; r < w->size; r++)
			cols[r] = shard_make(&p, r, w->size).vocab.count;
		for (int rows = 1; rows <= 16; rows *= 4)
			wrong += check_gather(c, (uint32_t)v, rows, cols, out);
	}
	for (int r = 0; r < w->size; r++)
		cols[r] = r % 3 * 17; /* rank 0 brings nothing */
	wrong += check_gather(c, 99, 16, cols, out);
	free(out);
	comm_destroy(c);
	return wrong;
}

/* Now and then a rank is late, each at other times. */
static void dawdle(uint32_t *seed)
{
	*seed = mix(*seed + 1);
	if (*seed % 64 == 0)
		usleep(*seed >> 8 & 255);
}

/* One small sum or gather out of many; all ranks draw the same shape. */
static int one_of_many(struct comm *c, uint32_t no, float *out)
{
	uint32_t h = mix(no);
	struct shard s = shard_make(&shapes[no & 1], c->rank, c->size);
	int cols[32];

	if (h % 5 == 0) {
		for (int r = 0; r < c->size; r++)
			cols[r] = (int)(mix(no + (uint32_t)r) % 9);
		return check_gather(c, no, 1 + (int)(h >> 8) % 3, cols, out);
	}
	if (h % 97 == 0) /* large enough for two phases */
		return check_sum(c, no, &s.o, 64, 1600, 499);
	return check_sum(c, no, h % 2 ? &s.o : &s.down, 1 + (int)(h >> 8) % 3, 1 + (int)(h >> 16) % 40, 7);
}

static int many_in_a_row(struct world *w)
{
	struct comm *c = comm_host_create(w, &limits);
	float *out = xalloc(16 * 300, sizeof *out);
	uint32_t seed = (uint32_t)w->rank;
	int wrong = 0, n = job_full ? 100000 : 10000;

	for (int no = 0; no < n && w->size <= 8; no++) {
		dawdle(&seed);
		wrong += one_of_many(c, (uint32_t)no, out);
	}
	free(out);
	comm_destroy(c);
	return wrong;
}

int main(int argc, char **argv)
{
	static const struct job_test tests[] = {{"sums_are_exact", sums_are_exact},
						{"sums_have_the_same_bits", sums_have_the_same_bits},
						{"gathers_are_uneven", gathers_are_uneven},
						{"many_in_a_row", many_in_a_row}};

	return job_main(argc, argv, "1 2 3 4 8", tests, sizeof tests / sizeof *tests);
}
