/* allocation.c - the hosts that a batch system gave to this job, as its environment names them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "launch/hosts.h"

/* ---- Slurm: "n[1-2,07],m5" and "2(x2),1" ---- */

/* Splits a node list at commas outside of brackets; returns the length of its first item. */
static size_t item_length(const char *list)
{
	size_t n = 0;
	int depth = 0;

	for (; list[n] && (depth || list[n] != ','); n++)
		depth += (list[n] == '[') - (list[n] == ']');
	return n;
}

/* One range within brackets, such as 07-12 or 5: its numbers have as many digits as its first one. */
static int add_range(struct hosts *h, const char *prefix, int prefix_len, const char *range, size_t len,
		     const char *suffix, int suffix_len, struct why *why)
{
	unsigned long from, to;
	char *end, name[HOSTS_NAME];
	int digits, err = 0;

	from = to = strtoul(range, &end, 10);
	digits = (int)(end - range);
	if (*end == '-')
		to = strtoul(end + 1, &end, 10);
	if (!digits || digits > 9 || end != range + len || from > to || to - from >= HOSTS_MOST)
		return fail(why, ERR_INVALID, "\"%.*s\" is no range of node numbers", (int)len, range);
	for (unsigned long i = from; !err && i <= to; i++) {
		int n = snprintf(name, sizeof name, "%.*s%0*lu%.*s", prefix_len, prefix, digits, i, suffix_len, suffix);
		err = hosts_add(h, name, (size_t)min_int(n, HOSTS_NAME), 1, why);
	}
	return err;
}

static int add_item(struct hosts *h, const char *item, size_t len, struct why *why)
{
	const char *open = memchr(item, '[', len),
		   *close = open ? memchr(open, ']', len - (size_t)(open - item)) : NULL;
	int err = 0;

	if (!open)
		return hosts_add(h, item, len, 1, why);
	if (!close || memchr(close, '[', len - (size_t)(close - item)))
		return fail(why, ERR_INVALID,
			    "\"%.*s\" has brackets that are not understood; name the hosts by --hosts", (int)len, item);
	for (const char *at = open + 1; !err && at <= close;) {
		size_t n = strcspn(at, ",]");
		err = add_range(h, item, (int)(open - item), at, n, close + 1, (int)(item + len - close - 1), why);
		at += n + 1;
	}
	return err;
}

static int add_nodes(struct hosts *h, const char *list, struct why *why)
{
	int err = 0;

	while (!err && *list) {
		size_t n = item_length(list);
		err = add_item(h, list, n, why);
		list += n + (list[n] == ',');
	}
	return err;
}

/* "2(x2),1": two nodes with 2 tasks, one with 1. */
static int set_tasks(struct hosts *h, const char *list, struct why *why)
{
	const char *at = list;
	int i = 0;

	while (i < h->n) {
		char *end;
		long tasks = strtol(at, &end, 10), times = 1;
		if (end == at || tasks < 1 || tasks > HOSTS_SLOTS)
			break;
		if (!strncmp(end, "(x", 2)) {
			times = strtol(end + 2, &end, 10);
			end += *end == ')';
		}
		for (; times > 0 && i < h->n; times--)
			h->at[i++].slots = (int)tasks;
		at = end + (*end == ',');
	}
	return i == h->n ? 0 : fail(why, ERR_INVALID, "\"%.60s\" does not say the tasks of %d nodes", list, h->n);
}

static int from_environment(const char *name)
{
	const char *text = getenv(name);

	return text ? atoi(text) : 0;
}

/* Tasks were asked for (--ntasks), or GPUs (--gres), each of which takes a rank; else each node takes one. */
static int take_slurm(struct hosts *h, const char *nodes, struct why *why)
{
	const char *tasks = getenv("SLURM_TASKS_PER_NODE");
	bool asked = getenv("SLURM_NTASKS") || getenv("SLURM_NTASKS_PER_NODE");
	int gpus = from_environment("SLURM_GPUS_ON_NODE"), err = add_nodes(h, nodes, why);

	h->slurm = true;
	if (!err && asked && tasks)
		return set_tasks(h, tasks, why);
	for (int i = 0; !err && gpus > 0 && i < h->n; i++)
		h->at[i].slots = min_int(gpus, HOSTS_SLOTS);
	return err;
}

/* ---- files of hosts ---- */
static const struct {
	const char *variable;
	enum hosts_form form;
} files[] = {{"PBS_NODEFILE", HOSTS_SLOTTED},
	     {"LSB_DJOB_HOSTFILE", HOSTS_SLOTTED},
	     {"OAR_NODEFILE", HOSTS_CORES},
	     {"PE_HOSTFILE", HOSTS_CORES}};

/* ---- all of them ---- */

static int name_source(struct hosts *h, const char *from, int err, struct why *why)
{
	struct why inner = *why;

	h->from = from;
	return err ? fail(why, err, "%s: %.400s", from, inner.text) : 0;
}

/* Within a step only its own nodes count. */
int hosts_of_job(struct hosts *h, struct why *why)
{
	const char *step = getenv("SLURM_STEP_NODELIST"), *slurm = step ? step : getenv("SLURM_JOB_NODELIST");

	if (slurm && *slurm)
		return name_source(h, step ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST", take_slurm(h, slurm, why),
				   why);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		const char *path = getenv(files[i].variable);

		if (path && *path)
			return name_source(h, files[i].variable, hosts_read(h, path, files[i].form, why), why);
	}
	return 0;
}
