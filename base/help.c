#include "base/help.h"

#include <string.h>

/* Prints from column `at` on; returns nothing, ends without a line end. */
static void put(FILE *out, int at, int indent, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " \n"), blanks;

		if (at > indent && at + (int)n > HELP_COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		}
		fprintf(out, "%.*s", (int)n, text);
		at += (int)n;
		text += n;
		if (*text == '\n') {
			fprintf(out, "\n%*s", text[1] ? indent : 0, "");
			at = indent;
			text++;
			continue;
		}
		blanks = strspn(text, " ");
		if (text[blanks] && at + (int)blanks + (int)strcspn(text + blanks, " \n") <= HELP_COLUMNS) {
			fprintf(out, "%*s", (int)blanks, "");
			at += (int)blanks;
		} else if (text[blanks]) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		}
		text += blanks;
	}
}

void help_text(FILE *out, int indent, const char *text)
{
	put(out, indent, indent, text);
	fputc('\n', out);
}

void help_row(FILE *out, const char *left, const char *text)
{
	int n = (int)strlen(left) + 2;

	fprintf(out, "  %s", left);
	if (n >= HELP_LEFT - 1) {
		fputc('\n', out);
		n = 0;
	}
	fprintf(out, "%*s", HELP_LEFT - n, "");
	put(out, HELP_LEFT, HELP_LEFT, text);
	fputc('\n', out);
}
