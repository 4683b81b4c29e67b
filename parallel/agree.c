#include "parallel/agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const char *host_of(const struct world *w, int rank)
{
	return w->nodes.n ? w->nodes.node[w->nodes.of_rank[rank]].name : "here";
}

int world_agree(const struct world *w, int err, struct why *why)
{
	struct {
		int err;
		char text[512];
	} mine = {.err = err}, *all = xalloc((size_t)w->size, sizeof *all);

	snprintf(mine.text, sizeof mine.text, "%s", err ? why->text : "");
	world_gather(w, &mine, sizeof mine, all);
	for (int r = 0; w->rank == 0 && r < w->size; r++)
		if (all[r].err) {
			bool elsewhere = w->nodes.n > 1 && w->nodes.of_rank[r];

			mine.err = all[r].err;
			if (elsewhere)
				snprintf(mine.text, sizeof mine.text, "rank %d on %s: %.400s", r, host_of(w, r),
					 all[r].text);
			else
				memcpy(mine.text, all[r].text, sizeof mine.text);
			break;
		}
	world_bcast(w, &mine, sizeof mine);
	if (mine.err && !err)
		fail(why, mine.err, "%s", mine.text);
	free(all);
	return mine.err;
}

int world_same(const struct world *w, const char *what, const char *value, const char *mend, struct why *why)
{
	char mine[AGREE_VALUE] = "", (*all)[AGREE_VALUE] = xalloc((size_t)w->size, sizeof *all);
	int err = 0;

	snprintf(mine, sizeof mine, "%s", value);
	world_gather(w, mine, sizeof mine, all);
	for (int r = 1; w->rank == 0 && r < w->size && !err; r++)
		if (memcmp(all[r], all[0], sizeof *all))
			err = fail(why, ERR_MISMATCH,
				   "%s differs between ranks: rank 0 on %s has %s, rank %d on %s has %s: %s", what,
				   host_of(w, 0), all[0], r, host_of(w, r), all[r], mend);
	free(all);
	return world_agree(w, err, why);
}
