#include "parallel/collect.h"

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum { BCAST_PIECE = 1 << 30 };

static MPI_Comm node = MPI_COMM_NULL; /* the ranks of this node */

static int64_t reduce(MPI_Comm c, int size, int64_t v, MPI_Op op)
{
	int64_t all = v;

	if (size > 1)
		MPI_Allreduce(&v, &all, 1, MPI_INT64_T, op, c);
	return all;
}

static void bcast(MPI_Comm c, int size, void *buf, size_t bytes)
{
	for (size_t at = 0; size > 1 && at < bytes; at += BCAST_PIECE) {
		size_t n = bytes - at < BCAST_PIECE ? bytes - at : BCAST_PIECE;

		MPI_Bcast((char *)buf + at, (int)n, MPI_BYTE, 0, c);
	}
}

static void gather(MPI_Comm c, int size, const void *mine, size_t bytes, void *all)
{
	REQUIRE(bytes <= INT_MAX);
	if (size == 1)
		memcpy(all, mine, bytes);
	else
		MPI_Gather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, 0, c);
}

int64_t world_min(const struct world *w, int64_t v)
{
	return reduce(MPI_COMM_WORLD, w->size, v, MPI_MIN);
}

int64_t world_sum(const struct world *w, int64_t v)
{
	return reduce(MPI_COMM_WORLD, w->size, v, MPI_SUM);
}

void world_bcast(const struct world *w, void *buf, size_t bytes)
{
	bcast(MPI_COMM_WORLD, w->size, buf, bytes);
}

void world_gather(const struct world *w, const void *mine, size_t bytes, void *all)
{
	gather(MPI_COMM_WORLD, w->size, mine, bytes, all);
}

void world_barrier(const struct world *w)
{
	if (w->size > 1)
		MPI_Barrier(MPI_COMM_WORLD);
}

int64_t node_min(const struct world *w, int64_t v)
{
	return reduce(node, w->local_size, v, MPI_MIN);
}

int64_t node_sum(const struct world *w, int64_t v)
{
	return reduce(node, w->local_size, v, MPI_SUM);
}

void node_bcast(const struct world *w, void *buf, size_t bytes)
{
	bcast(node, w->local_size, buf, bytes);
}

void node_gather(const struct world *w, const void *mine, size_t bytes, void *all)
{
	gather(node, w->local_size, mine, bytes, all);
}

void node_barrier(const struct world *w)
{
	if (w->local_size > 1)
		MPI_Barrier(node);
}

void world_find_nodes(struct world *w)
{
	char mine[NODE_NAME] = "", (*name)[NODE_NAME] = xalloc((size_t)w->size, sizeof *name);
	int leader, *leaders = xalloc((size_t)w->size, sizeof *leaders);

	MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, w->rank, MPI_INFO_NULL, &node);
	MPI_Comm_rank(node, &w->local_rank);
	MPI_Comm_size(node, &w->local_size);
	gethostname(mine, sizeof mine - 1);
	leader = (int)node_min(w, w->rank);
	MPI_Allgather(mine, sizeof mine, MPI_BYTE, name, sizeof mine, MPI_BYTE, MPI_COMM_WORLD);
	MPI_Allgather(&leader, 1, MPI_INT, leaders, 1, MPI_INT, MPI_COMM_WORLD);
	nodes_make(&w->nodes, w->rank, w->size, leaders, (const char(*)[NODE_NAME])name);
	free(leaders);
	free(name);
}

void world_forget_nodes(struct world *w)
{
	nodes_finish(&w->nodes);
	if (node != MPI_COMM_NULL)
		MPI_Comm_free(&node);
}
