/* prompt.c - the wording of hendrycks/test (evaluate_hf.py) in English, of C-Eval (evaluator.py) in Chinese. */
#include "rpc/cli/eval/prompt.h"

#include <string.h>

/* " abstract algebra": a blank before each word, so that two stand behind "about". */
static void put_subject(struct text *out, const char *title)
{
	text_str(out, " ");
	for (const char *c = title; *c; c++)
		text_put(out, strchr("_- ", *c) ? " " : c, 1);
}

static void put_head(struct text *out, const struct eval_task *t)
{
	if (t->chinese) {
		text_fmt(out, "以下是中国关于%s考试的单项选择题，请选出其中的正确答案。\n\n", t->title);
		return;
	}
	text_str(out, "The following are multiple choice questions (with answers) about ");
	put_subject(out, t->title);
	text_str(out, ".\n\n");
}

static void put_question(struct text *out, const struct eval_task *t, const struct eval_item *item)
{
	text_put(out, item->body, item->len);
	text_str(out, t->chinese ? "答案：" : "Answer:");
}

const char *eval_delimiter(const struct eval_task *t)
{
	return t->chinese ? "" : " ";
}

int eval_most_shots(const struct eval_task *t, int asked)
{
	return min_int(asked, t->n_shots);
}

size_t eval_prompt(struct text *out, const struct eval_task *t, const struct eval_item *item, int k)
{
	size_t begin = out->len, head;

	put_head(out, t);
	for (int i = 0; i < k; i++) {
		put_question(out, t, &t->shot[i]);
		text_fmt(out, "%s%c\n\n", eval_delimiter(t), 'A' + t->shot[i].gold);
	}
	head = out->len - begin;
	put_question(out, t, item);
	return head;
}

int eval_asked(const struct eval_task *t, const struct eval_plan *p)
{
	int n = t->n - t->first;

	n = max_int(n, 0);
	return p->limit > 0 ? min_int(n, p->limit) : n;
}
