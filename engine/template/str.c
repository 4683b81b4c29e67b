/* str.c - strings with the origin of each byte. */
#include <stdio.h>
#include <stdlib.h>
#include "engine/template/inside.h"

enum { STR_MAX = TEMPLATE_MEMORY / 2 };

struct str *str_make(struct job *job, const char *s, size_t len, uint8_t origin)
{
	struct str *one = job_take(job, sizeof *one);

	if (len > STR_MAX)
		raise_error(job, ERR_LIMIT, "a text of %zu bytes", len);
	one->s = s;
	one->len = (uint32_t)len;
	one->origin = origin;
	return one;
}

struct str *str_copy(struct job *job, const char *s, size_t len, uint8_t origin)
{
	char *copy = job_take(job, len + 1);

	memcpy(copy, s, len);
	return str_make(job, copy, len, origin);
}

/* A part whose bytes have one origin records it once. */
struct str *str_part(struct job *job, const struct str *from, size_t first, size_t end)
{
	struct str *one = str_make(job, from->s + first, end - first, from->origin);

	one->markup = from->markup;
	if (from->mark) {
		one->origin = first < end ? from->mark[first] : ORIGIN_TEMPLATE;
		if (first < end && memcmp(from->mark + first, from->mark + first + 1, end - first - 1))
			one->mark = from->mark + first;
	}
	return one;
}

bool str_is(const struct str *s, const char *text)
{
	return s->len == strlen(text) && !memcmp(s->s, text, s->len);
}
bool str_equal(const struct str *a, const struct str *b)
{
	return a->len == b->len && (a->s == b->s || !memcmp(a->s, b->s, a->len));
}
/* UTF-8 sorts in the order of its code points. */
int str_compare(const struct str *a, const struct str *b)
{
	int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

	return c ? (c < 0 ? -1 : 1) : a->len < b->len ? -1 : a->len > b->len;
}

uint32_t str_chars(struct str *s)
{
	if (!s->counted) {
		for (uint32_t i = 0; i < s->len; i++)
			s->chars += ((uint8_t)s->s[i] & 0xc0) != 0x80;
		s->counted = true;
	}
	return s->chars;
}

size_t str_byte(struct str *s, uint32_t chr)
{
	size_t i = 0;

	if (str_chars(s) == s->len)
		return chr;
	if (chr >= s->chars)
		return s->len;
	for (; chr; chr--)
		for (i++; i < s->len && ((uint8_t)s->s[i] & 0xc0) == 0x80;)
			i++;
	return i;
}

struct str *str_at(struct job *job, struct str *s, uint32_t chr)
{
	size_t first = str_byte(s, chr);
	uint32_t c;

	spend(job, first == chr ? 0 : first / 64);
	return str_part(job, s, first, first + (size_t)utf8_next(s->s + first, s->len - first, &c));
}

struct str *str_printf(struct job *job, uint8_t origin, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return str_copy(job, text, (size_t)min_int(n, sizeof text - 1), origin);
}

static void grow_to(struct job *job, struct grow *g, size_t max)
{
	char *s;
	uint8_t *mark;

	if (max <= g->max)
		return;
	if (max > STR_MAX)
		raise_error(job, ERR_LIMIT, "a text of %zu bytes", max);
	max = max < 128 ? 128 : max + max / 2;
	s = job_take(job, max * 2);
	mark = (uint8_t *)s + max;
	if (g->len) {
		memcpy(s, g->s, g->len);
		memcpy(mark, g->mark, g->len);
	}
	g->s = s;
	g->mark = mark;
	g->max = max;
}

static void put_marks(uint8_t *to, const struct str *s, size_t first, size_t end)
{
	if (s->mark)
		memcpy(to, s->mark + first, end - first);
	else
		memset(to, s->origin, end - first);
}

/* The result keeps its buffer, so that appending to it again copies only what is new. */
struct str *str_join(struct job *job, struct str *a, struct str *b)
{
	struct grow *g = a->grow;
	struct str *one;

	if (!b->len || !a->len) {
		one = str_part(job, a->len ? a : b, 0, a->len ? a->len : b->len);
		if (a->len && a->grow)
			one->grow = a->grow;
		return one;
	}
	if (!g || a->s != g->s || a->len != g->len) {
		g = job_take(job, sizeof *g);
		grow_to(job, g, (size_t)a->len + b->len);
		memcpy(g->s, a->s, a->len);
		put_marks(g->mark, a, 0, a->len);
		g->len = a->len;
	}
	grow_to(job, g, g->len + b->len);
	memcpy(g->s + g->len, b->s, b->len);
	put_marks(g->mark + g->len, b, 0, b->len);
	g->len += b->len;
	spend(job, b->len / 64);
	one = str_make(job, g->s, g->len, false);
	one->mark = g->mark;
	one->grow = g;
	return one;
}

/* Escapes like markupsafe.escape(): text that is markup already stays. */
struct str *str_escape(struct job *job, struct str *s)
{
	static const char from[] = "&<>'\"";
	static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
	struct tpl_text t = {.job = job};

	if (s->markup)
		return s;
	for (size_t i = 0; i < s->len; i++) {
		const char *hit = s->s[i] ? strchr(from, s->s[i]) : NULL;
		if (hit)
			tpl_text_word(&t, to[hit - from], str_mark(s, i));
		else
			tpl_text_add_part(&t, s, i, i + 1);
	}
	s = tpl_text_str(&t);
	s->markup = true;
	return s;
}

static void tpl_text_room(struct tpl_text *t, size_t len)
{
	if (t->limit && t->g.len + len > t->limit)
		raise_error(t->job, ERR_LIMIT, "the output is larger than %zu bytes", t->limit);
	spend(t->job, len / 64);
	grow_to(t->job, &t->g, t->g.len + len);
}

void tpl_text_put(struct tpl_text *t, const char *s, size_t len, uint8_t origin)
{
	if (!len)
		return;
	tpl_text_room(t, len);
	memcpy(t->g.s + t->g.len, s, len);
	memset(t->g.mark + t->g.len, origin, len);
	t->g.len += len;
}

void tpl_text_add_part(struct tpl_text *t, const struct str *s, size_t first, size_t end)
{
	if (first == end)
		return;
	tpl_text_room(t, end - first);
	memcpy(t->g.s + t->g.len, s->s + first, end - first);
	put_marks(t->g.mark + t->g.len, s, first, end);
	t->g.len += end - first;
}

void tpl_text_add_str(struct tpl_text *t, const struct str *s)
{
	tpl_text_add_part(t, s, 0, s->len);
}
void tpl_text_word(struct tpl_text *t, const char *s, uint8_t origin)
{
	tpl_text_put(t, s, strlen(s), origin);
}

struct str *tpl_text_str(struct tpl_text *t)
{
	struct str *s = str_make(t->job, t->g.s ? t->g.s : "", t->g.len, false);

	s->mark = t->g.mark;
	return s->mark ? str_part(t->job, s, 0, s->len) : s;
}
