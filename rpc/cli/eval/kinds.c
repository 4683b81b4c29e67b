/* kinds.c - the benchmarks, opened and closed. */
#include "rpc/cli/eval/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct eval_kind *const eval_kinds[] = {&eval_mmlu,         &eval_ceval,          &eval_agieval,
					      &eval_gaokao_bench, &eval_gaokao_english, NULL};

const struct eval_kind *eval_kind_find(const char *name)
{
	for (int i = 0; eval_kinds[i]; i++)
		if (!strcmp(eval_kinds[i]->name, name))
			return eval_kinds[i];
	return NULL;
}

int eval_bench_open(struct eval_bench *b, const struct eval_kind *kind, const struct eval_files *f,
		    const struct eval_plan *p, struct why *why)
{
	size_t first = strcspn(kind->splits, " ");
	int err;

	*b = (struct eval_bench){.kind = kind, .memory = {.budget = SIZE_MAX}};
	snprintf(b->split, sizeof b->split, "%.*s", p->split ? 15 : (int)first, p->split ? p->split : kind->splits);
	err = kind->load(b, f, p, why);
	eval_rows_free(&b->pool);
	b->pool_of = NULL;
	if (err)
		eval_bench_close(b);
	return err;
}

void eval_bench_close(struct eval_bench *b)
{
	for (int i = 0; i < b->n; i++) {
		free(b->task[i].shot);
		free(b->task[i].item);
	}
	for (int i = 0; i < b->n_used; i++)
		free(b->used[i].name);
	free(b->task);
	free(b->used);
	text_finish(&b->missing);
	arena_finish(&b->memory);
	*b = (struct eval_bench){0};
}

int eval_bench_missing(const struct eval_bench *b, const struct eval_files *f, struct text *out)
{
	enum { SHOWN = 12 };
	int shown = 0;

	if (!b->n_missing)
		return 0;
	text_fmt(out, "%s: %d file%s missing in %s:\n", b->kind->name, b->n_missing, b->n_missing > 1 ? "s are" : " is",
		 f->root);
	for (const char *line = b->missing.data; *line && shown < SHOWN; shown++) {
		size_t n = strcspn(line, "\n") + 1;
		text_put(out, line, n);
		line += n;
	}
	if (b->n_missing > SHOWN)
		text_fmt(out, "  and %d more\n", b->n_missing - SHOWN);
	text_fmt(out, "%s\nLicence: %s. Nothing is downloaded.\n", b->kind->source, b->kind->licence);
	if (f->has_packed)
		text_str(
			out,
			"Of archives only .zip is read, and no archive inside of one: unpack the others there. Parquet "
			"is not read.\n");
	return ERR_UNKNOWN;
}
