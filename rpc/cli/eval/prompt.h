/* prompt.h - a question's text, byte for byte as the benchmark's own programs make it. */
#ifndef RPC_CLI_EVAL_PROMPT_H
#define RPC_CLI_EVAL_PROMPT_H

#include "rpc/cli/eval/bench.h"

/* Appends the prompt with the first k examples of its task. Returns the bytes before the question itself, which all
 * questions of the task with the same k begin with. */
size_t eval_prompt(struct text *out, const struct eval_task *t, const struct eval_item *item, int k);
/* Questions of a task that are asked, from item task->first on. */
int eval_asked(const struct eval_task *t, const struct eval_plan *p);
int eval_most_shots(const struct eval_task *t, int asked); /* what there is of --shots */
/* What stands between the prompt and a letter: " " in English, "" in Chinese. */
const char *eval_delimiter(const struct eval_task *t);

#endif
