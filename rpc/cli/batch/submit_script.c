#include "rpc/cli/batch/submit_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

enum { LEAD_S = 120 /* before the time limit the task is asked to stop */ };

int submit_gpus(const char *gres)
{
	const char *gpu = gres ? strstr(gres, "gpu") : NULL, *colon;
	size_t len = gpu ? strcspn(gpu, ",") : 0;

	if (!gpu)
		return 0;
	colon = memrchr(gpu, ':', len);
	return colon && atoi(colon + 1) > 0 ? atoi(colon + 1) : 1;
}

static void put_quoted(struct text *t, const char *word)
{
	text_str(t, "'");
	for (; *word; word++)
		*word == '\'' ? text_str(t, "'\\''") : text_put(t, word, 1);
	text_str(t, "'");
}

static void put_option(struct text *t, const char *name, const char *value)
{
	if (value)
		text_fmt(t, "#SBATCH --%s=%s\n", name, value);
}

/* Other options of sbatch are the user's, one a line. */
static void put_others(struct text *t, const char *options)
{
	while (options && *options) {
		size_t n = strcspn(options, " \t\n");
		if (n)
			text_fmt(t, "#SBATCH %.*s\n", (int)n, options);
		options += n + (options[n] != 0);
	}
}

static void put_head(struct text *t, const struct submit_job *job)
{
	const struct batch_args *a = job->args;
	int nodes = a->nodes ? (int)a->nodes : 1;

	text_fmt(t, "#!/bin/bash\n#SBATCH --job-name=xverse-batch\n#SBATCH --array=%s\n#SBATCH --nodes=%d\n",
		 job->tasks, nodes);
	text_fmt(t, "#SBATCH --ntasks-per-node=%d\n", div_up(job->ranks, nodes));
	put_option(t, "gres", a->gres);
	put_option(t, "time", a->time_limit);
	put_option(t, "partition", a->partition);
	put_option(t, "account", a->account);
	text_fmt(t, "#SBATCH --requeue\n#SBATCH --open-mode=append\n#SBATCH --signal=B:USR1@%d\n", LEAD_S);
	put_others(t, a->sbatch);
}

/* Slurm's warning before the time limit lets the task finish what is in flight for half of the time that is left, and
 * then cancels it; the journal has the rest. The task is queued again then, or after an error that may pass. */
static const char tail[] =
	"\n"
	"again= task=\n"
	"stop() {\n"
	"	kill -INT \"$task\" 2> /dev/null\n"
	"	(sleep 60 && kill -INT \"$task\") 2> /dev/null &\n"
	"}\n"
	"trap 'again=1; stop' USR1\n"
	"trap stop TERM\n"
	"answer &\n"
	"task=$!\n"
	"while :; do\n"
	"	wait \"$task\"\n"
	"	code=$?\n"
	"	kill -0 \"$task\" 2> /dev/null && continue # a signal came\n"
	"	wait \"$task\" 2> /dev/null\n"
	"	last=$?\n"
	"	[ $last -eq 127 ] || code=$last\n"
	"	break\n"
	"done\n"
	"[ $code -eq 75 ] && again=1\n"
	"if [ -n \"$again\" ] && [ $code -ne 0 ] && [ $code -ne 66 ] && [ \"${SLURM_RESTART_COUNT:-0}\" -lt 100 ]; then\n"
	"	echo \"the task goes on later (exit code $code)\"\n"
	"	scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\" # the job's own number is the whole array's for one of them\n"
	"	sleep 60 # Slurm ends this script\n"
	"fi\n"
	"[ $code -eq 66 ] && code=0 # lines that were refused have an error in the output\n"
	"exit $code\n";

void submit_script(struct text *t, const struct submit_job *job)
{
	const struct batch_args *a = job->args;

	put_head(t, job);
	text_str(
		t,
		"# Task K answers part K of the file. It may be killed at any moment: its journal keeps what is answered.\n");
	if (a->model)
		text_str(t, "unset XVERSE_SOCKET # each task has a daemon of its own\n");
	text_str(t, "answer() {\n	exec ");
	put_quoted(t, job->program);
	text_str(t, " batch ");
	put_quoted(t, a->in);
	text_str(t, " -o ");
	put_quoted(t, a->out);
	text_fmt(t, " --part \"$SLURM_ARRAY_TASK_ID/%d\"", job->parts);
	if (a->model)
		text_fmt(t, " --ranks %d", job->ranks);
	for (int i = 0; i < job->n_words; i++) {
		text_str(t, " ");
		put_quoted(t, job->word[i]);
	}
	text_str(t, "\n}\n");
	text_str(t, tail);
}
