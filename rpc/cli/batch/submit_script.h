/* submit_script.h - the batch script of `xverse submit`. */
#ifndef RPC_CLI_BATCH_SUBMIT_SCRIPT_H
#define RPC_CLI_BATCH_SUBMIT_SCRIPT_H

#include "base/text.h"
#include "rpc/cli/batch/args.h"

struct submit_job {
	const struct batch_args *args;
	const char *program; /* xverse */
	const char *tasks;   /* of the array, such as "1-3,7" */
	int parts, ranks;    /* ranks of a task's daemon */
	char *const *word;   /* (n_words) options of `xverse batch` */
	int n_words;
};
void submit_script(struct text *out, const struct submit_job *job);
/* Ranks by the number of GPUs in "gpu:h100:4" or "gpu:2", for each node; 0: it names none. */
int submit_gpus(const char *gres);

#endif
