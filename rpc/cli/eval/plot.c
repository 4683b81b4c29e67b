/* plot.c - bars grouped by category; one's own models first, in colour, the published ones in grey. */
#include "rpc/cli/eval/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/lines.h"

enum { WIDTH = 960, PANEL = 300, TOP = 50, LEFT = 50, HEIGHT = 200, MOST_SERIES = 24, LEGEND = 18 };

struct series {
	const char *name;
	double value[1 + EVAL_CATEGORIES]; /* NaN: none */
	bool limited, own;
};
struct plot {
	struct text out;
	struct series series[MOST_SERIES];
	int n, at; /* at: height that is used */
};

static void put_escaped(struct text *out, const char *text)
{
	for (; *text; text++)
		if (*text == '&' || *text == '<' || *text == '>')
			text_fmt(out, "&#%d;", *text);
		else
			text_put(out, (unsigned char)*text < ' ' || *text == 0x7f ? " " : text,
				 1); /* XML has no such */
}

static void put_text(struct plot *p, double x, double y, const char *anchor, const char *text)
{
	text_fmt(&p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	put_escaped(&p->out, text);
	text_str(&p->out, "</text>\n");
}

static const char *colour(const struct plot *p, int i)
{
	static const char *const own[] = {"#c8102e", "#1f77b4", "#2ca02c", "#9467bd"};
	static const char *const grey[] = {"#222222", "#444444", "#5f5f5f", "#777777", "#8c8c8c",
					   "#a0a0a0", "#b4b4b4", "#c6c6c6", "#d8d8d8"};
	int before = 0;

	for (int k = 0; k < i; k++)
		before += p->series[k].own == p->series[i].own;
	return p->series[i].own ? own[before % 4] : grey[before % 9];
}

static struct series *add_series(struct plot *p, const char *name, bool own)
{
	struct series *s = &p->series[p->n];

	if (p->n < MOST_SERIES - 1)
		p->n++;
	*s = (struct series){.name = name, .own = own};
	for (int i = 0; i <= EVAL_CATEGORIES; i++)
		s->value[i] = NAN;
	return s;
}

static const struct eval_numbers *find(const struct eval_model *m, const char *bench)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->numbers[i].bench, bench))
			return &m->numbers[i];
	return NULL;
}

/* table: 0 MMLU, 1 C-Eval; below 0: the overview. */
static void fill(struct plot *p, int table, const struct eval_model *models, int n)
{
	static const char *const names[] = {"mmlu", "ceval", "agieval", "gaokao-bench", "gaokao-english"};

	p->n = 0;
	for (int i = 0; i < n; i++) {
		struct series *s = add_series(p, models[i].name, true);
		for (int c = 0; c <= EVAL_CATEGORIES; c++) {
			const struct eval_numbers *one = find(&models[i], names[table < 0 ? c : table]);
			if (one)
				s->value[c] = table < 0 || !c ? one->average : one->category[c - 1];
			s->limited |= one && one->limited;
		}
	}
	for (const struct eval_published *e = eval_published; e->name; e++) {
		struct series *s = add_series(p, e->name, false);
		for (int c = 0; c <= EVAL_CATEGORIES; c++)
			s->value[c] = (table < 0 ? e->bench[c] : e->category[table][c]) / 10.0;
	}
}

static void put_axis(struct plot *p, double base)
{
	for (int percent = 0; percent <= 100; percent += 25) {
		double y = base - HEIGHT * percent / 100.0;
		text_fmt(&p->out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", LEFT, y,
			 WIDTH - 10, y);
		text_fmt(&p->out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", LEFT - 6, y + 4,
			 percent);
	}
}

static void put_bar(struct plot *p, int i, double x, double width, double base, double value)
{
	if (isnan(value))
		return;
	text_fmt(&p->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"%s><title>", x,
		 base - HEIGHT * value / 100, width * 0.9, HEIGHT * value / 100, colour(p, i),
		 p->series[i].limited ? " fill-opacity=\"0.5\"" : "");
	put_escaped(&p->out, p->series[i].name);
	text_fmt(&p->out, ": %.1f%s</title></rect>\n", value, p->series[i].limited ? " (PARTIAL)" : "");
	if (p->series[i].own)
		text_fmt(&p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"10\">%.1f%s</text>\n",
			 x + width * 0.45, base - HEIGHT * value / 100 - 3, value, p->series[i].limited ? "*" : "");
}

static void put_panel(struct plot *p, const char *title, const char *const *group)
{
	double base = p->at + TOP + HEIGHT, wide = (WIDTH - LEFT - 10) / 5.0, bar = wide * 0.9 / p->n;

	text_fmt(&p->out, "<text x=\"%d\" y=\"%d\" font-size=\"16\">%s</text>\n", LEFT, p->at + 24, title);
	put_axis(p, base);
	for (int g = 0; g <= EVAL_CATEGORIES; g++) {
		for (int i = 0; i < p->n; i++)
			put_bar(p, i, LEFT + g * wide + wide * 0.05 + i * bar, bar, base, p->series[i].value[g]);
		put_text(p, LEFT + (g + 0.5) * wide, base + 18, "middle", group[g]);
	}
	p->at += PANEL;
}

static void put_legend(struct plot *p)
{
	for (int i = 0; i < p->n; i++) {
		int x = LEFT + (i % 3) * 300, y = p->at + (i / 3) * LEGEND + 14;
		text_fmt(&p->out, "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x, y - 10,
			 colour(p, i));
		put_text(p, x + 18, y, "start", p->series[i].name);
		if (p->series[i].limited)
			put_text(p, x + 290, y, "end", "PARTIAL *");
	}
	p->at += (p->n / 3 + 1) * LEGEND + 10;
}

int eval_plot(const char *path, const struct eval_model *models, int n, struct why *why)
{
	static const char *const benches[] = {"MMLU", "C-Eval", "AGIEval", "GAOKAO-Bench", "GAOKAO-English"};
	static const char *const groups[] = {"Average", "STEM", "Social Science", "Humanities", "Others"};
	struct plot p = {0};
	struct text whole = {0};
	int err;

	for (int t = 0; t < 2; t++) {
		bool has = false;
		for (int i = 0; i < n; i++)
			has |= find(&models[i], t ? "ceval" : "mmlu") != NULL;
		fill(&p, t, models, n);
		if (has)
			put_panel(&p, benches[t], groups);
	}
	fill(&p, -1, models, n);
	put_panel(&p, "Benchmarks", benches);
	put_legend(&p);
	text_fmt(
		&whole,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
		WIDTH, p.at, WIDTH, p.at);
	text_put(&whole, p.out.data, p.out.len);
	text_str(&whole, "</svg>\n");
	err = eval_text_write(whole.data, path, why);
	text_finish(&whole);
	text_finish(&p.out);
	return err;
}
