/* dfa_number.c - JSON numbers within bounds: how two decimals compare is read off their digits from left to right. */
#include "engine/grammar/inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 400, MOST_MULTIPLE = 20000 };

/* ---- decimals ---- */

struct parts {
	bool minus;
	const char *whole, *part;
	size_t n_whole, n_part;
	long exponent;
};

/* What JSON writes as a number, and what %g does. */
static bool split(struct parts *p, const char *s, size_t n)
{
	const char *end = s + n;

	*p = (struct parts){.minus = n && *s == '-'};
	s += p->minus;
	p->whole = s;
	while (s < end && isdigit((uint8_t)*s))
		s++;
	p->n_whole = (size_t)(s - p->whole);
	if (s < end && *s == '.') {
		p->part = ++s;
		while (s < end && isdigit((uint8_t)*s))
			s++;
		p->n_part = (size_t)(s - p->part);
	}
	if (s < end && (*s == 'e' || *s == 'E')) {
		char *after;
		p->exponent = strtol(s + 1, &after, 10);
		s = after;
	}
	return s == end && p->n_whole && labs(p->exponent) <= MOST_DIGITS;
}

bool decimal_read(struct decimal *d, const char *s, size_t n)
{
	struct parts p;
	long whole, total, lead = 0;

	*d = (struct decimal){.minus = false};
	if (!split(&p, s, n) || p.n_whole + p.n_part > MOST_DIGITS)
		return false;
	whole = (long)p.n_whole + p.exponent;
	total = (long)(p.n_whole + p.n_part);
	/* digits[i] of whole + part, with zeros where the exponent moves the point out of them */
	d->digits = heap_take((size_t)(3 * MOST_DIGITS), 1);
	if (!d->digits)
		return false;
	for (long i = whole < 0 ? whole : 0, put = 0; i < total || put < whole; i++, put++)
		d->digits[put] = i < 0 || i >= total   ? '0'
				 : i < (long)p.n_whole ? p.whole[i]
						       : p.part[i - (long)p.n_whole];
	total = whole < 0 ? total - whole : total > whole ? total : whole;
	whole = whole < 0 ? 0 : whole;
	while (lead < whole && d->digits[lead] == '0')
		lead++;
	while (total > whole && d->digits[total - 1] == '0')
		total--;
	memmove(d->digits, d->digits + lead, (size_t)(total - lead));
	d->n_whole = (int)(whole - lead);
	d->n_part = (int)(total - whole);
	d->minus = p.minus && d->n_whole + d->n_part > 0;
	return true;
}

void decimal_finish(struct decimal *d)
{
	heap_free(d->digits);
	d->digits = NULL;
}

static int compare_size(const struct decimal *a, const struct decimal *b)
{
	int n = min_int(a->n_whole + a->n_part, b->n_whole + b->n_part), c;

	if (a->n_whole != b->n_whole)
		return a->n_whole < b->n_whole ? -1 : 1;
	c = n ? memcmp(a->digits, b->digits, (size_t)n) : 0;
	return c ? c : a->n_part - b->n_part;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
	if (a->minus != b->minus)
		return a->minus ? -1 : 1;
	return a->minus ? compare_size(b, a) : compare_size(a, b);
}

/* ---- the automata ---- */

enum { DIGIT = 0, MINUS = 10, POINT, OTHER, NUMBER_CLASSES };

static struct dfa number_dfa(struct graph *g, int n)
{
	struct dfa a = dfa_make(g, n, NUMBER_CLASSES);

	memset(a.class_of, OTHER, sizeof a.class_of);
	for (int d = 0; d < 10; d++)
		a.class_of['0' + d] = (uint8_t)(DIGIT + d);
	a.class_of['-'] = MINUS;
	a.class_of['.'] = POINT;
	return a;
}

static void put(struct dfa *a, int32_t from, int class, int32_t to)
{
	if (a->to)
		a->to[from * NUMBER_CLASSES + class] = to;
}

static void put_digits(struct dfa *a, int32_t from, int lo, int32_t to)
{
	for (int d = lo; d < 10; d++)
		put(a, from, DIGIT + d, to);
}

struct dfa dfa_number(struct graph *g, bool whole)
{
	enum { START, SIGN, ZERO, INT, DOT, PART, STATES };
	struct dfa a = number_dfa(g, STATES);

	put(&a, START, MINUS, SIGN);
	put(&a, START, DIGIT, ZERO);
	if (!whole) /* -0 is an integer, too, but no client expects it */
		put(&a, SIGN, DIGIT, ZERO);
	put_digits(&a, START, 1, INT);
	put_digits(&a, SIGN, 1, INT);
	put_digits(&a, INT, 0, INT);
	for (int32_t from = ZERO; from <= INT && !whole; from++)
		put(&a, from, POINT, DOT);
	put_digits(&a, DOT, 0, PART);
	put_digits(&a, PART, 0, PART);
	if (a.to)
		a.accept[ZERO] = a.accept[INT] = a.accept[PART] = 1;
	return a;
}

/* States of a comparison with a bound of w + f digits, apart for each sign: (digits read, how they compare so far). A
 * whole part of more digits than the bound's is larger. */
struct comparison {
	struct dfa *a;
	const struct decimal *bound;
	int32_t base; /* of this sign */
	bool at[3];   /* whether a number whose size is less, equal, more is taken */
};
enum { LESS, EQUAL, MORE };

static int32_t whole_state(const struct comparison *c, int read, int cmp)
{
	return c->base + 3 * read + cmp;
}

