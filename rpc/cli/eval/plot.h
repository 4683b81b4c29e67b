/* plot.h - the categories as bars beside the published models. */
#ifndef RPC_CLI_EVAL_PLOT_H
#define RPC_CLI_EVAL_PLOT_H

#include "rpc/cli/eval/table.h"

/* An SVG: of each benchmark with categories one panel; where there is none, the overview. */
int eval_plot(const char *path, const struct eval_model *models, int n, struct why *why);

#endif
