#include "engine/tokenizer/pattern.h"

#include <oniguruma.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/json.h"
#include "engine/tokenizer/text.h"
#include "engine/tokenizer/unicode.h"
#include "base/utf8.h"

enum { STACK_MOST = 4 << 20 }; /* backtracking places, of about 40 bytes each, that one match may keep */

static void start_onig(void)
{
	OnigEncoding utf8 = ONIG_ENCODING_UTF8;

	onig_initialize(&utf8, 1);
	onig_set_retry_limit_in_match(10 * 1000 * 1000);
	onig_set_match_stack_limit_size(STACK_MOST);
}

/* Reads the property that an escape at s[0] == '\\' names: \p{Name}, \P{Name}, \w, \W, \d, \D. Returns the escape's
 * length. */
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

/* Makes \p{L} a class that includes the letters that Debian's Oniguruma does not know yet. The caller frees the
 * result. */
static char *add_later(const char *s, size_t len, size_t *out_len)
{
	struct tok_text out = {0};
	char range[40];

	for (size_t i = 0; i < len;) {
		const char *name;
		size_t name_len, n,
			step = s[i] == '\\' ? property(s + i, len - i, &name, &name_len, &(bool){false}) : 0;
		const uint32_t *later = step ? uc_later(name, name_len, &n) : NULL;
		bool negated = false;

		if (!later) {
			step = s[i] == '\\' && i + 1 < len ? 2 : 1;
			tok_text_add(&out, s + i, step, NULL);
			i += step;
			continue;
		}
		property(s + i, len - i, &name, &name_len, &negated);
		tok_text_add(&out, negated ? "[^" : "[", negated ? 2 : 1, NULL);
		if (*name == 'w' || *name == 'd')
			snprintf(range, sizeof range, "\\%c", *name);
		else
			snprintf(range, sizeof range, "\\p{%.*s}", (int)name_len, name);
		tok_text_add(&out, range, strlen(range), NULL);
		for (size_t k = 0; k < n; k += 2) {
			snprintf(range, sizeof range, "\\x{%x}-\\x{%x}", later[k], later[k + 1]);
			tok_text_add(&out, range, strlen(range), NULL);
		}
		tok_text_add(&out, "]", 1, NULL);
		i += step;
	}
	tok_text_add(&out, "", 1, NULL);
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
	err = onig_new(&re, (const OnigUChar *)whole, (const OnigUChar *)whole + n, ONIG_OPTION_NONE,
		       ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
	if (err == ONIG_NORMAL) {
		p->kind = PATTERN_REGEX;
		p->regex = re;
		p->string = xstrdup(s);
		free(whole);
		return 0;
	}
	onig_error_code_to_str(text, err, &info);
	free(whole);
	return fail(why, ERR_FORMAT, "%s: regular expression %.100s: %s", where, s, (const char *)text);
}

int pattern_parse(struct pattern *p, const struct json *json, const char *where, struct why *why)
{
	const struct json *v = json_get(json, "String"), *regex = json_get(json, "Regex");
	size_t len;
	char *s;
	int err;

	if (json_is(json, JSON_IS_TEXT))
		v = json;
	if (!json_is(v, JSON_IS_TEXT) && !json_is(regex, JSON_IS_TEXT))
		return fail(why, ERR_FORMAT, "%s: its pattern is neither String nor Regex", where);
	if (json_is(v, JSON_IS_TEXT)) {
		p->kind = PATTERN_STRING;
		p->string = json_copy_text(v, &p->len);
		return 0;
	}
	s = json_copy_text(regex, &len);
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
	static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
					    "Contiguous"};

	for (int i = 0; name && i < 5; i++)
		if (strcasecmp(name, names[i]) == 0)
			return *out = (enum pattern_behavior)i, 0;
	return fail(why, ERR_FORMAT, "%s: no behavior %s", where, name ? name : "given");
}

