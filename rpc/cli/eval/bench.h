/* bench.h - a benchmark of multiple choice as questions: what all five have in common once their files are read. */
#ifndef RPC_CLI_EVAL_BENCH_H
#define RPC_CLI_EVAL_BENCH_H

#include "base/arena.h"
#include "base/text.h"
#include "rpc/cli/eval/args.h"
#include "rpc/cli/eval/files.h"
#include "rpc/cli/eval/rows.h"

enum { EVAL_LETTERS = 7 }; /* A to G */
/* In the order of the authors' tables. */
enum eval_category { EVAL_STEM, EVAL_SOCIAL, EVAL_HUMANITIES, EVAL_OTHER, EVAL_CATEGORIES };

struct eval_item {
	const char *body; /* (len) all of the question before "Answer:" */
	size_t len;
	const char *id; /* in the file; NULL: it has none */
	int index;      /* among the task's questions of one answer, from 0, in the file's order */
	int gold;       /* 0 is A; below 0: no label is published */
	int options;    /* letters among which is chosen */
};

/* A subject, or a file of questions. */
struct eval_task {
	const char *name, *title; /* title: as the prompt's first line has it */
	const char *sub;          /* subcategory; NULL: none */
	int category;             /* enum eval_category; below 0: none */
	bool chinese;             /* the wording around the questions */
	bool extra;               /* counts only where --subjects names it */
	struct eval_item *item;   /* [n] */
	int n;
	int first;              /* items before it are examples and are not asked */
	struct eval_item *shot; /* [n_shots] examples, in order */
	int n_shots;
	int expected; /* questions that the published file has; 0: unknown */
	int left_out; /* questions with several answers, or none */
};

struct eval_used { /* a file that was read */
	char *name, sha256[65];
	size_t bytes;
};

struct eval_bench {
	const struct eval_kind *kind;
	struct eval_task *task; /* [n] in the order in which they are asked */
	int n;
	struct eval_used *used; /* [n_used] */
	int n_used;
	struct text missing; /* one file a line */
	int n_missing;
	char split[16];
	struct arena memory;
	struct eval_rows pool; /* the file of all subjects that was read last */
	const struct eval_file *pool_of;
};

/* What is asked for. */
struct eval_plan {
	int shots, limit; /* limit: of each task; 0: all */
	const char *split, *subjects;
	bool english;  /* --prompt-lang en */
	bool official; /* --shots-from official */
	bool multi_question;
};

struct eval_kind {
	const char *name, *title; /* "ceval", "C-Eval" */
	bool macro;               /* averages are over subjects instead of over questions */
	bool categories;
	const char *splits; /* "test val"; the first is the default; "": there is one */
	const char *source; /* where people get it */
	const char *licence;
	const char *average; /* how its average is made, in words */
	/* Fills b->task; files that lie nowhere go to b->missing. */
	int (*load)(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why);
};
extern const struct eval_kind eval_mmlu, eval_ceval, eval_agieval, eval_gaokao_bench, eval_gaokao_english;
extern const struct eval_kind *const eval_kinds[]; /* ends with NULL */
extern const char *const eval_category_names[EVAL_CATEGORIES];

const struct eval_kind *eval_kind_find(const char *name); /* NULL: there is none */
/* 0 also where files are missing: b->n_missing. Errors name the file and the line. */
int eval_bench_open(struct eval_bench *b, const struct eval_kind *kind, const struct eval_files *f,
		    const struct eval_plan *p, struct why *why);
void eval_bench_close(struct eval_bench *b);
/* ERR_UNKNOWN with the list of what is missing, where it lies and how it may be kept. */
int eval_bench_missing(const struct eval_bench *b, const struct eval_files *f, struct text *out);
/* Whether --subjects names the task, or names none and the task is no extra. */
bool eval_wanted(const struct eval_plan *p, const char *task, bool extra);
/* Questions of a task that are asked, from item task->first on. */
int eval_asked(const struct eval_task *t, const struct eval_plan *p);

/* ---- load.c: for the readers of each benchmark ---- */
struct eval_task *eval_task_add(struct eval_bench *b, const char *name);
void eval_missing(struct eval_bench *b, const char *what);
char *eval_keep(struct eval_bench *b, const char *text, size_t len);
/* A file by the end of its path; those whose path holds one of `others` are no candidates, those with one of `own` come
 * first. Both end with NULL. After `after`, where that is not NULL. */
struct eval_place {
	const char *const *own, *const *others;
	bool ids; /* the CSV has a first column `id`, as C-Eval's; otherwise it must not have one */
};
const struct eval_file *eval_find(const struct eval_files *f, const struct eval_place *where, const char *end);
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
