/* table.c - columns, order and rounding are the authors'. */
#include "rpc/cli/eval/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/grid.h"

const struct eval_published eval_published[] = {
#define MODEL(name, a, b, c, d, e, m0, m1, m2, m3, m4, c0, c1, c2, c3, c4, notes) \
	{name, {a, b, c, d, e}, {{m0, m1, m2, m3, m4}, {c0, c1, c2, c3, c4}}, notes},
#include "rpc/cli/eval/published.def"
	{0}};

static const struct {
	const char *name, *title;
} benches[EVAL_BENCHES] = {{"mmlu", "MMLU"},
			   {"ceval", "C-Eval"},
			   {"agieval", "AGIEval"},
			   {"gaokao-bench", "GAOKAO-Bench"},
			   {"gaokao-english", "GAOKAO-English"}};

static const struct words {
	const char *datasets, *categories, *results, *title[2], *difference, *partial, *notes[4];
} words[2] = {
	{"Models\\Datasets",
	 "Models\\Categories",
	 "Model Evaluation",
	 {"MMLU Category Results", "C-Eval Category Results"},
	 "difference",
	 "PARTIAL: %s %d of %d questions; numbers with * are not the benchmark's result",
	 {"Tests are conducted only on single-answer multiple-choice questions, thus excluding fill-in-the-blanks, open-ended "
	  "questions, and multiple-answer multiple-choice questions.",
	  "Reporting results from Baichuan-13B.", "Reporting results from C-Eval.", "Reporting results from Llama 2."}},
	{"模型\\数据集",
	 "模型\\类别",
	 "评测结果",
	 {"MMLU 各类别指标", "C-Eval 各类别指标"},
	 "差值",
	 "部分结果（PARTIAL）：%1$s 共 %3$d 题，仅测 %2$d 题；带 * 的数字不是该评测集的结果",
	 {"只针对其中的单项选择题进行测试，即排除了填空题、开放性问题和多项选择题", "来源于 Baichuan-13B 的汇报结果",
	  "来源于 C-Eval 的汇报结果", "来源于 Llama 2 论文的汇报结果"}}};

static const struct eval_numbers *numbers_of(const struct eval_model *m, const char *bench)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->numbers[i].bench, bench))
			return &m->numbers[i];
	return NULL;
}

static char *raised(const char *text, char note, bool plain)
{
	if (note <= ' ')
		return xstrdup(text);
	return plain ? xprintf("%s(%c)", text, note) : xprintf("%s<sup>%c</sup>", text, note);
}

static char *published_cell(int tenths, char note, bool plain)
{
	char number[16];

	snprintf(number, sizeof number, "%d.%d", tenths / 10, tenths % 10);
	return raised(number, note, plain);
}

static char *own_cell(const struct eval_numbers *n, double x)
{
	return n && isfinite(x) ? xprintf("%.1f%s", x, n->limited ? "*" : "") : xstrdup("-");
}

/* Of what the tables show, so that it is the difference of the two numbers above it. */
static char *difference_cell(const struct eval_numbers *n, double x, int tenths)
{
	char shown[32];

	if (!n || !isfinite(x))
		return xstrdup("-");
	snprintf(shown, sizeof shown, "%.1f", x);
	return xprintf("%+.1f%s", (round(10 * strtod(shown, NULL)) - tenths) / 10, n->limited ? "*" : "");
}

/* Which columns a table has: the five benchmarks, or the categories of one (0 MMLU, 1 C-Eval). */
enum { OVERVIEW = -1 };

static double own_number(const struct eval_numbers *n, int table, int column)
{
	if (!n)
		return NAN;
	return table == OVERVIEW || !column ? n->average : n->category[column - 1];
}

static void add_head(struct grid *g, int table, const struct eval_style *s)
{
	const struct words *w = &words[s->chinese];

	grid_row(g);
	grid_cell(g, xstrdup(table == OVERVIEW ? w->datasets : w->categories));
	for (int i = 0; table == OVERVIEW && i < EVAL_BENCHES; i++)
		grid_cell(g, raised(benches[i].title, i > 1 ? '1' : ' ', s->plain));
	if (table == OVERVIEW)
		return;
	grid_cell(g, xstrdup("Average"));
	for (int c = 0; c < EVAL_CATEGORIES; c++)
		grid_cell(g, xstrdup(eval_category_names[c]));
}

