#include "engine/tokenizer/pattern.h"

#include <oniguruma.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/json.h"
#include "engine/tokenizer/text.h"
#include "engine/tokenizer/unicode.h"
#include "engine/tokenizer/utf8.h"

static void start_onig(void)
{
	OnigEncoding utf8 = ONIG_ENCODING_UTF8;

	onig_initialize(&utf8, 1);
	onig_set_retry_limit_in_match(10 * 1000 * 1000);
}

/* The property that an escape at s[0] == '\\' stands for: \p{Name}, \P{Name}, \w, \W, \d, \D. Returns the escape's length. */
static size_t property(const char *s, size_t len, const char **name, size_t *name_len, bool *negated)
{
	const char *close;

	if (len < 2 || !strchr("pPwWdD", s[1]))
		return 0;
	*negated = s[1] < 'a';
	if (s[1] != 'p' && s[1] != 'P') {
		*name = s[1] == 'w' || s[1] == 'W' ? "w" : "d";
		*name_len = 1;
		return 2;
	}
	close = len > 3 && s[2] == '{' ? memchr(s, '}', len) : NULL;
	if (!close)
		return 0;
	*name = s + 3;
	if (**name == '^') {
		*negated = !*negated;
		++*name;
	}
	*name_len = (size_t)(close - *name);
	return (size_t)(close + 1 - s);
}

/* \p{L} becomes a class of it and of the letters that Debian's Oniguruma does not know yet; malloced. */
static char *add_later(const char *s, size_t len, size_t *out_len)
{
	struct text out = {0};
	char range[40];

	for (size_t i = 0; i < len;) {
		const char *name;
		size_t name_len, n, step = s[i] == '\\' ? property(s + i, len - i, &name, &name_len, &(bool){false}) : 0;
		const uint32_t *later = step ? uc_later(name, name_len, &n) : NULL;
		bool negated = false;

		if (!later) {
			step = s[i] == '\\' && i + 1 < len ? 2 : 1;
			text_add(&out, s + i, step, NULL);
			i += step;
			continue;
		}
		property(s + i, len - i, &name, &name_len, &negated);
		text_add(&out, negated ? "[^" : "[", negated ? 2 : 1, NULL);
		if (*name == 'w' || *name == 'd')
			snprintf(range, sizeof range, "\\%c", *name);
		else
			snprintf(range, sizeof range, "\\p{%.*s}", (int)name_len, name);
		text_add(&out, range, strlen(range), NULL);
		for (size_t k = 0; k < n; k += 2) {
			snprintf(range, sizeof range, "\\x{%x}-\\x{%x}", later[k], later[k + 1]);
			text_add(&out, range, strlen(range), NULL);
		}
		text_add(&out, "]", 1, NULL);
		i += step;
	}
	text_add(&out, "", 1, NULL);
	*out_len = out.n - 1;
	return out.s;
}

int pattern_regex(struct pattern *p, const char *s, size_t len, const char *where, struct why *why)
{
	size_t n;
	char *whole = add_later(s, len, &n);
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
	OnigErrorInfo info;
	regex_t *re = NULL;
	int err;

	pthread_once(&once, start_onig);
	err = onig_new(&re, (const OnigUChar *)whole, (const OnigUChar *)whole + n, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
		       ONIG_SYNTAX_DEFAULT, &info);
	if (err == ONIG_NORMAL) {
		p->kind = PATTERN_REGEX;
		p->regex = re;
		free(whole);
		return 0;
	}
	onig_error_code_to_str(text, err, &info);
	free(whole);
	return fail(why, ERR_FORMAT, "%s: regular expression %.100s: %s", where, s, (const char *)text);
}

int pattern_parse(struct pattern *p, const json_t *json, const char *where, struct why *why)
{
	const json_t *v = json_object_get(json, "String"), *regex = json_object_get(json, "Regex");
	size_t len;
	char *s;
	int err;

	if (json_is_string(json))
		v = json;
	if (!json_is_string(v) && !json_is_string(regex))
		return fail(why, ERR_FORMAT, "%s: its pattern is neither String nor Regex", where);
	if (json_is_string(v)) {
		p->kind = PATTERN_STRING;
		p->string = json_text(json_string_value(v), json_string_length(v), &p->len);
		return 0;
	}
	s = json_text(json_string_value(regex), json_string_length(regex), &len);
	err = pattern_regex(p, s, len, where, why);
	free(s);
	return err;
}

