#include "engine/tokenizer/pretokenizer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/json.h"
#include "base/utf8.h"

static bool is_printed(int b)
{
	return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
}

/* Printable bytes stand for themselves; the others map in order to the letters from U+0100 on. */
uint32_t byte_letter(unsigned char byte)
{
	uint32_t letter = 0x100;

	if (is_printed(byte))
		return byte;
	for (int b = 0; b < byte; b++)
		letter += !is_printed(b);
	return letter;
}

static struct {
	char s[2];
	unsigned char len;
} letters[256];
static int16_t byte_of[0x180]; /* letter -> byte + 1 */

static void build_letters(void)
{
	for (int b = 0; b < 256; b++) {
		uint32_t letter = byte_letter((unsigned char)b);

		letters[b].len = (unsigned char)utf8_put(letters[b].s, letter);
		byte_of[letter] = (int16_t)(b + 1);
	}
}

static void need_letters(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, build_letters);
}

int letter_byte(uint32_t cp)
{
	need_letters();
	return cp < 0x180 ? byte_of[cp] - 1 : -1;
}

void pretokenizer_work_finish(struct pretokenizer_work *w)
{
	tok_text_finish(&w->other);
	tok_text_finish(&w->part);
	heap_free(w->next.p);
	heap_free(w->cut.p);
	heap_free(w->words.p);
	*w = (struct pretokenizer_work){0};
}

void pretokenizers_finish(struct pretokenizers *list)
{
	for (int i = 0; i < list->n; i++)
		pattern_finish(&list->op[i].pattern);
	free(list->op);
	*list = (struct pretokenizers){0};
}

static struct pretokenizer *add(struct pretokenizers *list, enum pretokenizer_kind kind)
{
	list->op = xgrow(list->op, (size_t)list->n + 1, sizeof *list->op);
	list->op[list->n] = (struct pretokenizer){.kind = kind};
	return &list->op[list->n++];
}

static void add_class(struct pretokenizers *list, int class, enum pattern_behavior behavior)
{
	struct pretokenizer *op = add(list, PRE_SPLIT);

	op->pattern = (struct pattern){.kind = PATTERN_CLASS, .class = class};
	op->behavior = behavior;
}

void pretokenizers_gpt2(struct pretokenizers *list, bool prefix_space)
{
	struct pretokenizer *op = add(list, PRE_BYTES);

	op->pattern.kind = PATTERN_GPT2;
	op->splits = true;
	op->prepend = prefix_space ? PREPEND_ALWAYS : PREPEND_NEVER;
}

/* add_prefix_space is the older name of the scheme. XVERSE's files set it to false and give no scheme, which newer
 * releases of the reference refuse. */
static int parse_metaspace(struct pretokenizers *list, const struct json *json, const char *file, struct why *why)
{
	struct pretokenizer *op = add(list, PRE_METASPACE);
	const char *mark = json_word(json, "replacement"), *scheme = json_word(json, "prepend_scheme");

	if (!mark)
		mark = json_word(json, "str_rep");
	if (!mark || !*mark)
		return fail(why, ERR_FORMAT, "%s: pre_tokenizer Metaspace without replacement", file);
	op->pattern = (struct pattern){.kind = PATTERN_STRING, .string = xstrdup(mark), .len = strlen(mark)};
	op->splits = json_flag(json, "split", true);
	if (!scheme)
		scheme = json_flag(json, "add_prefix_space", true) ? "always" : "never";
	if (strcmp(scheme, "always") == 0)
		op->prepend = PREPEND_ALWAYS;
	else if (strcmp(scheme, "first") == 0)
		op->prepend = PREPEND_FIRST;
	else if (strcmp(scheme, "never") != 0)
		return fail(why, ERR_FORMAT, "%s: pre_tokenizer Metaspace: no prepend_scheme %.40s", file, scheme);
	return 0;
}

static int parse_split(struct pretokenizers *list, const struct json *json, const char *file, struct why *why)
{
	struct pretokenizer *op = add(list, PRE_SPLIT);
	char where[256];
	int err;

	snprintf(where, sizeof where, "%.150s: pre_tokenizer Split", file);
	op->invert = json_flag(json, "invert", false);
	err = pattern_parse(&op->pattern, json_get(json, "pattern"), where, why);
	return err ? err : pattern_parse_behavior(&op->behavior, json_word(json, "behavior"), where, why);
}

