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
	bool hard;                /* of C-Eval Hard */
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
	bool partial; /* some files of the published set are left out, since few have all of it */
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
	bool python;        /* lines of its files may be literals of Python */
	const char *splits; /* "test val"; the first is the default; "": there is one */
	const char *source; /* where people get it */
	const char *licence;
	int about;           /* questions of the whole set, where their number is not published */
	int questions;       /* of one answer, as published, in the first split; 0: unknown */
	const char *average; /* how its average is made, in words */
	/* Fills b->task; files that lie nowhere go to b->missing. */
	int (*load)(struct eval_bench *b, const struct eval_files *f, const struct eval_plan *p, struct why *why);
};

#endif
