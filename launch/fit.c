#include "launch/fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rank/plan.h"
#include "launch/ask.h"

enum { PLAN_S = 60 };

int fit_ask(const struct launcher *l, int ranks, int nodes, bool all, char *line, size_t size)
{
	char n_ranks[16], n_nodes[16], *argv[MAX_ARGS + 8] = {(char *)l->xversed}; /* none is changed */
	int n = l->n_daemon, code;
	struct text out = {0};
	const char *last;

	if (!all)
		setenv(PLAN_MEMORY_ONLY, "1", 1);
	unsetenv("OMPI_COMM_WORLD_RANK"); /* of several processes only the first plans */
	unsetenv("SLURM_PROCID");
	memcpy(argv + 1, l->daemon, (size_t)n * sizeof *argv);
	argv[++n] = (char *)"--dry-run";
	if (!l->options.tensor_parallel) {
		snprintf(n_ranks, sizeof n_ranks, "%d", max_int(1, ranks));
		argv[++n] = (char *)"--tensor-parallel-size";
		argv[++n] = n_ranks;
	}
	if (nodes > 1) {
		snprintf(n_nodes, sizeof n_nodes, "%d", nodes);
		argv[++n] = (char *)"--nodes";
		argv[++n] = n_nodes;
	}
	code = ask(argv, PLAN_S, true, &out);
	while (out.len && out.data[out.len - 1] == '\n')
		out.data[--out.len] = 0;
	last = out.data ? strrchr(out.data, '\n') : NULL;
	snprintf(line, size, "%.300s", last ? last + 1 : out.data ? out.data : "xversed --dry-run says nothing");
	text_finish(&out);
	return code;
}
