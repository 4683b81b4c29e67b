/* spm_encode.c - encodes text as SentencePiece does. */
#include <string.h>

#include "base/utf8.h"
#include "engine/tokenizer/inside.h"

static const char space[] = SPM_SPACE;
enum { SPACE_LEN = sizeof space - 1 };

/* Returns the length of the user-defined piece or character at byte i. */
static size_t next_unit(const struct spm *s, const struct tok_text *t, size_t i)
{
	size_t n;

	return matcher_longest(&s->user, t->s + i, t->n - i, &n) >= 0 ? n : (size_t)utf8_len((unsigned char)t->s[i]);
}

static void add_space(const struct spm *s, struct tok_text *to, struct span_bytes from)
{
	if (s->escape)
		tok_text_add_at(to, space, SPACE_LEN, from);
	else
		tok_text_add_at(to, " ", 1, from);
}

static void drop_trailing_spaces(const struct spm *s, struct tok_text *to)
{
	const char *mark = s->escape ? space : " ";
	size_t n = strlen(mark);

	while (to->n >= n && memcmp(to->s + to->n - n, mark, n) == 0)
		to->n -= n;
}

/* Maps spaces to U+2581. remove_extra: keeps one space between words, and none at the ends. */
static void normalize(const struct spm *s, const struct tok_text *t, bool prefix, struct tok_text *to)
{
	bool after_space = s->remove_extra;
	size_t i = 0, n;

	tok_text_clear(to);
	while (s->remove_extra && i < t->n && t->s[i] == ' ' && next_unit(s, t, i) == 1)
		i++;
	if (i == t->n)
		return;
	if (prefix && s->dummy_prefix)
		add_space(s, to, (struct span_bytes){tok_text_from(t, i).first, tok_text_from(t, i).first});
	for (; i < t->n; i += n) {
		size_t k = i;

		n = next_unit(s, t, i);
		while (after_space && k < i + n && t->s[k] == ' ')
			k++;
		for (size_t from = k; k < i + n; k++, from = k)
			if (t->s[k] == ' ')
				add_space(s, to, tok_text_from(t, from));
			else
				tok_text_add_at(to, t->s + k, 1, tok_text_from(t, k));
		if (s->remove_extra && i + n > 0)
			after_space = t->s[i + n - 1] == ' ';
	}
	if (s->remove_extra)
		drop_trailing_spaces(s, to);
}

/* Returns where a word that begins at i ends: at a user-defined piece, or before a space if no piece spans one. */
static size_t word_end(const struct spm *s, const struct tok_text *t, size_t i)
{
	size_t n, at = i;

	for (;;) {
		bool was_space =
			t->s[at] == space[0] && t->n - at >= SPACE_LEN && memcmp(t->s + at, space, SPACE_LEN) == 0;

		at += (size_t)utf8_len((unsigned char)t->s[at]);
		if (at >= t->n || matcher_longest(&s->user, t->s + at, t->n - at, &n) >= 0)
			return at;
		if (s->cuts_at_space && !was_space && t->s[at] == space[0] && t->n - at >= SPACE_LEN &&
		    memcmp(t->s + at, space, SPACE_LEN) == 0)
			return at;
	}
}

void spm_encode(const struct tokenizer *t, const struct tok_text *text, bool prefix, struct tok_text *normal,
		struct bpe_work *work, struct ids *out)
{
	const struct spm *s = t->spm;
	size_t end, n;

	normalize(s, text, prefix, normal);
	for (size_t i = 0, turns = 0; i < normal->n && !out->over; i = end) {
		int user = matcher_longest(&s->user, normal->s + i, normal->n - i, &n);

		end = user >= 0 ? i + n : word_end(s, normal, i);
		if (user >= 0)
			ids_add(out, user, normal, i, end);
		else
			bpe_encode(&t->bpe, work, normal, i, end, out);
		if (++turns % 1024 == 0 && !effort_goes_on())
			return;
	}
}
