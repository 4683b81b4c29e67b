#include "rpc/cli/measure/flips.h"

#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"
#include "rpc/cli/cli.h"
#include "rpc/cli/eval/codes.h"
#include "rpc/cli/eval/compare.h"
#include "rpc/cli/eval/lines.h"

struct answer {
	char *id, *text;
	bool right;
};
struct answers {
	struct answer *answer; /* (n) in the file's order, by id once sorted */
	int n;
};

static int take(void *arg, const char *line, size_t len, struct why *why)
{
	struct answers *all = arg;
	struct json_error e;
	struct json_doc *doc = json_read(line, len, &json_of_files, &e);
	const char *id = json_str(json_get(json_root(doc), "id")),
		   *text = json_str(json_get(json_root(doc), "normalized"));
	int err = 0;

	if (!doc || !id || !text)
		err = fail(why, ERR_FORMAT, "%s", doc ? "it is no sample of xverse eval exact" : e.text);
	else {
		all->answer = xgrow(all->answer, (size_t)all->n + 1, sizeof *all->answer);
		all->answer[all->n++] =
			(struct answer){xstrdup(id), xstrdup(text), json_yes(json_get(json_root(doc), "correct"))};
	}
	json_close(doc);
	return err;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct answer *)a)->id, ((const struct answer *)b)->id);
}

static int read_folder(struct answers *all, const char *folder, struct why *why)
{
	char *path = xprintf("%s/exact.jsonl", folder);
	int err = eval_lines(path, take, all, why);

	free(path);
	return err;
}

static void free_answers(struct answers *all)
{
	for (int i = 0; i < all->n; i++) {
		free(all->answer[i].id);
		free(all->answer[i].text);
	}
	free(all->answer);
}

struct flips {
	int both, was, is, lost, won, alone;
	json_t *changed;
};

static void compare(struct flips *f, const struct answers *a, const struct answers *b)
{
	for (int i = 0; i < b->n; i++) {
		const struct answer *y = &b->answer[i],
				    *x = a->n ? bsearch(y, a->answer, (size_t)a->n, sizeof *y, by_id) : NULL;
		if (!x) {
			f->alone++;
			continue;
		}
		f->both++;
		f->was += x->right;
		f->is += y->right;
		f->lost += x->right && !y->right;
		f->won += !x->right && y->right;
		if (x->right != y->right || strcmp(x->text, y->text))
			json_array_append_new(f->changed,
					      json_pack("{s:s, s:s%, s:b, s:s%, s:b}", "id", y->id, "before", x->text,
							strlen(x->text), "was_right", x->right, "after", y->text,
							strlen(y->text), "is_right", y->right));
	}
	f->alone += a->n - f->both;
}

static void print(const struct flips *f)
{
	json_t *one;
	size_t i;

	cli_print("%d questions of both: %d were right, %d are; %d lost, %d won, McNemar's exact test p = %.4f\n",
		  f->both, f->was, f->is, f->lost, f->won, eval_mcnemar(f->lost, f->won));
	if (f->alone)
		cli_print("%d questions are in one of them only\n", f->alone);
	json_array_foreach(f->changed, i, one)
	{
		const char *was = json_string_value(json_object_get(one, "before")),
			   *is = json_string_value(json_object_get(one, "after"));
		bool before = json_is_true(json_object_get(one, "was_right")),
		     after = json_is_true(json_object_get(one, "is_right"));
		cli_print("  %s: \"%.60s\"%s -> \"%.60s\"%s\n", json_string_value(json_object_get(one, "id")), was,
			  before ? " (right)" : "", is, after ? " (right)" : "");
	}
}

int measure_flips(const char *before, const char *after, bool json)
{
	struct answers a = {0}, b = {0};
	struct flips f = {.changed = json_array()};
	struct why why = {""};
	int err = read_folder(&a, before, &why);

	if (!err)
		err = read_folder(&b, after, &why);
	if (a.n)
		qsort(a.answer, (size_t)a.n, sizeof *a.answer, by_id);
	if (!err)
		compare(&f, &a, &b);
	if (err)
		cli_say("xverse: eval exact: --compare: %s\n", why.text);
	else if (json)
		json_print(json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:O}", "questions", f.both, "right_before",
				     f.was, "right_after", f.is, "lost", f.lost, "won", f.won, "alone", f.alone, "p",
				     eval_mcnemar(f.lost, f.won), "changed", f.changed));
	else
		print(&f);
	json_decref(f.changed);
	free_answers(&a);
	free_answers(&b);
	return err ? EVAL_USAGE : EVAL_DONE;
}
