#include "engine/tokenizer/normalizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/json.h"
#include "base/utf8.h"

void normalizer_work_finish(struct normalizer_work *w)
{
	tok_text_finish(&w->other);
	heap_free(w->chars.c);
	heap_free(w->cut.p);
	*w = (struct normalizer_work){0};
}

void normalizers_finish(struct normalizers *list)
{
	for (int i = 0; i < list->n; i++) {
		pattern_finish(&list->op[i].pattern);
		free(list->op[i].content);
	}
	free(list->op);
	*list = (struct normalizers){0};
}

static int parse_content(struct normalizer *op, const struct json *json, const char *key, const char *where,
			 struct why *why)
{
	const struct json *v = json_get(json, key);

	if (!json_is(v, JSON_IS_TEXT))
		return fail(why, ERR_FORMAT, "%s: no \"%s\"", where, key);
	op->content = json_copy_text(v, &op->len);
	return 0;
}

static int parse_one(struct normalizer *op, const struct json *json, const char *type, const char *file,
		     struct why *why)
{
	static const struct {
		const char *type;
		enum normalizer_kind kind;
		enum uc_form form;
	} kinds[] = {{"NFC", NORM_FORM, UC_NFC},        {"NFD", NORM_FORM, UC_NFD},
		     {"NFKC", NORM_FORM, UC_NFKC},      {"NFKD", NORM_FORM, UC_NFKD},
		     {"Lowercase", NORM_LOWERCASE, 0},  {"Strip", NORM_STRIP, 0},
		     {"StripAccents", NORM_ACCENTS, 0}, {"Replace", NORM_REPLACE, 0},
		     {"Prepend", NORM_PREPEND, 0},      {"Nmt", NORM_NMT, 0}};
	char where[256];
	size_t i = 0, n = sizeof kinds / sizeof *kinds;
	int err = 0;

	while (i < n && strcmp(type, kinds[i].type) != 0)
		i++;
	if (i == n)
		return fail(why, ERR_UNSUPPORTED, "%s: normalizer %.60s is not supported", file, type);
	snprintf(where, sizeof where, "%.150s: normalizer %s", file, type);
	op->kind = kinds[i].kind;
	op->form = kinds[i].form;
	op->left = json_flag(json, "strip_left", true);
	op->right = json_flag(json, "strip_right", true);
	if (op->kind == NORM_REPLACE)
		err = pattern_parse(&op->pattern, json_get(json, "pattern"), where, why);
	if (!err && op->kind == NORM_REPLACE)
		err = parse_content(op, json, "content", where, why);
	if (op->kind == NORM_PREPEND)
		err = parse_content(op, json, "prepend", where, why);
	return err;
}

static int parse(struct normalizers *list, const struct json *json, const char *file, int depth, struct why *why)
{
	const char *type = json_word(json, "type");
	const struct json *item;
	size_t i;
	int err = 0;

	if (!type)
		return fail(why, ERR_FORMAT, "%s: a normalizer without a type", file);
	if (depth > 16)
		return fail(why, ERR_LIMIT, "%s: normalizers nested more than 16 deep", file);
	if (strcmp(type, "Sequence") != 0) {
		list->op = xgrow(list->op, (size_t)list->n + 1, sizeof *list->op);
		list->op[list->n++] = (struct normalizer){0};
		return parse_one(&list->op[list->n - 1], json, type, file, why);
	}
	for (i = 0; (item = json_at(json_get(json, "normalizers"), i)); i++)
		if (!err)
			err = parse(list, item, file, depth + 1, why);
	return err;
}

int normalizers_parse(struct normalizers *list, const struct json *json, const char *file, struct why *why)
{
	*list = (struct normalizers){0};
	return !json || json_is(json, JSON_IS_NULL) ? 0 : parse(list, json, file, 0, why);
}

