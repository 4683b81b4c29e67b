/* load.h - for the readers of each benchmark: files are found and read, questions are put together. */
#ifndef RPC_CLI_EVAL_LOAD_H
#define RPC_CLI_EVAL_LOAD_H

#include "rpc/cli/eval/bench.h"

/* Whether --subjects names the task, or names none and the task is no extra. */
bool eval_wanted(const struct eval_plan *p, const char *task, bool extra);
struct eval_task *eval_task_add(struct eval_bench *b, const char *name);
void eval_missing(struct eval_bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *eval_keep(struct eval_bench *b, const char *text, size_t len);
/* A file by the end of its path; those whose path holds one of `others` are no candidates, those with one of `own` come
 * first. Both end with NULL. After `after`, where that is not NULL. */
struct eval_place {
	const char *const *own, *const *others;
	bool ids; /* the CSV has a first column `id`, as C-Eval's; otherwise it must not have one */
};
const struct eval_file *eval_find(const struct eval_files *f, const struct eval_place *where, const char *end);
/* The same by the first of these ends that a file has: name forms with one %s, and NULL behind the last. */
const struct eval_file *eval_find_form(const struct eval_files *f, const struct eval_place *where,
				       const char *const *forms, const char *name);
/* Reads a file's rows and notes its hash. */
int eval_read(struct eval_bench *b, const struct eval_file *f, const char *columns, struct eval_rows *rows,
	      struct why *why);
/* Appends to a list of items. */
struct eval_item *eval_item_add(struct eval_item **list, int *n);
/* The first questions of the task become its examples. */
void eval_head_shots(struct eval_task *t, int shots);
/* "{stem}\nA. {first}\nB. ...\n" */
void eval_body(struct text *out, const char *stem, size_t len, const char *const *option, const size_t *option_len,
	       int n);
int eval_letter(const char *text); /* "B", blanks around it allowed: 1; below 0: no single letter of A to G */

/* ---- subjects.c: benchmarks with a file for each subject and split ---- */
/* Reads subject and split into *list; columns as eval_rows_read(). */
int eval_subject_read(struct eval_bench *b, const struct eval_files *f, const struct eval_place *where,
		      const char *subject, const char *split, bool labelled, struct eval_item **list, int *n,
		      struct why *why);

#endif
