/* table.h - the three tables of XVERSE-13B's authors, with rows of one's own. */
#ifndef RPC_CLI_EVAL_TABLE_H
#define RPC_CLI_EVAL_TABLE_H

#include "rpc/cli/eval/result.h"

enum { EVAL_BENCHES = 5 };

struct eval_published {
	const char *name;
	int bench[EVAL_BENCHES], category[2][1 + EVAL_CATEGORIES]; /* tenths of a percent; [0] MMLU, [1] C-Eval, each
								      with its average first */
	const char *notes; /* number of a footnote for each of the five, ' ': none */
};
extern const struct eval_published eval_published[]; /* ends with a NULL name; the authors' own model is the last one */

struct eval_style {
	bool chinese, plain, others;
};

/* A model's results in a table. */
struct eval_model {
	const char *name;
	const struct eval_numbers *numbers; /* [n] */
	int n;
};

/* models: none: the published rows alone, and all three tables; otherwise the overview, and the categories of what was
 * measured. A number of a limited run has a * behind it, and a line above the tables says how limited it is. */
void eval_tables(struct text *out, const struct eval_model *models, int n, const struct eval_style *style);

#endif