static void apply_form(enum uc_form form, struct tok_text *t, struct normalizer_work *w)
{
	size_t i = 0;
	int n;

	for (; i < t->n && !uc_is(utf8_get(t->s + i, &n), UC_ACTIVE); i += (size_t)n)
		;
	if (i == t->n)
		return;
	w->chars.n = 0;
	uc_normalize(form, t->s, t->n, &w->chars);
	tok_text_transform(t, &w->chars, 0, &w->other);
	tok_text_swap(t, &w->other);
}

static void apply_strip(const struct normalizer *op, struct tok_text *t)
{
	size_t first = 0, end = t->n, at;
	int n;

	while (op->left && first < end && uc_is(utf8_get(t->s + first, &n), UC_SPACE))
		first += (size_t)n;
	while (op->right && end > first) {
		for (at = end - 1; at > first && (t->s[at] & 0xC0) == 0x80; at--)
			;
		if (!uc_is(utf8_get(t->s + at, &n), UC_SPACE))
			break;
		end = at;
	}
	t->n = end - first;
	memmove(t->s, t->s + first, t->n);
	if (t->from)
		memmove(t->from, t->from + first, t->n * sizeof *t->from);
}

/* Returns what Nmt makes of c: itself, a space, or 0 to drop it. */
static uint32_t nmt(uint32_t c)
{
	if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
		return 0;
	if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
	    c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD)
		return ' ';
	return c;
}

/* Applies changes that look at single characters. */
static void apply_chars(enum normalizer_kind kind, struct tok_text *t, struct tok_text *to)
{
	uint32_t c, lower[3];
	char buf[4];
	int n, count;

	tok_text_clear(to);
	for (size_t i = 0; i < t->n; i += (size_t)n) {
		c = utf8_get(t->s + i, &n);
		if (kind == NORM_ACCENTS && uc_is(c, UC_MARK))
			continue;
		if (kind == NORM_NMT && c && !(c = nmt(c)))
			continue;
		count = kind == NORM_LOWERCASE ? uc_lower(c, lower) : 1;
		for (int k = 0; k < count; k++)
			tok_text_add_at(to, buf, (size_t)utf8_put(buf, kind == NORM_LOWERCASE ? lower[k] : c),
					tok_text_from(t, i));
	}
	tok_text_swap(t, to);
}

static int apply_replace(const struct normalizer *op, struct tok_text *t, struct normalizer_work *w, struct why *why)
{
	int err = pattern_cut(&op->pattern, t->s, t->n, &w->cut, why);

	tok_text_clear(&w->other);
	for (size_t i = 0; !err && i < w->cut.n; i++) {
		const struct tok_piece *p = &w->cut.p[i];

		if (p->match)
			tok_text_add_at(&w->other, op->content, op->len,
					p->end ? tok_text_from(t, p->end - 1) : (struct span_bytes){0, 0});
		else
			tok_text_add(&w->other, t->s + p->first, p->end - p->first,
				     t->from ? t->from + p->first : NULL);
	}
	tok_text_swap(t, &w->other);
	return err;
}

static void apply_prepend(const struct normalizer *op, struct tok_text *t, struct tok_text *to)
{
	if (!t->n)
		return;
	tok_text_clear(to);
	tok_text_add_at(to, op->content, op->len, tok_text_from(t, 0));
	tok_text_add(to, t->s, t->n, t->from);
	tok_text_swap(t, to);
}

int normalizers_apply(const struct normalizers *list, struct tok_text *t, struct normalizer_work *w, struct why *why)
{
	int err = 0;

	w->other.wants_from = t->wants_from;
	for (int i = 0; i < list->n && !err; i++) {
		const struct normalizer *op = &list->op[i];

		switch (op->kind) {
		case NORM_FORM:
			apply_form(op->form, t, w);
			break;
		case NORM_STRIP:
			apply_strip(op, t);
			break;
		case NORM_REPLACE:
			err = apply_replace(op, t, w, why);
			break;
		case NORM_PREPEND:
			apply_prepend(op, t, &w->other);
			break;
		default:
			apply_chars(op->kind, t, &w->other);
		}
	}
	return err;
}