static void add_published(struct grid *g, int table, const struct eval_published *p, const struct eval_style *s)
{
	size_t notes = strlen(p->notes);

	grid_row(g);
	grid_cell(g, xstrdup(p->name));
	for (int i = 0; i < EVAL_BENCHES; i++) /* as many as an average and four categories */
		if (table == OVERVIEW)
			grid_cell(g, published_cell(p->bench[i], (size_t)i < notes ? p->notes[i] : ' ', s->plain));
		else
			grid_cell(g, published_cell(p->category[table][i], ' ', s->plain));
}

/* A name that would end a cell or a row of the table. */
static char *name_cell(const char *name, bool plain)
{
	struct text t = {0};

	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == 0x7f)
			text_str(&t, " ");
		else if (*name == '|' && !plain)
			text_str(&t, "\\|");
		else
			text_put(&t, name, 1);
	return t.data ? t.data : xstrdup("");
}

static void add_own(struct grid *g, int table, const struct eval_model *m, const struct eval_published *than,
		    const struct eval_style *s)
{
	grid_row(g);
	grid_cell(g, than ? xstrdup(words[s->chinese].difference) : name_cell(m->name, s->plain));
	for (int i = 0; i < EVAL_BENCHES; i++) {
		const struct eval_numbers *n = numbers_of(m, benches[table == OVERVIEW ? i : table].name);
		double x = own_number(n, table, i);
		if (than)
			grid_cell(g,
				  difference_cell(n, x, table == OVERVIEW ? than->bench[i] : than->category[table][i]));
		else
			grid_cell(g, own_cell(n, x));
	}
}

static const struct eval_published *authors_own(void)
{
	const struct eval_published *p = eval_published;

	while (p[1].name)
		p++;
	return p;
}

static void put_table(struct text *out, int table, const struct eval_model *models, int n, const struct eval_style *s)
{
	struct grid g = {.least = s->plain ? 0 : 8};

	add_head(&g, table, s);
	for (const struct eval_published *p = eval_published; p->name; p++)
		if (s->others || !n || p == authors_own())
			add_published(&g, table, p, s);
	for (int i = 0; i < n; i++) {
		add_own(&g, table, &models[i], NULL, s);
		add_own(&g, table, &models[i], authors_own(), s);
	}
	grid_put(out, &g, s->plain);
	grid_close(&g);
}

static bool has(const struct eval_model *models, int n, const char *bench)
{
	for (int i = 0; i < n; i++)
		if (numbers_of(&models[i], bench))
			return true;
	return n == 0;
}

static void put_title(struct text *out, const char *text, int level, bool plain)
{
	text_fmt(out, "%s%s%s\n", plain ? "" : level == 2 ? "## " : "### ", text, plain ? "" : "\n");
}

static void put_partial(struct text *out, const struct eval_model *models, int n, const struct eval_style *s)
{
	bool any = false;

	for (int i = 0; i < n; i++)
		for (int k = 0; k < models[i].n; k++) {
			const struct eval_numbers *one = &models[i].numbers[k];
			if (!one->limited)
				continue;
			text_str(out, s->plain ? "" : any ? ">\n> " : "> ");
			text_fmt(out, words[s->chinese].partial, one->bench, one->done, one->whole);
			text_str(out, "\n");
			any = true;
		}
	if (any)
		text_str(out, "\n");
}

/* The first note is that of the column heads; the others belong to rows of other models. */
static void put_notes(struct text *out, bool others, const struct eval_style *s)
{
	for (int i = 0; i < (others ? 4 : 1); i++)
		if (s->plain)
			text_fmt(out, "(%d) %s\n", i + 1, words[s->chinese].notes[i]);
		else
			text_fmt(out, "> <sup>%d%s%s</sup>   \n", i + 1, s->chinese ? "：" : ": ",
				 words[s->chinese].notes[i]);
}

void eval_tables(struct text *out, const struct eval_model *models, int n, const struct eval_style *style)
{
	put_partial(out, models, n, style);
	put_title(out, words[style->chinese].results, 2, style->plain);
	put_table(out, OVERVIEW, models, n, style);
	text_str(out, "\n");
	put_notes(out, style->others || !n, style);
	for (int t = 0; t < 2; t++)
		if (has(models, n, benches[t].name)) {
			text_str(out, "\n");
			put_title(out, words[style->chinese].title[t], 3, style->plain);
			put_table(out, t, models, n, style);
		}
}
