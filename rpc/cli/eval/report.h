/* report.h - results that lie in folders: their tables, and two of them compared. Each returns the exit code. */
#ifndef RPC_CLI_EVAL_REPORT_H
#define RPC_CLI_EVAL_REPORT_H

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/table.h"

struct eval_style eval_style_of(const struct eval_args *a);
/* Whether --compare has something to compare with: a folder of results, or a result's file. */
int eval_results_check(const char *path, struct why *why);
int run_eval_tables(struct args *a); /* xverse eval tables [FOLDER ...] */
/* --compare with the folder, or the result file, of `with`, which has one element or none. */
int eval_compare_command(const char *const *with, int n, struct args *a);

#endif