static int parse_simple(struct pretokenizers *list, const struct json *json, const char *type, const char *file,
			struct why *why)
{
	const char *text;
	struct pretokenizer *op;
	enum pattern_behavior behavior = SPLIT_ISOLATED;

	if (strcmp(type, "Digits") == 0) {
		add_class(list, UC_NUMERIC,
			  json_flag(json, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS);
	} else if (strcmp(type, "Punctuation") == 0) {
		text = json_word(json, "behavior");
		if (text && pattern_parse_behavior(&behavior, text, file, why))
			return ERR_FORMAT;
		add_class(list, UC_PUNCT, behavior);
	} else if (strcmp(type, "WhitespaceSplit") == 0) {
		add_class(list, UC_SPACE, SPLIT_REMOVED);
	} else if (strcmp(type, "BertPreTokenizer") == 0) {
		add_class(list, UC_SPACE, SPLIT_REMOVED);
		add_class(list, UC_PUNCT, SPLIT_ISOLATED);
	} else if (strcmp(type, "Whitespace") == 0) {
		op = add(list, PRE_SPLIT);
		op->pattern.kind = PATTERN_WORDS;
		op->invert = true;
	} else if (strcmp(type, "CharDelimiterSplit") == 0 && (text = json_word(json, "delimiter")) && *text) {
		op = add(list, PRE_SPLIT);
		op->pattern = (struct pattern){.kind = PATTERN_STRING, .string = xstrdup(text), .len = strlen(text)};
	} else {
		return fail(why, ERR_UNSUPPORTED, "%s: pre_tokenizer %.60s is not supported", file, type);
	}
	return 0;
}

static int parse(struct pretokenizers *list, const struct json *json, const char *file, int depth, struct why *why)
{
	const char *type = json_word(json, "type");
	const struct json *item;
	size_t i;
	int err = 0;

	if (!type)
		return fail(why, ERR_FORMAT, "%s: a pre_tokenizer without a type", file);
	if (depth > 16)
		return fail(why, ERR_LIMIT, "%s: pre_tokenizers nested more than 16 deep", file);
	if (strcmp(type, "Metaspace") == 0)
		return parse_metaspace(list, json, file, why);
	if (strcmp(type, "Split") == 0)
		return parse_split(list, json, file, why);
	if (strcmp(type, "ByteLevel") == 0) {
		pretokenizers_gpt2(list, json_flag(json, "add_prefix_space", true));
		list->op[list->n - 1].splits = json_flag(json, "use_regex", true);
		return 0;
	}
	if (strcmp(type, "Sequence") != 0)
		return parse_simple(list, json, type, file, why);
	for (i = 0; (item = json_at(json_get(json, "pretokenizers"), i)); i++)
		if (!err)
			err = parse(list, item, file, depth + 1, why);
	return err;
}

int pretokenizers_parse(struct pretokenizers *list, const struct json *json, const char *file, struct why *why)
{
	*list = (struct pretokenizers){0};
	return !json || json_is(json, JSON_IS_NULL) ? 0 : parse(list, json, file, 0, why);
}

static int split_all(const struct pretokenizer *op, enum pattern_behavior behavior, const struct tok_text *t,
		     struct tok_pieces *words, struct pretokenizer_work *w, struct why *why)
{
	struct tok_pieces old;
	int err = 0;

