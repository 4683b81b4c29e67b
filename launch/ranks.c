#include "launch/ranks.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "parallel/base.h"

enum { MOST = 1024, LEFT_MS = 10000 };

/* A zombie that mpirun has not looked after is dead all the same. */
static bool is_rank(pid_t pid)
{
	char path[64], line[128] = "", state = 'Z';
	const char *end;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof line, f))
		line[0] = 0;
	fclose(f);
	end = strrchr(line, ')'); /* PID (NAME) STATE ... */
	if (end && sscanf(end, ") %c", &state) != 1)
		state = 'Z';
	return strstr(line, "(xversed)") && state != 'Z' && state != 'X';
}

/* Processes named xversed that mpirun started and that are not dead yet. */
static int alive(pid_t mpirun, pid_t *pid, int most)
{
	char path[64];
	int n = 0, child;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)mpirun, (int)mpirun);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (n < most && fscanf(f, "%d", &child) == 1)
		if (is_rank(child))
			pid[n++] = child;
	fclose(f);
	return n;
}

void ranks_look(struct ranks *r, pid_t mpirun)
{
	pid_t pid[MOST];
	int n = alive(mpirun, pid, MOST);

	if (n >= r->most) {
		*r = (struct ranks){.most = n};
		return;
	}
	if (!r->lost_ns)
		r->lost_ns = now_ns();
	if (now_ns() - r->lost_ns < LEFT_MS * 1000000ull)
		return;
	log_event(LOG_ERROR, "ranks are gone and mpirun does not end the job: it is killed", " gone=%d ranks=%d",
		  r->most - n, r->most);
	for (int i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	kill(mpirun, SIGKILL);
	r->lost_ns = 0;
}
