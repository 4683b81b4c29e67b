#include "parallel/collect.h"

#include <limits.h>
#include <mpi.h>
#include <string.h>

#include "base/die.h"

enum { BCAST_PIECE = 1 << 30 };

int64_t world_min(const struct world *w, int64_t v)
{
	int64_t all = v;

	if (w->size > 1)
		MPI_Allreduce(&v, &all, 1, MPI_INT64_T, MPI_MIN, MPI_COMM_WORLD);
	return all;
}

int64_t world_sum(const struct world *w, int64_t v)
{
	int64_t all = v;

	if (w->size > 1)
		MPI_Allreduce(&v, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
	return all;
}

void world_bcast(const struct world *w, void *buf, size_t bytes)
{
	for (size_t at = 0; w->size > 1 && at < bytes; at += BCAST_PIECE) {
		size_t n = bytes - at < BCAST_PIECE ? bytes - at : BCAST_PIECE;

		MPI_Bcast((char *)buf + at, (int)n, MPI_BYTE, 0, MPI_COMM_WORLD);
	}
}

void world_gather(const struct world *w, const void *mine, size_t bytes, void *all)
{
	REQUIRE(bytes <= INT_MAX);
	if (w->size == 1)
		memcpy(all, mine, bytes);
	else
		MPI_Gather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, 0, MPI_COMM_WORLD);
}

void world_barrier(const struct world *w)
{
	if (w->size > 1)
		MPI_Barrier(MPI_COMM_WORLD);
}