void pattern_finish(struct pattern *p)
{
	free(p->string);
	if (p->regex)
		onig_free(p->regex);
	*p = (struct pattern){0};
}

int pattern_parse_behavior(enum pattern_behavior *out, const char *name, const char *where, struct why *why)
{
	static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};

	for (int i = 0; name && i < 5; i++)
		if (strcasecmp(name, names[i]) == 0)
			return *out = (enum pattern_behavior)i, 0;
	return fail(why, ERR_FORMAT, "%s: no behavior %s", where, name ? name : "given");
}

void pieces_add(struct pieces *list, size_t first, size_t end, bool match)
{
	if (list->n == list->max)
		list->p = xgrow(list->p, list->max = list->max * 2 + 64, sizeof *list->p);
	list->p[list->n++] = (struct piece){(uint32_t)first, (uint32_t)end, match};
}

/* A match and what lies between it and the one before. */
static size_t add_match(struct pieces *out, size_t done, size_t first, size_t end)
{
	if (first > done)
		pieces_add(out, done, first, false);
	pieces_add(out, first, end, true);
	return end;
}

static size_t cut_string(const struct pattern *p, const char *s, size_t len, struct pieces *out)
{
	size_t done = 0;
	const char *m;

	while (p->len && (m = memmem(s + done, len - done, p->string, p->len)))
		done = add_match(out, done, (size_t)(m - s), (size_t)(m - s) + p->len);
	return done;
}

static size_t cut_class(const struct pattern *p, const char *s, size_t len, struct pieces *out)
{
	size_t done = 0;
	int n;

	for (size_t i = 0; i < len; i += (size_t)n)
		if (uc_is(utf8_get(s + i, &n), p->class))
			done = add_match(out, done, i, i + (size_t)n);
	return done;
}

/* Characters of a class, from i on. */
static size_t run_of(const char *s, size_t len, size_t i, int class, bool wanted)
{
	int n;

	while (i < len && uc_is(utf8_get(s + i, &n), class) == wanted)
		i += (size_t)n;
	return i;
}

static size_t cut_words(const char *s, size_t len, struct pieces *out)
{
	size_t done = 0, end;
	int n;

	for (size_t i = 0; i < len; i = end) {
		uint32_t c = utf8_get(s + i, &n);

		if (uc_is(c, UC_WORD))
			end = run_of(s, len, i, UC_WORD, true);
		else if (uc_is(c, UC_SPACE))
			end = i + (size_t)n;
		else
			end = run_of(s, len, i, UC_WORD | UC_SPACE, false);
		if (!uc_is(c, UC_SPACE))
			done = add_match(out, done, i, end);
	}
	return done;
}

static size_t contraction(const char *s, size_t len)
{
	static const char *const ends[] = {"s", "t", "re", "ve", "m", "ll", "d"};

	for (int i = 0; i < 7; i++) {
		size_t n = strlen(ends[i]);

		if (len > n && memcmp(s + 1, ends[i], n) == 0)
			return n + 1;
	}
	return 0;
}

/* GPT-2's expression: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ . It matches everywhere. */
static size_t gpt2_end(const char *s, size_t len, size_t i)
{
	size_t j = s[i] == ' ' ? i + 1 : i, end, last;
	uint32_t c;
	int n;

	if (s[i] == '\'' && (end = contraction(s + i, len - i)))
		return i + end;
	if (j < len) {
		c = utf8_get(s + j, &n);
		if (uc_is(c, UC_LETTER))
			return run_of(s, len, j, UC_LETTER, true);
		if (uc_is(c, UC_NUMBER))
			return run_of(s, len, j, UC_NUMBER, true);
		if (!uc_is(c, UC_SPACE))
			return run_of(s, len, j, UC_SPACE | UC_LETTER | UC_NUMBER, false);
	}
	end = run_of(s, len, i, UC_SPACE, true);
	if (end == len)
		return end;
	for (last = end - 1; (s[last] & 0xC0) == 0x80; last--)
		;
	return last > i ? last : end; /* the last space goes with the next word, unless it is all there is */
}

static size_t cut_gpt2(const char *s, size_t len, struct pieces *out)
{
	size_t done = 0;

	while (done < len)
		done = add_match(out, done, done, gpt2_end(s, len, done));
	return done;
}