void pieces_add(struct tok_pieces *list, size_t first, size_t end, bool match)
{
	size_t max = list->max + list->max / 2 + 64;
	void *p;

	if (list->n == list->max) {
		p = heap_grow(list->p, max, sizeof *list->p);
		if (!p)
			return;
		list->p = p;
		list->max = max;
	}
	list->p[list->n++] = (struct tok_piece){(uint32_t)first, (uint32_t)end, match};
}

/* Adds a match and the text between it and the previous one. */
static size_t add_match(struct tok_pieces *out, size_t done, size_t first, size_t end)
{
	if (first > done)
		pieces_add(out, done, first, false);
	pieces_add(out, first, end, true);
	return end;
}

static void cut_string(struct cutter *c, size_t most, struct tok_pieces *out)
{
	const struct pattern *p = c->p;
	const char *m;

	while (out->n < most && p->len && (m = memmem(c->s + c->done, c->len - c->done, p->string, p->len)))
		c->done = add_match(out, c->done, (size_t)(m - c->s), (size_t)(m - c->s) + p->len);
	c->end = out->n < most;
}

static void cut_class(struct cutter *c, size_t most, struct tok_pieces *out)
{
	int n;

	for (; c->at < c->len && out->n < most; c->at += (size_t)n)
		if (uc_is(utf8_get(c->s + c->at, &n), c->p->class))
			c->done = add_match(out, c->done, c->at, c->at + (size_t)n);
	c->end = c->at >= c->len;
}

/* Finds characters of a class from i on. */
static size_t run_of(const char *s, size_t len, size_t i, int class, bool wanted)
{
	int n;

	while (i < len && uc_is(utf8_get(s + i, &n), class) == wanted)
		i += (size_t)n;
	return i;
}

static void cut_words(struct cutter *c, size_t most, struct tok_pieces *out)
{
	size_t end;
	int n;

	for (; c->at < c->len && out->n < most; c->at = end) {
		uint32_t cp = utf8_get(c->s + c->at, &n);

		if (uc_is(cp, UC_WORD))
			end = run_of(c->s, c->len, c->at, UC_WORD, true);
		else if (uc_is(cp, UC_SPACE))
			end = c->at + (size_t)n;
		else
			end = run_of(c->s, c->len, c->at, UC_WORD | UC_SPACE, false);
		if (!uc_is(cp, UC_SPACE))
			c->done = add_match(out, c->done, c->at, end);
	}
	c->end = c->at >= c->len;
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

/* GPT-2's expression: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ . It matches at every
 * place. */
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
	return last > i ? last : end; /* the last space belongs to the next word, unless it is the only one */
}

static void cut_gpt2(struct cutter *c, size_t most, struct tok_pieces *out)
{
	while (c->done < c->len && out->n < most)
		c->done = add_match(out, c->done, c->done, gpt2_end(c->s, c->len, c->done));
	c->end = c->done >= c->len;
}

/* Steps that one search may backtrack. An expression that looks at each character a few times stays far below. */
static unsigned long search_limit(size_t len)
{
	unsigned long linear = 100000 + 1000 * (unsigned long)len, most = 10 * 1000 * 1000 + 8 * (unsigned long)len;

	return linear < most ? linear : most;
}

static int regex_failed(const struct pattern *p, long r, struct why *why)
{
	if (r == ONIG_MISMATCH)
		return 0;
	if (r == ONIGERR_MEMORY)
		return fail(why, ERR_BUSY, "there is no memory to match the tokenizer's expression %.100s", p->string);
	return fail(why, ERR_LIMIT, "the tokenizer's expression %.100s takes too long on this text", p->string);
}

/* Advances like the reference's iterator: an empty match moves on by a character, and none follows another match
 * immediately. */
static long find_matches(struct cutter *c, size_t most, OnigRegion *region, OnigMatchParam *param,
			 struct tok_pieces *out)
{
	const OnigUChar *text = (const OnigUChar *)c->s, *text_end = text + c->len;

