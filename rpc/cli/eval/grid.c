/* grid.c - widths are those of a terminal: a Chinese character takes two columns. */
#include "rpc/cli/eval/grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rpc/cli/cli.h"

static int width_of(const char *text)
{
	return cli_width(text, strlen(text));
}

void grid_row(struct grid *g)
{
	g->cell = xgrow(g->cell, (size_t)g->rows + 1, sizeof *g->cell);
	memset(g->cell[g->rows++], 0, sizeof *g->cell);
}

void grid_cell(struct grid *g, char *text)
{
	int at = 0;

	while (at < GRID_COLUMNS && g->cell[g->rows - 1][at])
		at++;
	if (at == GRID_COLUMNS)
		die("a table of more than %d columns", GRID_COLUMNS);
	g->cell[g->rows - 1][at] = text;
	g->columns = max_int(g->columns, at + 1);
}

static int column_width(const struct grid *g, int column)
{
	int most = column ? g->least : 0;

	for (int r = 0; r < g->rows; r++)
		most = max_int(most, g->cell[r][column] ? width_of(g->cell[r][column]) : 0);
	return most;
}

static void put_centred(struct text *out, const char *text, int width)
{
	int left = (width + 2 - width_of(text)) / 2;

	text_fmt(out, "%*s%s%*s|", left, "", text, width + 2 - width_of(text) - left, "");
}

static void put_markdown(struct text *out, const struct grid *g)
{
	for (int r = 0; r < g->rows; r++) {
		text_str(out, "|");
		for (int c = 0; c < g->columns; c++)
			put_centred(out, g->cell[r][c] ? g->cell[r][c] : "", column_width(g, c));
		text_str(out, "\n");
		if (r)
			continue;
		text_str(out, "|");
		for (int c = 0; c < g->columns; c++) {
			text_str(out, " :");
			for (int i = 2; i < column_width(g, c); i++)
				text_str(out, "-");
			text_str(out, ": |");
		}
		text_str(out, "\n");
	}
}

static void put_plain(struct text *out, const struct grid *g)
{
	for (int r = 0; r < g->rows; r++) {
		for (int c = 0; c < g->columns; c++) {
			const char *text = g->cell[r][c] ? g->cell[r][c] : "";
			int pad = column_width(g, c) - width_of(text);
			if (c)
				text_fmt(out, "  %*s%s", pad, "", text);
			else
				text_fmt(out, "%s%*s", text, pad, "");
		}
		while (out->len && out->data[out->len - 1] == ' ')
			out->len--;
		text_str(out, "\n");
	}
}

void grid_put(struct text *out, const struct grid *g, bool plain)
{
	if (plain)
		put_plain(out, g);
	else
		put_markdown(out, g);
}

void grid_close(struct grid *g)
{
	for (int r = 0; r < g->rows; r++)
		for (int c = 0; c < GRID_COLUMNS; c++)
			free(g->cell[r][c]);
	free(g->cell);
	*g = (struct grid){0};
}
