/* kinds.h - the benchmarks, opened and closed. */
#ifndef RPC_CLI_EVAL_KINDS_H
#define RPC_CLI_EVAL_KINDS_H

#include "rpc/cli/eval/bench.h"

extern const struct eval_kind eval_mmlu, eval_ceval, eval_agieval, eval_gaokao_bench, eval_gaokao_english;
extern const struct eval_kind *const eval_kinds[]; /* ends with NULL */

const struct eval_kind *eval_kind_find(const char *name); /* NULL: there is none */
/* 0 also where files are missing: b->n_missing. Errors name the file and the line. */
int eval_bench_open(struct eval_bench *b, const struct eval_kind *kind, const struct eval_files *f,
		    const struct eval_plan *p, struct why *why);
void eval_bench_close(struct eval_bench *b);
/* ERR_UNKNOWN with the list of what is missing, where it lies and how it may be kept. */
int eval_bench_missing(const struct eval_bench *b, const struct eval_files *f, struct text *out);

#endif