	while (c->at <= c->len && out->n < most && effort_goes_on()) {
		size_t first, end;
		long r = onig_search_with_param(c->p->regex, text, text_end, text + c->at, text_end, region,
						ONIG_OPTION_NONE, param);

		if (r < 0)
			return r;
		first = (size_t)region->beg[0];
		end = (size_t)region->end[0];
		if (first == end && c->last == end) {
			c->at = end < c->len ? end + (size_t)utf8_len(text[end]) : c->len + 1;
			continue;
		}
		c->done = add_match(out, c->done, first, end);
		c->at = c->last = end;
	}
	return c->at > c->len ? ONIG_MISMATCH : 0;
}

static int cut_regex(struct cutter *c, size_t most, struct tok_pieces *out, struct why *why)
{
	OnigRegion *region = onig_region_new();
	OnigMatchParam *param = onig_new_match_param();
	long r = ONIGERR_MEMORY;

	if (region && param) {
		onig_initialize_match_param(param);
		onig_set_retry_limit_in_search_of_match_param(param, search_limit(c->len - c->at));
		r = find_matches(c, most, region, param, out);
	}
	if (region)
		onig_region_free(region, 1);
	if (param)
		onig_free_match_param(param);
	c->end = r != 0;
	return r < 0 ? regex_failed(c->p, r, why) : 0;
}

void cutter_begin(struct cutter *c, const struct pattern *p, const char *s, size_t len)
{
	*c = (struct cutter){.p = p, .s = s, .len = len, .last = SIZE_MAX};
}

int cutter_next(struct cutter *c, size_t most, struct tok_pieces *out, struct why *why)
{
	int err = 0;

	out->n = 0;
	switch (c->p->kind) {
	case PATTERN_STRING:
		cut_string(c, most, out);
		break;
	case PATTERN_CLASS:
		cut_class(c, most, out);
		break;
	case PATTERN_WORDS:
		cut_words(c, most, out);
		break;
	case PATTERN_GPT2:
		cut_gpt2(c, most, out);
		break;
	case PATTERN_REGEX:
		err = cut_regex(c, most, out, why);
		break;
	}
	if (!err)
		err = effort_check(why);
	if (!err && c->end && c->done < c->len)
		pieces_add(out, c->done, c->len, false);
	return err;
}

int pattern_cut(const struct pattern *p, const char *s, size_t len, struct tok_pieces *out, struct why *why)
{
	struct cutter c;

	cutter_begin(&c, p, s, len);
	return cutter_next(&c, SIZE_MAX, out, why);
}

/* Joins a match with its left neighbour, unless that is a match too. */
static void merge_previous(const struct tok_pieces *cut, struct tok_pieces *out, size_t base)
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

/* Does the same from the right. */
static void merge_next(const struct tok_pieces *cut, struct tok_pieces *out, size_t base)
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
		struct tok_piece p = out->p[i];

		out->p[i] = out->p[--j];
		out->p[j] = p;
	}
}

static void merge_alike(const struct tok_pieces *cut, struct tok_pieces *out, size_t base)
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

int pattern_split(const struct pattern *p, enum pattern_behavior behavior, bool invert, const char *s, size_t len,
		  size_t base, struct tok_pieces *cut, struct tok_pieces *out, struct why *why)
{
	int err = pattern_cut(p, s, len, cut, why);
	size_t start = out->n, n = start;

	if (err)
		return err;
	for (size_t i = 0; i < cut->n; i++)
		cut->p[i].match ^= invert;
	switch (behavior) {
	case SPLIT_PREVIOUS:
		merge_previous(cut, out, base);
		break;
	case SPLIT_NEXT:
		merge_next(cut, out, base);
		break;
	case SPLIT_CONTIGUOUS:
		merge_alike(cut, out, base);
		break;
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
