/* dfa_json.c - the values of strings as UTF-8, and how JSON writes them. */
#include "engine/grammar/inside.h"

#include <stdio.h>
#include <string.h>

/* ---- texts of so many characters ---- */

/* Classes of bytes in UTF-8, by their first byte, and where each leads inside a character. */
enum { WHOLE, NEED1, NEED2, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4, NEED3, INSIDE };
static const uint8_t class_first[] = {0x00, 0x80, 0x90, 0xa0, 0xc0, 0xc2, 0xe0,
				      0xe1, 0xed, 0xee, 0xf0, 0xf1, 0xf4, 0xf5};
enum { CLASSES = sizeof class_first };
static const int8_t leads[INSIDE][CLASSES] = {
	/*            00     80     90     a0     c0  c2     e0        e1     ed        ee     f0        f1     f4 f5 */
	[WHOLE] = {INSIDE, -1, -1, -1, -1, NEED1, AFTER_E0, NEED2, AFTER_ED, NEED2, AFTER_F0, NEED3, AFTER_F4, -1},
	[NEED1] = {-1, INSIDE, INSIDE, INSIDE, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[NEED2] = {-1, NEED1, NEED1, NEED1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[AFTER_E0] = {-1, -1, -1, NEED1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[AFTER_ED] = {-1, NEED1, NEED1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[AFTER_F0] = {-1, -1, NEED2, NEED2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[AFTER_F4] = {-1, NEED2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
	[NEED3] = {-1, NEED2, NEED2, NEED2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
};

/* A level of INSIDE states for each number of characters; the last one is its own next where there is no end. */
struct dfa dfa_text(struct graph *g, int min, int max)
{
	bool always = max == REPEAT_ALWAYS;
	int levels = (always ? min : max) + 1;
	struct dfa a = {.n = 0};

	if ((min > max && !always) || levels > DFA_STATES / INSIDE) {
		graph_fail(g, ERR_LIMIT, "a pattern with a length of up to %d needs more than %d states", max,
			   DFA_STATES);
		return a;
	}
	a = dfa_make(g, levels * INSIDE, CLASSES);
	for (int c = 0; a.to && c < CLASSES; c++)
		for (int b = class_first[c]; b < 256; b++)
			a.class_of[b] = (uint8_t)c;
	for (int i = 0; a.to && i < levels * INSIDE; i++) {
		int level = i / INSIDE, next = level + 1 < levels ? level + 1 : always ? level : -1;
		if (next < 0) /* the last level holds no characters */
			continue;
		for (int c = 0; c < CLASSES; c++) {
			int to = leads[i % INSIDE][c];
			if (to >= 0)
				a.to[i * CLASSES + c] = to == INSIDE ? next * INSIDE : level * INSIDE + to;
		}
	}
	for (int i = min; a.to && i < levels; i++)
		a.accept[i * INSIDE] = 1;
	return a;
}

/* ---- as JSON strings ---- */

/* Which characters JSON writes as a backslash and a letter, and which as \u00XX. */
static const char short_of[] = "\"\"\\\\b\bf\fn\nr\rt\t";

struct quoting {
	struct dfa from, to;
	int n; /* states of `to` so far: those of `from`, then those inside escapes */
};

static int32_t *cell(struct quoting *q, int32_t state, uint8_t byte)
{
	return &q->to.to[(size_t)state * (size_t)q->to.classes + q->to.class_of[byte]];
}

static int32_t inner(struct quoting *q, int32_t state, uint8_t byte)
{
	int32_t *to = cell(q, state, byte);

	if (*to < 0)
		*to = q->n++;
	return *to;
}

/* The value's byte b, written as an escape, leads from state i where it leads in the value. */
static void put_escape(struct quoting *q, int32_t i, uint8_t b, int32_t to)
{
	char hex[3];
	int32_t at = inner(q, i, '\\');

	for (const char *s = short_of; *s; s += 2)
		if ((uint8_t)s[1] == b) {
			*cell(q, at, (uint8_t)s[0]) = to;
			return;
		}
	snprintf(hex, sizeof hex, "%02x", b);
	at = inner(q, inner(q, inner(q, at, 'u'), '0'), '0' + 0);
	at = inner(q, at, (uint8_t)hex[0]);
	*cell(q, at, (uint8_t)hex[1]) = to;
}

static bool needs_escape(int b)
{
	return b < 0x20 || b == '"' || b == '\\';
}

/* Bytes that the value or an escape tells apart. */
static int quote_classes(struct dfa *to, const struct dfa *from)
{
	int n = 0;

	for (int x = 0; x < 256; x++) {
		bool own = x < 0x80 && strchr("\"\\bfnrtu0123456789abcdef", x ? x : 'u');
		int y = 0;
		if (!x)
			own = false;
		while (y < x && (own || from->class_of[y] != from->class_of[x] || needs_escape(y) != needs_escape(x) ||
				 (y && y < 0x80 && strchr("\"\\bfnrtu0123456789abcdef", y))))
			y++;
		to->class_of[x] = y < x ? to->class_of[y] : (uint8_t)n++;
	}
	return n;
}

static int count_escapes(const struct dfa *a)
{
	int n = 0;

	for (int i = 0; i < a->n; i++) {
		bool any = false;
		for (int b = 0; b < 0x60 && !any; b++)
			any = needs_escape(b) && a->to[(size_t)i * (size_t)a->classes + a->class_of[b]] >= 0;
		n += any ? 6 : 0; /* \, \u, \u0, \u00, \u000, \u001 */
	}
	return n;
}

struct dfa dfa_quote(struct graph *g, struct dfa value)
{
	struct quoting q = {.from = value, .n = value.n + 2};
	struct dfa classes = {.n = 0};
	int n;

	if (!value.to)
		return value;
	n = quote_classes(&classes, &value);
	q.to = dfa_make(g, value.n + 2 + count_escapes(&value), n);
	memcpy(q.to.class_of, classes.class_of, 256);
	/* state 0 is before the first quote, i + 1 is state i of the value, n + 1 is behind the last quote */
	if (q.to.to) {
		*cell(&q, 0, '"') = 1;
		q.to.accept[value.n + 1] = 1;
	}
	for (int32_t i = 0; q.to.to && i < value.n; i++)
		for (int b = 0; b < 256; b++) {
			int32_t to = value.to[(size_t)i * (size_t)value.classes + value.class_of[b]];
			if (to >= 0 && needs_escape(b))
				put_escape(&q, i + 1, (uint8_t)b, to + 1);
			else if (to >= 0)
				*cell(&q, i + 1, (uint8_t)b) = to + 1;
			if (b == '"' && value.accept[i])
				*cell(&q, i + 1, '"') = value.n + 1;
		}
	dfa_finish(&value);
	return q.to;
}
