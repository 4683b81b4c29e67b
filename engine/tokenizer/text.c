#include "engine/tokenizer/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void tok_text_finish(struct tok_text *t)
{
	heap_free(t->s);
	heap_free(t->from);
	*t = (struct tok_text){0};
}

void tok_text_clear(struct tok_text *t)
{
	t->n = 0;
}

/* Returns false without memory; the effort is starved then. */
static bool reserve(struct tok_text *t, size_t more)
{
	size_t max = t->n + more + t->n / 2 + 64;
	void *s, *from;

	if (t->n + more <= t->max && (t->from || !t->wants_from))
		return true;
	s = heap_grow(t->s, max, 1);
	if (s)
		t->s = s;
	from = s && t->wants_from ? heap_grow(t->from, max, sizeof *t->from) : NULL;
	if (from)
		t->from = from;
	if (!s || (t->wants_from && !from))
		return false;
	t->max = max;
	return true;
}

void tok_text_room(struct tok_text *t, size_t n)
{
	if (n > t->max)
		reserve(t, n - t->n);
}

void tok_text_add(struct tok_text *t, const char *s, size_t n, const struct span_bytes *from)
{
	if (!n || !reserve(t, n))
		return;
	memcpy(t->s + t->n, s, n);
	if (t->wants_from)
		memcpy(t->from + t->n, from, n * sizeof *from);
	t->n += n;
}

void tok_text_add_at(struct tok_text *t, const char *s, size_t n, struct span_bytes one)
{
	if (!n || !reserve(t, n))
		return;
	memcpy(t->s + t->n, s, n);
	if (t->wants_from)
		for (size_t i = 0; i < n; i++)
			t->from[t->n + i] = one;
	t->n += n;
}

void tok_text_set(struct tok_text *to, const struct tok_text *from, size_t first, size_t end)
{
	to->wants_from = from->wants_from;
	tok_text_clear(to);
	tok_text_room(to, end - first);
	tok_text_add(to, from->s + first, end - first, from->from ? from->from + first : NULL);
}

void tok_text_swap(struct tok_text *a, struct tok_text *b)
{
	struct tok_text c = *a;

	*a = *b;
	*b = c;
}

static size_t skip_chars(const struct tok_text *t, size_t at, int n)
{
	for (; n > 0 && at < t->n; n--)
		at += (size_t)utf8_len((unsigned char)t->s[at]);
	return at;
}

void tok_text_transform(const struct tok_text *t, const struct uc_chars *list, int skipped, struct tok_text *to)
{
	size_t at = skip_chars(t, 0, skipped);
	char buf[4];

	tok_text_clear(to);
	for (size_t i = 0; i < list->n; i++) {
		const struct uc_char *c = &list->c[i];
		struct span_bytes from = {0, 0};

		if (c->change > 0)
			from = at ? tok_text_from(t, at - 1) : from;
		else
			from = at < t->n ? tok_text_from(t, at) : from;
		if (c->change <= 0)
			at = skip_chars(t, at, 1 - c->change);
		tok_text_add_at(to, buf, (size_t)utf8_put(buf, c->cp), from);
	}
}
