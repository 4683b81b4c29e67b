#include "base/similar.h"

#include <string.h>

#include "base/number.h"

/* Levenshtein's; names are short, and what exceeds a row is not compared. */
static int distance(const char *a, const char *b)
{
	int row[64], n = min_int((int)strlen(b), 63);

	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; a[i - 1]; i++) {
		int diagonal = row[0];
		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int above = row[j];
			row[j] = min_int(min_int(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

void similar_try(struct similar *s, const char *name)
{
	size_t len = strlen(s->given);
	int edits = distance(s->given, name);

	if (len >= 3 && !strncmp(s->given, name, len))
		edits = min_int(edits, 1);
	if (s->best && edits >= s->least)
		return;
	s->best = name;
	s->least = edits;
}

const char *similar_name(const struct similar *s)
{
	int len = (int)strlen(s->given);

	return s->best && 3 * s->least <= (len < 3 ? 3 : len) ? s->best : NULL;
}