	w->next.n = 0;
	for (size_t i = 0; i < words->n && !err; i++) {
		const struct tok_piece *p = &words->p[i];

		err = pattern_split(&op->pattern, behavior, op->invert, t->s + p->first, p->end - p->first, p->first,
				    &w->cut, &w->next, why);
	}
	old = *words;
	*words = w->next;
	w->next = old;
	return err;
}

/* Writes the word with ' ' as the mark, after a mark if the scheme asks for one. */
static void mark_spaces(const struct pretokenizer *op, const struct tok_text *t, const struct tok_piece *p,
			bool at_start, struct tok_text *to)
{
	const struct pattern *mark = &op->pattern;
	size_t n = p->end - p->first;
	const char *s = t->s + p->first;
	bool wanted = op->prepend == PREPEND_ALWAYS || (op->prepend == PREPEND_FIRST && at_start);
	bool there = n && (*s == ' ' || (n >= mark->len && memcmp(s, mark->string, mark->len) == 0));

	if (n && wanted && !there)
		tok_text_add_at(to, mark->string, mark->len, tok_text_from(t, p->first));
	for (size_t i = p->first, end; i < p->end; i = end) {
		const char *space = memchr(t->s + i, ' ', p->end - i);

		end = space ? (size_t)(space - t->s) : p->end;
		tok_text_add(to, t->s + i, end - i, t->from ? t->from + i : NULL);
		if (space)
			tok_text_add_at(to, mark->string, mark->len, tok_text_from(t, end++));
	}
}

static void apply_metaspace(const struct pretokenizer *op, struct tok_text *t, struct tok_pieces *words, bool at_start,
			    struct tok_text *to)
{
	tok_text_clear(to);
	for (size_t i = 0; i < words->n; i++) {
		struct tok_piece *p = &words->p[i];
		size_t first = to->n;

		mark_spaces(op, t, p, at_start && p->first == 0, to);
		*p = (struct tok_piece){(uint32_t)first, (uint32_t)to->n, false};
	}
	tok_text_swap(t, to);
}

static void prepend_spaces(struct tok_text *t, struct tok_pieces *words, struct tok_text *to)
{
	tok_text_clear(to);
	for (size_t i = 0; i < words->n; i++) {
		struct tok_piece *p = &words->p[i];
		size_t first = to->n;

		if (p->end > p->first && t->s[p->first] != ' ')
			tok_text_add_at(to, " ", 1, tok_text_from(t, p->first));
		tok_text_add(to, t->s + p->first, p->end - p->first, t->from ? t->from + p->first : NULL);
		*p = (struct tok_piece){(uint32_t)first, (uint32_t)to->n, false};
	}
	tok_text_swap(t, to);
}

static void bytes_to_letters(struct tok_text *t, struct tok_pieces *words, struct tok_text *to)
{
	need_letters();
	tok_text_clear(to);
	for (size_t i = 0; i < words->n; i++) {
		struct tok_piece *p = &words->p[i];
		size_t first = to->n;

		for (size_t k = p->first; k < p->end; k++) {
			unsigned char b = (unsigned char)t->s[k];

			tok_text_add_at(to, letters[b].s, letters[b].len, tok_text_from(t, k));
		}
		*p = (struct tok_piece){(uint32_t)first, (uint32_t)to->n, false};
	}
	tok_text_swap(t, to);
}

/* The rest of a list after its operations before `from`. split: without the first operation's cut. */
static int apply_from(const struct pretokenizers *list, int from, bool cut, struct tok_text *t,
		      struct tok_pieces *words, bool at_start, struct pretokenizer_work *w, struct why *why)
{
	int err = 0;

	w->other.wants_from = t->wants_from;
	for (int i = from; i < list->n && !err; i++, cut = false) {
		const struct pretokenizer *op = &list->op[i];

		switch (op->kind) {
		case PRE_SPLIT:
			if (!cut)
				err = split_all(op, op->behavior, t, words, w, why);
			break;
		case PRE_METASPACE:
			apply_metaspace(op, t, words, at_start, &w->other);
			if (op->splits)
				err = split_all(op, SPLIT_NEXT, t, words, w, why);
			break;
		case PRE_BYTES:
			if (op->prepend == PREPEND_ALWAYS && !cut)
				prepend_spaces(t, words, &w->other);
			if (op->splits && !cut)
				err = split_all(op, SPLIT_ISOLATED, t, words, w, why);
			if (!err)
				bytes_to_letters(t, words, &w->other);
			break;
		}
	}
	return err ? err : effort_check(why);
}

enum { BATCH = 4096, LONG = 64 << 10 };

/* Processes bytes [first, end) of t as a text of their own, from its first operation on. */
static int apply_alone(const struct pretokenizers *list, const struct tok_text *t, size_t first, size_t end,
		       bool at_start, struct pretokenizer_work *w, pretokenizer_take *take, void *arg, struct why *why)
{
	int err;

	tok_text_set(&w->part, t, first, end);
	w->words.n = 0;
	pieces_add(&w->words, 0, w->part.n, false);
	err = apply_from(list, 0, false, &w->part, &w->words, at_start, w, why);
	return err ? err : take(arg, &w->part, &w->words, why);
}

/* Finds where a word begins whatever precedes it: at a space, which the mark replaces, after something that is no
 * mark. */
static size_t before_space(const struct pattern *mark, const struct tok_text *t, size_t at)
{
	for (; at < t->n; at++)
		if (t->s[at] == ' ' && t->s[at - 1] != ' ' &&
		    !(at >= mark->len && memcmp(t->s + at - mark->len, mark->string, mark->len) == 0))
			break;
	return at;
}

static int apply_by_spaces(const struct pretokenizers *list, const struct tok_text *t, bool at_start,
			   struct pretokenizer_work *w, pretokenizer_take *take, void *arg, struct why *why)
{
	size_t end;
	int err = 0;

