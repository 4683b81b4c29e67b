/* help.h - texts of --help: no line is longer than HELP_COLUMNS. */
#ifndef BASE_HELP_H
#define BASE_HELP_H

#include <stdio.h>

enum { HELP_COLUMNS = 100, HELP_LEFT = 32 /* columns of a row's left side */ };

/* "  left   text", the text broken at blanks below its first line. At least two blanks lie between them, by which the
 * makers of manual pages and completion know them; a long `left` has a line of its own. */
void help_row(FILE *out, const char *left, const char *text);
/* Broken at blanks; `indent` columns before each line but the first. Line ends of the text stay. */
void help_text(FILE *out, int indent, const char *text);

#endif
