#include "parallel/agree.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

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
			mine = all[r];
			break;
		}
	world_bcast(w, &mine, sizeof mine);
	if (mine.err && !err)
		fail(why, mine.err, "%s", mine.text);
	free(all);
	return mine.err;
}
