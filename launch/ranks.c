#include "launch/ranks.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

enum { MOST = 1024, LEFT_MS = 10000 };

/* Returns the state letter of a process; 0: no process of that name, 'Z': a dead one. */
static char state_of_rank(pid_t pid)
{
	char path[64], line[128] = "", state = 'Z';
	const char *end;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof line, f))
		line[0] = 0;
	fclose(f);
	end = strrchr(line, ')'); /* PID (NAME) STATE ... */
	if (end && sscanf(end, ") %c", &state) != 1)
		state = 'Z';
	return strstr(line, "(xversed)") ? state : 0;
}

/* A zombie that mpirun has not reaped is dead all the same. */
static bool is_rank(pid_t pid)
{
	char state = state_of_rank(pid);

	return state && state != 'Z' && state != 'X';
}

static int children(pid_t parent, pid_t *pid, int most)
{
	char path[64];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (n < most && fscanf(f, "%d", &pid[n]) == 1)
		n++;
	fclose(f);
	return n;
}

/* Counts the processes named xversed that mpirun started and that are not dead. */
static int alive(pid_t mpirun)
{
	pid_t pid[MOST];
	int n = children(mpirun, pid, MOST), ranks = 0;

	for (int i = 0; i < n; i++)
		ranks += is_rank(pid[i]);
	return ranks;
}

bool ranks_look(struct ranks *r, pid_t mpirun, uint64_t now)
{
	int n = alive(mpirun);

	if (n >= r->most) {
		*r = (struct ranks){.most = n};
		return true;
	}
	if (!r->lost_ns)
		r->lost_ns = now;
	if (now - r->lost_ns < LEFT_MS * NS_PER_MS)
		return true;
	log_event(LOG_ERROR, "mpirun does not end a job that lost ranks; killing it", " gone=%d ranks=%d", r->most - n,
		  r->most);
	return false;
}

static void kill_below(pid_t pid, int depth)
{
	pid_t child[MOST];
	int n = depth ? children(pid, child, MOST) : 0;

	for (int i = 0; i < n; i++)
		kill_below(child[i], depth - 1);
	kill(pid, SIGKILL);
}

void ranks_kill(pid_t mpirun)
{
	kill(mpirun, SIGSTOP); /* it must start no process meanwhile, nor reap one whose number is reused */
	kill_below(mpirun, 4);
}

int ranks_sweep(bool kill_them)
{
	pid_t pid[MOST];
	int n = children(getpid(), pid, MOST), left = 0;

	for (int i = 0; i < n; i++) {
		if (!state_of_rank(pid[i]) || waitpid(pid[i], NULL, WNOHANG) == pid[i])
			continue; /* a wrapper that ran exec() may have left children of its own */
		left++;
		if (kill_them)
			kill(pid[i], SIGKILL);
	}
	return left;
}