/* As the reference's iterator: an empty match moves on by a character, and none stands right behind another match. */
static int cut_regex(const struct pattern *p, const char *s, size_t len, size_t *done, struct pieces *out, struct why *why)
{
	const OnigUChar *text = (const OnigUChar *)s, *text_end = text + len;
	OnigRegion *region = onig_region_new();
	size_t at = 0, last = SIZE_MAX;
	int r = 0;

	while (at <= len) {
		size_t first, end;

		r = onig_search(p->regex, text, text_end, text + at, text_end, region, ONIG_OPTION_NONE);
		if (r < 0)
			break;
		first = (size_t)region->beg[0];
		end = (size_t)region->end[0];
		if (first == end && last == end) {
			at = end < len ? end + (size_t)utf8_len(text[end]) : len + 1;
			continue;
		}
		*done = add_match(out, *done, first, end);
		at = last = end;
	}
	onig_region_free(region, 1);
	if (r < 0 && r != ONIG_MISMATCH)
		return fail(why, ERR_LIMIT, "the tokenizer's regular expression takes too long on this text");
	return 0;
}

int pattern_cut(const struct pattern *p, const char *s, size_t len, struct pieces *out, struct why *why)
{
	size_t done = 0;
	int err = 0;

	out->n = 0;
	switch (p->kind) {
	case PATTERN_STRING: done = cut_string(p, s, len, out); break;
	case PATTERN_CLASS: done = cut_class(p, s, len, out); break;
	case PATTERN_WORDS: done = cut_words(s, len, out); break;
	case PATTERN_GPT2: done = cut_gpt2(s, len, out); break;
	case PATTERN_REGEX: err = cut_regex(p, s, len, &done, out, why); break;
	}
	if (done < len)
		pieces_add(out, done, len, false);
	return err;
}

/* A match joins its left neighbour, unless that is a match too. */
static void merge_previous(const struct pieces *cut, struct pieces *out, size_t base)
{
	bool before = false;
	size_t start = out->n;

	for (size_t i = 0; i < cut->n; before = cut->p[i++].match) {
		if (cut->p[i].match && !before && out->n > start)
			out->p[out->n - 1].end = (uint32_t)(base + cut->p[i].end);
		else
			pieces_add(out, base + cut->p[i].first, base + cut->p[i].end, false);
	}
}

/* The same from the right. */
static void merge_next(const struct pieces *cut, struct pieces *out, size_t base)
{
	size_t start = out->n, i, j;
	bool after = false;

	for (i = cut->n; i-- > 0; after = cut->p[i].match) {
		if (cut->p[i].match && !after && out->n > start)
			out->p[out->n - 1].first = (uint32_t)(base + cut->p[i].first);
		else
			pieces_add(out, base + cut->p[i].first, base + cut->p[i].end, false);
	}
	for (i = start, j = out->n; i + 1 < j; i++) {
		struct piece p = out->p[i];

		out->p[i] = out->p[--j];
		out->p[j] = p;
	}
}

static void merge_alike(const struct pieces *cut, struct pieces *out, size_t base)
{
	bool before = false;
	size_t start = out->n;

	for (size_t i = 0; i < cut->n; before = cut->p[i++].match) {
		if (cut->p[i].match == before && out->n > start)
			out->p[out->n - 1].end = (uint32_t)(base + cut->p[i].end);
		else
			pieces_add(out, base + cut->p[i].first, base + cut->p[i].end, false);
	}
}

int pattern_split(const struct pattern *p, enum pattern_behavior behavior, bool invert, const char *s, size_t len, size_t base,
		  struct pieces *cut, struct pieces *out, struct why *why)
{
	int err = pattern_cut(p, s, len, cut, why);
	size_t start = out->n, n = start;

	if (err)
		return err;
	for (size_t i = 0; i < cut->n; i++)
		cut->p[i].match ^= invert;
	switch (behavior) {
	case SPLIT_PREVIOUS: merge_previous(cut, out, base); break;
	case SPLIT_NEXT: merge_next(cut, out, base); break;
	case SPLIT_CONTIGUOUS: merge_alike(cut, out, base); break;
	default:
		for (size_t i = 0; i < cut->n; i++)
			if (!(behavior == SPLIT_REMOVED && cut->p[i].match))
				pieces_add(out, base + cut->p[i].first, base + cut->p[i].end, false);
	}
	for (size_t i = start; i < out->n; i++)
		if (out->p[i].first < out->p[i].end)
			out->p[n++] = out->p[i];
	out->n = n;
	return 0;
}