static int32_t part_state(const struct comparison *c, int read, int cmp)
{
	return c->base + 3 * (c->bound->n_whole + 2) + 3 * read + cmp;
}

static int32_t comparison_states(const struct decimal *bound)
{
	return 3 * (bound->n_whole + 2) + 3 * (bound->n_part + 2);
}

static int compare_digit(int cmp, int digit, int other)
{
	return cmp != EQUAL ? cmp : digit < other ? LESS : digit > other ? MORE : EQUAL;
}

/* How the whole part compares once it has ended. */
static int whole_compare(const struct comparison *c, int read, int cmp)
{
	return read < c->bound->n_whole ? LESS : read > c->bound->n_whole ? MORE : cmp;
}

static int part_compare(const struct comparison *c, int read, int cmp)
{
	return cmp == EQUAL && read < c->bound->n_part ? LESS : cmp;
}

static void put_whole(struct comparison *c, int read, int cmp)
{
	int w = c->bound->n_whole, after = whole_compare(c, read, cmp);
	int32_t at = whole_state(c, read, cmp);

	for (int d = 0; d < 10; d++) {
		int next = read < w ? compare_digit(cmp, d, c->bound->digits[read] - '0') : MORE;
		bool zero = !read && !d; /* a leading zero is no digit of the number */
		put(c->a, at, DIGIT + d, zero ? at : whole_state(c, min_int(read + 1, w + 1), next));
	}
	put(c->a, at, POINT, part_state(c, 0, after));
	if (c->a->to)
		c->a->accept[at] = c->at[part_compare(c, 0, after)];
}

static void put_part(struct comparison *c, int read, int cmp)
{
	int f = c->bound->n_part;
	int32_t at = part_state(c, read, cmp);

	for (int d = 0; d < 10; d++) {
		int next = compare_digit(cmp, d, read < f ? c->bound->digits[c->bound->n_whole + read] - '0' : 0);
		put(c->a, at, DIGIT + d, part_state(c, min_int(read + 1, f + 1), next));
	}
	if (c->a->to)
		c->a->accept[at] = c->at[part_compare(c, read, cmp)];
}

static void put_comparison(struct comparison *c)
{
	for (int cmp = LESS; cmp <= MORE; cmp++) {
		for (int i = 0; i <= c->bound->n_whole + 1; i++)
			put_whole(c, i, cmp);
		for (int i = 0; i <= c->bound->n_part + 1; i++)
			put_part(c, i, cmp);
	}
}

static bool is_zero(const struct decimal *d)
{
	return d->n_whole + d->n_part == 0;
}

/* Which sizes of a number with this sign lie on the right side. Zero equals minus zero. */
static void wanted(bool at[3], const struct decimal *bound, bool minus, bool above, bool strict)
{
	bool far = minus ? !above : above; /* a larger size goes towards the right side */

	if (is_zero(bound)) {
		at[LESS] = false, at[EQUAL] = !strict, at[MORE] = far;
		return;
	}
	if (bound->minus != minus) { /* also zero lies on this side of the bound */
		at[LESS] = at[EQUAL] = at[MORE] = bound->minus == above;
		return;
	}
	at[LESS] = !far, at[EQUAL] = !strict, at[MORE] = far;
}

struct dfa dfa_bound(struct graph *g, const struct decimal *bound, bool above, bool strict)
{
	int32_t n = comparison_states(bound);
	struct dfa a = number_dfa(g, 2 * n);

	for (int minus = 0; minus < 2; minus++) {
		struct comparison c = {.a = &a, .bound = bound, .base = minus * n};
		wanted(c.at, bound, minus, above, strict);
		put_comparison(&c);
	}
	put(&a, EQUAL, MINUS, n + EQUAL); /* whole_state(0, EQUAL) is where a number begins */
	/* state 0 is where an automaton begins, and whole_state(0, LESS) is never reached otherwise */
	for (int c = 0; a.to && c < NUMBER_CLASSES; c++)
		a.to[c] = a.to[EQUAL * NUMBER_CLASSES + c];
	return a;
}

/* ---- multiples ---- */

struct dfa dfa_multiple(struct graph *g, const struct decimal *of)
{
	struct dfa a = {.n = 0};
	int scale = of->n_part;
	long m = 0;

	for (int i = 0; i < of->n_whole + of->n_part && m <= MOST_MULTIPLE; i++)
		m = 10 * m + (of->digits[i] - '0');
	if (!m || m * (scale + 2) > MOST_MULTIPLE)
		return a;
	/* (places read: 0 is the whole part, 1 + j is j of the part) x remainder; the sign means nothing */
	a = number_dfa(g, (int)m * (scale + 2));
	for (int32_t r = 0; r < m; r++) {
		long rest = r;
		for (int d = 0; d < 10; d++) {
			long to = (10 * r + d) % m;
			put(&a, r, DIGIT + d, (int32_t)to);
			for (int j = 0; j < scale; j++)
				put(&a, (int32_t)(m * (1 + j) + r), DIGIT + d, (int32_t)(m * (2 + j) + to));
		}
		put(&a, (int32_t)(m * (1 + scale) + r), DIGIT, (int32_t)(m * (1 + scale) + r)); /* zeros may follow */
		put(&a, r, POINT, (int32_t)(m + r));
		if (!r)
			put(&a, 0, MINUS, 0);
		for (int j = scale; j >= 0 && a.to; j--) { /* what is not written are zeros */
			a.accept[m * (1 + j) + r] = rest == 0;
			if (!j)
				a.accept[r] = rest == 0;
			rest = 10 * rest % m;
		}
	}
	return a;
}
