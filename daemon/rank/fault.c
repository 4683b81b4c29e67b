#include "daemon/rank/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool parse_one(struct fault *f, const char *text)
{
	int end = 0;

	if (sscanf(text, "slow=%d%n", &f->slow_ms, &end) == 1 ||
	    sscanf(text, "stick=%d@%d%n", &f->stick_rank, &f->stick_step, &end) == 2 ||
	    sscanf(text, "die=%d@%d%n", &f->die_rank, &f->die_step, &end) == 2 ||
	    sscanf(text, "poison=%d%n", &f->poison, &end) == 1 || sscanf(text, "oom=%d%n", &f->oom_rank, &end) == 1)
		return end > 0 && (!text[end] || text[end] == ',');
	return false;
}

int fault_parse(struct fault *f, const char *text, struct why *why)
{
	*f = (struct fault){0, -1, -1, -1, -1, -1, -1};
	for (; text && *text; text = strchr(text, ',') ? strchr(text, ',') + 1 : "")
		if (!parse_one(f, text))
			return fail(why, ERR_INVALID,
				    "--fault: \"%s\" is no fault (slow=MS, stick=RANK@STEP, die=RANK@STEP, "
				    "oom=RANK, poison=ID)",
				    text);
	return 0;
}

void fault_step(const struct fault *f, int rank, int step)
{
	if (f->slow_ms)
		usleep((useconds_t)f->slow_ms * 1000);
	if (rank == f->die_rank && step == f->die_step)
		die("a planted fault in step %d", step);
	while (rank == f->stick_rank && step == f->stick_step)
		pause();
}

void fault_call(const struct fault *f, int32_t first_id)
{
	if (first_id == f->poison)
		abort();
}

void fault_start(const struct fault *f, int rank)
{
	if (rank == f->oom_rank)
		xalloc(SIZE_MAX / 4, 2);
}
