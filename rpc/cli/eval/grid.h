/* grid.h - cells of text as a table: Markdown, centred as the authors' are, or aligned text. */
#ifndef RPC_CLI_EVAL_GRID_H
#define RPC_CLI_EVAL_GRID_H

#include "base/text.h"

enum { GRID_COLUMNS = 8 };
struct grid {
	int columns, rows;
	char *(*cell)[GRID_COLUMNS]; /* [rows]; the first row is the head */
	int least;                   /* width of a column of numbers, at least */
};

void grid_row(struct grid *g);
/* Puts a cell behind the last one of the last row; takes the malloced text. */
void grid_cell(struct grid *g, char *text);
void grid_put(struct text *out, const struct grid *g, bool plain);
void grid_close(struct grid *g);

#endif
