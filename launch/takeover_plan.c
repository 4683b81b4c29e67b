/* Whether the new job fits beside the old one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json/json.h"
#include "daemon/rank/memory.h"
#include "daemon/rank/plan.h"
#include "launch/inside.h"

enum { PLAN_BYTES = 1 << 20, RANK_COST = 64 << 20 /* of a process beside what the plan counts: libraries, stacks */ };

static void child(const struct launcher *l, int out)
{
	char ranks[16], *argv[MAX_ARGS + 6] = {(char *)l->xversed};
	int n = l->n_daemon;

	memcpy(argv + 1, l->daemon, (size_t)n * sizeof *argv);
	snprintf(ranks, sizeof ranks, "%d", l->n_ranks);
	argv[++n] = (char *)"--dry-run";
	argv[++n] = (char *)"--json";
	argv[++n] = (char *)"--tensor-parallel-size";
	argv[++n] = ranks;
	setenv(PLAN_MEMORY_ONLY, "1", 1);
	dup2(out, STDOUT_FILENO);
	execvp(argv[0], argv);
	_exit(EXIT_INPUT);
}

/* What xversed --dry-run --json says; malloced. NULL: it says nothing. */
static char *ask(const struct launcher *l, size_t *len)
{
	char *text = xalloc(1, PLAN_BYTES);
	int ends[2], status;
	ssize_t got = 1;
	pid_t pid;

	if (pipe(ends) || (pid = fork()) < 0)
		die("the plan of memory: %s", strerror(errno));
	if (!pid)
		child(l, ends[1]);
	close(ends[1]);
	for (*len = 0; got > 0 && *len<PLAN_BYTES; *len += got> 0 ? (size_t)got : 0)
		got = read(ends[0], text + *len, PLAN_BYTES - *len);
	close(ends[0]);
	waitpid(pid, &status, 0);
	return text;
}

/* Bytes of the ranks of this machine, which come first, and of the largest. */
static uint64_t sum(const struct json *ranks, int here, uint64_t *largest)
{
	uint64_t all = 0;

	for (size_t i = 0; i < json_size(ranks) && i < (size_t)here; i++) {
		uint64_t one = (uint64_t)json_int_or(json_get(json_at(ranks, i), "total_bytes"), 0);
		all += one + RANK_COST;
		*largest = one > *largest ? one : *largest;
	}
	return all;
}

/* On GPUs the driver alone knows what is free, and the old job is taken to hold as much as the new one will. */
static bool fits(const struct launcher *l, const struct json *plan)
{
	const char *class = json_str(json_get(plan, "numerics_class"));
	int here = l->hosts.n ? l->hosts.at[0].slots : l->n_ranks;
	uint64_t largest = 0, need = sum(json_get(plan, "ranks"), here, &largest), memory = memory_available();
	bool gpu = class && strstr(class, "/cuda");

	if (gpu) {
		memory = (uint64_t)json_int_or(json_get(plan, "memory_bytes"), 0) * 100 /
			 (uint64_t)l->options.gpu_percent;
		need = 2 * largest;
	}
	log_event(LOG_INFO, "the memory of a second job", " needed_gib=%.2f available_gib=%.2f on=%s",
		  (double)need / (1 << 30), (double)memory / (1 << 30), gpu ? "a GPU, for both" : "the host");
	return need <= memory;
}

enum takeover_how takeover_plan(const struct launcher *l)
{
	struct json_doc *doc = NULL;
	struct why why = {""};
	size_t len;
	char *text = ask(l, &len);
	bool beside = false;

	if (json_read_object(&doc, text, len, &json_of_files, "the plan of memory", &why))
		log_at(LOG_WARN, "the new job cannot be planned, so it is loaded after the old one: %s", why.text);
	else
		beside = fits(l, json_root(doc));
	json_close(doc);
	free(text);
	return beside ? TAKEOVER_BESIDE : TAKEOVER_AFTER;
}
