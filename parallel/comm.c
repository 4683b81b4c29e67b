#include "parallel/comm.h"

void comm_destroy(struct comm *c)
{
	if (c)
		c->ops->destroy(c);
}

static void check_sum(const struct comm *c, const struct split *k, int rows, int cols)
{
	struct part parts[SHARD_MAX_PARTS];
	struct span own;

	REQUIRE(k->n_leaves >= 1 && k->n_leaves <= SHARD_MAX_LEAVES);
	own = split_leaves(k->n_leaves, c->rank, c->size);
	REQUIRE(k->first == own.first && k->count == own.count);
	REQUIRE(rows >= 0 && rows <= c->limits.max_rows);
	REQUIRE(cols > 0 && cols <= c->limits.max_cols);
	REQUIRE(split_parts(k, parts) <= c->limits.max_parts);
}

void *comm_parts(struct comm *c, const struct split *k, int rows, int cols)
{
	check_sum(c, k, rows, cols);
	return c->ops->parts(c, k, rows, cols);
}

void comm_sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols)
{
	check_sum(c, k, rows, cols);
	REQUIRE(out || !rows);
	c->ops->sum(c, out, type, k, rows, cols);
}

float *comm_result(struct comm *c, int i)
{
	REQUIRE(i >= 0 && i < COMM_RESULTS);
	return c->ops->result ? c->ops->result(c, i) : NULL;
}

float *comm_columns(struct comm *c, int rows, int cols)
{
	REQUIRE(rows >= 0 && rows <= c->limits.gather_rows);
	REQUIRE(cols >= 0 && cols <= comm_share(&c->limits, c->size));
	return c->ops->columns(c, rows, cols);
}

void comm_gather(struct comm *c, float *out, int rows, const int *cols_of_rank)
{
	int64_t all = 0;

	REQUIRE(rows >= 0 && rows <= c->limits.gather_rows);
	for (int r = 0; r < c->size; r++) {
		REQUIRE(cols_of_rank[r] >= 0 && cols_of_rank[r] <= comm_share(&c->limits, c->size));
		all += cols_of_rank[r];
	}
	REQUIRE(all <= c->limits.gather_cols);
	REQUIRE(c->rank || out || !rows || !all);
	c->ops->gather(c, out, rows, cols_of_rank);
}

void comm_bcast(struct comm *c, int32_t *ids, int n)
{
	REQUIRE(c->ops->bcast && n >= 0 && n <= c->limits.max_rows);
	c->ops->bcast(c, ids, n);
}

void comm_check(struct comm *c)
{
	if (c->ops->check)
		c->ops->check(c);
}

int comm_share(const struct comm_limits *limits, int size)
{
	return min_int(limits->gather_cols, 64 * div_up(div_up(limits->gather_cols, 64), size));
}