	for (size_t i = 0; i < t->n && !err; i = end) {
		end = t->n - i > LONG ? before_space(&list->op[0].pattern, t, i + LONG / 2) : t->n;
		err = apply_alone(list, t, i, end, at_start && i == 0, w, take, arg, why);
	}
	return err;
}

/* Processes some thousand pieces that the first operation cut off. */
static int apply_to_batch(const struct pretokenizers *list, const struct tok_text *t, bool at_start,
			  struct pretokenizer_work *w, pretokenizer_take *take, void *arg, struct why *why)
{
	const struct pretokenizer *op = &list->op[0];
	size_t first = w->cut.n ? w->cut.p[0].first : 0, end = w->cut.n ? w->cut.p[w->cut.n - 1].end : 0;
	int err;

	w->words.n = 0;
	for (size_t i = 0; i < w->cut.n; i++) {
		const struct tok_piece *p = &w->cut.p[i];

		if (p->first < p->end &&
		    !(op->kind == PRE_SPLIT && op->behavior == SPLIT_REMOVED && p->match != op->invert))
			pieces_add(&w->words, p->first - first, p->end - first, false);
	}
	if (!w->words.n)
		return 0;
	at_start = at_start && first + w->words.p[0].first == 0;
	tok_text_set(&w->part, t, first, end);
	err = apply_from(list, 0, true, &w->part, &w->words, at_start, w, why);
	return err ? err : take(arg, &w->part, &w->words, why);
}

static int apply_by_batches(const struct pretokenizers *list, struct tok_text *t, bool at_start,
			    struct pretokenizer_work *w, pretokenizer_take *take, void *arg, struct why *why)
{
	struct cutter c;
	int err = 0;

	w->other.wants_from = t->wants_from;
	if (list->op[0].kind == PRE_BYTES && list->op[0].prepend == PREPEND_ALWAYS) {
		w->words.n = 0;
		pieces_add(&w->words, 0, t->n, false);
		prepend_spaces(t, &w->words, &w->other);
	}
	cutter_begin(&c, &list->op[0].pattern, t->s, t->n);
	while (!c.end && !err) {
		err = cutter_next(&c, BATCH, &w->cut, why);
		if (!err)
			err = apply_to_batch(list, t, at_start, w, take, arg, why);
	}
	return err;
}

int pretokenizers_apply(const struct pretokenizers *list, struct tok_text *t, bool at_start,
			struct pretokenizer_work *w, pretokenizer_take *take, void *arg, struct why *why)
{
	const struct pretokenizer *op = list->n ? &list->op[0] : NULL;

	if (!op || t->n <= LONG)
		return apply_alone(list, t, 0, t->n, at_start, w, take, arg, why);
	if (op->kind == PRE_METASPACE && op->splits &&
	    (size_t)utf8_len((unsigned char)*op->pattern.string) == op->pattern.len)
		return apply_by_spaces(list, t, at_start, w, take, arg, why);
	if ((op->kind == PRE_SPLIT && (op->behavior == SPLIT_ISOLATED || op->behavior == SPLIT_REMOVED)) ||
	    (op->kind == PRE_BYTES && op->splits))
		return apply_by_batches(list, t, at_start, w, take, arg, why);
	return apply_alone(list, t, 0, t->n, at_start, w, take, arg, why);
}
