#include "base/similar.h"

#include <string.h>

#include "base/number.h"

enum { LONGEST = 63 };

/* Edits: a letter put in, taken out or changed, or two neighbours in the wrong order. What exceeds a row is not
 * compared. */
static int distance(const char *a, const char *b)
{
	int rows[3][LONGEST + 1], n = min_int((int)strlen(b), LONGEST);

	for (int j = 0; j <= n; j++)
		rows[0][j] = j;
	for (int i = 1; a[i - 1]; i++) {
		int *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = i;
		for (int j = 1; j <= n; j++) {
			row[j] = min_int(min_int(above[j] + 1, row[j - 1] + 1), above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_int(row[j], before[j - 2] + 1);
		}
	}
	return rows[strlen(a) % 3][n];
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
