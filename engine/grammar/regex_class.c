/* regex_class.c - classes of characters in regular expressions: brackets and escapes. */
#include "engine/grammar/inside.h"

#include <pthread.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/tokenizer/unicode.h"

uint32_t cursor_char(struct cursor *c)
{
	int len;
	uint32_t cp = utf8_get(c->s + c->at, &len);

	c->at += (size_t)len;
	return cp;
}

static void add_digits(struct ranges *s)
{
	ranges_add(s, '0', '9');
}

static void add_word(struct ranges *s)
{
	add_digits(s);
	ranges_add(s, 'A', 'Z');
	ranges_add(s, 'a', 'z');
	ranges_add(s, '_', '_');
}

/* WhiteSpace and LineTerminator of ECMA 262. */
static void add_space(struct ranges *s)
{
	static const uint16_t space[][2] = {{9, 13},          {32, 32},         {0xa0, 0xa0},     {0x1680, 0x1680},
					    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
					    {0x3000, 0x3000}, {0xfeff, 0xfeff}};

	for (size_t i = 0; i < sizeof space / sizeof *space; i++)
		ranges_add(s, space[i][0], space[i][1]);
}

/* Adds s, or all that it leaves, to `out`; s ends. */
static void take_set(struct ranges *out, struct ranges *s, bool invert)
{
	ranges_sort(s);
	if (invert)
		ranges_invert(s);
	for (int i = 0; i < s->n; i++)
		ranges_add(out, s->r[i].lo, s->r[i].hi);
	out->failed |= s->failed;
	ranges_finish(s);
}

