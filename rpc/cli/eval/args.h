/* args.h - what the command line of `xverse eval` says; struct args holds one. */
#ifndef RPC_CLI_EVAL_ARGS_H
#define RPC_CLI_EVAL_ARGS_H

#include <stdbool.h>
#include <stdint.h>

struct eval_args {
	const char **word; /* (n_word) what is no option: names of benchmarks, files */
	int n_word;
	const char *data, *out, *split, *subjects, *choice, *lang, *prompt_lang, *shots_from;
	const char *compare, *plot, *submit, *show_prompt, *name, *adapter;
	int64_t shots, limit, max_prompt, in_flight; /* below 0: the default */
	bool self_test, resume, dry_run, plain, markdown, others, multi_question;
};

#endif
