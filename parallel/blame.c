#include "parallel/blame.h"

#include <stdio.h>
#include <string.h>

static const char *signal_name(int signal)
{
	const char *name = sigabbrev_np(signal);

	return name ? name : "?";
}

void blame_text(const struct blame *what, char *out, size_t size)
{
	static const char *const verbs[] = {"is well", "died", "was stopped", "was stuck", "failed", "was lost"};
	const char *verb = what->kind <= BLAME_LOST ? verbs[what->kind] : "was blamed";
	char place[96] = "before the first step", by[40] = "", who[128];
	int n;

	if (what->step >= 0 && what->idle)
		snprintf(place, sizeof place, "while idle after step %d", what->step);
	else if (what->step >= 0) {
		n = snprintf(place, sizeof place, "in step %d, operation %u", what->step, what->op);
		if (what->ahead > 0)
			snprintf(place + n, sizeof place - (size_t)n, ", step %d is not done",
				 what->step - what->ahead);
	}
	if (what->signal)
		snprintf(by, sizeof by, " by signal %d (SIG%s)", what->signal, signal_name(what->signal));
	if (what->kind == BLAME_LOST)
		snprintf(who, sizeof who, "node %s", what->node);
	else
		snprintf(who, sizeof who, "rank %d (pid %d%s%s)", what->rank, (int)what->pid,
			 what->node[0] ? " on " : "", what->node);
	snprintf(out, size, "%s %s%s %s%s%s", who, verb, by, place, what->text[0] ? ": " : "", what->text);
}