/* Adds the class of a letter, or of what it leaves; false: it has none. */
static bool add_class(struct ranges *out, char letter)
{
	struct ranges s = {.n = 0};
	bool upper = letter >= 'A' && letter <= 'Z';

	switch (upper ? letter + 32 : letter) {
	case 'd':
		add_digits(&s);
		break;
	case 'w':
		add_word(&s);
		break;
	case 's':
		add_space(&s);
		break;
	default:
		return false;
	}
	take_set(out, &s, upper);
	return true;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* n hexadecimal digits at the cursor, or -1. */
static int64_t hex(struct cursor *c, int n)
{
	int64_t v = 0;

	if (c->n - c->at < (size_t)n)
		return -1;
	for (int i = 0; i < n; i++) {
		int d = hex_digit(c->s[c->at + (size_t)i]);
		if (d < 0)
			return -1;
		v = 16 * v + d;
	}
	c->at += (size_t)n;
	return v;
}

/* \u{HHHH}, after "{". */
static int64_t hex_braces(struct cursor *c)
{
	int64_t v = -1;

	while (c->at < c->n && hex_digit(c->s[c->at]) >= 0 && v < 0x110000)
		v = (v < 0 ? 0 : 16 * v) + hex_digit(c->s[c->at++]);
	if (c->at >= c->n || c->s[c->at++] != '}')
		return -1;
	return v;
}

/* After "u": a pair of surrogates is one character. */
static int64_t unicode_escape(struct cursor *c)
{
	int64_t hi, lo;

	if (c->at < c->n && c->s[c->at] == '{') {
		c->at++;
		return hex_braces(c);
	}
	hi = hex(c, 4);
	if (hi < 0xd800 || hi > 0xdbff || c->n - c->at < 6 || memcmp(c->s + c->at, "\\u", 2) != 0)
		return hi;
	c->at += 2;
	lo = hex(c, 4);
	return lo >= 0xdc00 && lo <= 0xdfff ? 0x10000 + ((hi - 0xd800) << 10) + lo - 0xdc00 : -1;
}

enum { LETTER_RANGES = 1024 };
/* Characters of a general category, found once. */
static struct property {
	const char *name, *long_name;
	int flag, n;
	struct range32 range[LETTER_RANGES];
} properties[] = {{.name = "L", .long_name = "Letter", .flag = UC_LETTER},
		  {.name = "N", .long_name = "Number", .flag = UC_NUMBER}};
enum { PROPERTIES = sizeof properties / sizeof *properties };

static void find_property(struct property *p)
{
	for (uint32_t cp = 0, from; cp <= CODE_MAX && p->n < LETTER_RANGES; cp++) {
		for (from = cp; cp <= CODE_MAX && uc_is(cp, p->flag); cp++)
			;
		if (cp > from)
			p->range[p->n++] = (struct range32){from, cp - 1};
	}
}

static void find_properties(void)
{
	uc_init();
	for (int i = 0; i < PROPERTIES; i++)
		find_property(&properties[i]);
}

static const struct property *property_named(const char *name, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	for (int i = 0; i < PROPERTIES; i++) {
		const struct property *p = &properties[i];
		if ((strlen(p->name) == n && !memcmp(p->name, name, n)) ||
		    (strlen(p->long_name) == n && !memcmp(p->long_name, name, n))) {
			pthread_once(&once, find_properties);
			return p;
		}
	}
	return NULL;
}

/* After \p or \P: {NAME}. */
static bool add_property(struct graph *g, struct cursor *c, struct ranges *out, bool invert)
{
	const char *name = c->s + c->at + 1, *end;
	struct ranges s = {.n = 0};
	const struct property *p;

	end = c->at < c->n && c->s[c->at] == '{' ? memchr(name, '}', c->n - c->at - 1) : NULL;
	p = end ? property_named(name, (size_t)(end - name)) : NULL;
	if (!p) {
		graph_fail(g, ERR_UNSUPPORTED, "at byte %zu: of \\p{...}, only \\p{L} and \\p{N} are supported", c->at);
		return false;
	}
	c->at = (size_t)(end - c->s) + 1;
	for (int i = 0; i < p->n; i++)
		ranges_add(&s, p->range[i].lo, p->range[i].hi);
	take_set(out, &s, invert);
	return true;
}

/* The character that an escape stands for; -1: none that ECMA 262 knows. */
static int64_t escaped_char(struct cursor *c, uint32_t letter)
{
	static const char plain[] = "n\nr\rt\tf\fv\v";

	for (const char *s = plain; *s; s += 2)
		if ((uint32_t)s[0] == letter)
			return s[1];
	switch (letter) {
	case '0':
		return c->at < c->n && c->s[c->at] >= '0' && c->s[c->at] <= '9' ? -1 : 0;
	case 'x':
		return hex(c, 2);
	case 'u':
		return unicode_escape(c);
	case 'c':
		return c->at < c->n && (c->s[c->at] | 32) >= 'a' && (c->s[c->at] | 32) <= 'z' ? c->s[c->at++] & 31 : -1;
	default:
		break;
	}
	/* what is no letter and no digit stands for itself, as regular expressions in use have it */
	return letter >= 0x80 || letter == '_' ||
			       !strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", (int)letter)
		       ? (int64_t)letter
		       : -1;
}

bool regex_escape(struct graph *g, struct cursor *c, struct ranges *out)
{
	size_t at = c->at;
	uint32_t letter;
	int64_t cp;

	if (c->at >= c->n) {
		graph_fail(g, ERR_INVALID, "it ends with a backslash");
		return false;
	}
	letter = cursor_char(c);
	if (letter < 0x80 && add_class(out, (char)letter))
		return true;
	if (letter == 'p' || letter == 'P')
		return add_property(g, c, out, letter == 'P');
	cp = escaped_char(c, letter);
	if (cp < 0 || cp > CODE_MAX || (cp >= 0xd800 && cp <= 0xdfff)) {
		graph_fail(g, strchr("123456789kbB", (int)letter) ? ERR_UNSUPPORTED : ERR_INVALID,
			   "at byte %zu: \\%c is not supported", at - 1, letter < 0x80 ? (char)letter : '?');
		return false;
	}
	ranges_add(out, (uint32_t)cp, (uint32_t)cp);
	return true;
}

/* One character or escape of a bracket: appended to `out`; *single: it is one character, which may begin a range. */
static bool bracket_item(struct graph *g, struct cursor *c, struct ranges *out, bool *single)
{
	int before = out->n;
	uint32_t cp = cursor_char(c);

	*single = true;
	if (cp != '\\') {
		ranges_add(out, cp, cp);
		return true;
	}
	if (c->at < c->n && c->s[c->at] == 'b') {
		c->at++;
		ranges_add(out, 8, 8);
		return true;
	}
	if (!regex_escape(g, c, out))
		return false;
	*single = out->n == before + 1 && out->r[before].lo == out->r[before].hi;
	return true;
}

static bool bracket_range(struct graph *g, struct cursor *c, struct ranges *out)
{
	bool single;
	size_t at = c->at;
	uint32_t lo, hi;

	if (!bracket_item(g, c, out, &single) || !single)
		return !g->err;
	if (c->n - c->at < 2 || c->s[c->at] != '-' || c->s[c->at + 1] == ']' || out->failed)
		return true;
	lo = out->r[--out->n].lo;
	c->at++;
	if (!bracket_item(g, c, out, &single))
		return false;
	if (out->failed)
		return true;
	hi = single ? out->r[--out->n].lo : 0;
	if (!single || hi < lo) {
		graph_fail(g, ERR_INVALID, "at byte %zu: no range of characters", at);
		return false;
	}
	ranges_add(out, lo, hi);
	return true;
}

bool regex_class(struct graph *g, struct cursor *c, struct ranges *out)
{
	size_t at = c->at;
	bool invert = c->at < c->n && c->s[c->at] == '^';

	c->at += invert;
	while (c->at < c->n && c->s[c->at] != ']')
		if (!bracket_range(g, c, out))
			return false;
	if (c->at >= c->n) {
		graph_fail(g, ERR_INVALID, "at byte %zu: \"[\" has no \"]\"", at - 1);
		return false;
	}
	c->at++;
	ranges_sort(out);
	if (invert)
		ranges_invert(out);
	return true;
}

static bool number(struct cursor *c, int *out)
{
	size_t from = c->at;
	long v = 0;

	while (c->at < c->n && c->s[c->at] >= '0' && c->s[c->at] <= '9')
		v = v > REPEAT_MOST ? v : 10 * v + (c->s[c->at] - '0'), c->at++;
	*out = (int)v;
	return c->at > from;
}

bool cursor_count(struct cursor *c, int *min, int *max)
{
	size_t from = c->at;

	if (!number(c, min))
		return false;
	*max = *min;
	if (c->at < c->n && c->s[c->at] == ',') {
		c->at++;
		if (!number(c, max))
			*max = REPEAT_ALWAYS;
	}
	if (c->at < c->n && c->s[c->at] == '}') {
		c->at++;
		return true;
	}
	c->at = from;
	return false;
}
