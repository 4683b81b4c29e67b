/* print.c - prints values as Python's str(), repr() and json.dumps() do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/template/inside.h"

/* Writes repr(f): the shortest digits that read back as the same number. */
void float_text(char out[40], double f)
{
	char e[40], digits[20];
	int n = 0, exp, at = 0;

	if (!isfinite(f)) {
		strcpy(out, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
		return;
	}
	for (int p = 0; p < 17; p++) {
		snprintf(e, sizeof e, "%.*e", p, f);
		if (strtod(e, NULL) == f)
			break;
	}
	exp = atoi(strchr(e, 'e') + 1);
	for (const char *c = e; *c != 'e'; c++)
		if (*c >= '0' && *c <= '9')
			digits[n++] = *c;
	if (signbit(f))
		out[at++] = '-';
	if (exp < -4 || exp >= 16) {
		out[at++] = digits[0];
		if (n > 1) {
			out[at++] = '.';
			memcpy(out + at, digits + 1, (size_t)n - 1);
			at += n - 1;
		}
		sprintf(out + at, "e%c%02d", exp < 0 ? '-' : '+', abs(exp));
		return;
	}
	for (int i = min_int(exp, 0); i < max_int(n, exp + 2); i++) {
		out[at++] = i >= 0 && i < n ? digits[i] : '0';
		if (i == exp)
			out[at++] = '.';
	}
	out[at] = 0;
	if (exp < 0) { /* the digits of the fraction follow its zeros */
		at = signbit(f);
		at += sprintf(out + at, "0.");
		for (int i = -1; i > exp; i--)
			out[at++] = '0';
		memcpy(out + at, digits, (size_t)n);
		out[at + n] = 0;
	}
}

static void repr_str(struct tpl_text *t, struct str *s)
{
	bool single = memchr(s->s, '\'', s->len) && !memchr(s->s, '"', s->len);
	char quote = single ? '"' : '\'', code[16];
	bool user = value_has_user(STR(s));

	tpl_text_put(t, &quote, 1, user);
	for (size_t i = 0, n; i < s->len; i += n) {
		uint32_t c;
		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		if (c == (uint32_t)quote || c == '\\')
			snprintf(code, sizeof code, "\\%c", (char)c);
		else if (c == '\n' || c == '\r' || c == '\t')
			snprintf(code, sizeof code, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (char_is_printable(c))
			code[0] = 0;
		else
			snprintf(code, sizeof code, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
		if (code[0])
			tpl_text_word(t, code, str_mark(s, i));
		else
			tpl_text_add_part(t, s, i, i + n);
	}
	tpl_text_put(t, &quote, 1, user);
}

static void repr_list(struct tpl_text *t, struct list *l, int depth)
{
	static const char *const open[] = {"[", "(", NULL, "dict_items([", "dict_keys([", "dict_values(["};
	static const char *const close[] = {"]", ")", NULL, "])", "])", "])"};

	tpl_text_word(t, open[l->form], false);
	for (uint32_t i = 0; i < l->n; i++) {
		if (i)
			tpl_text_word(t, ", ", false);
		add_repr(t, l->at[i], depth + 1);
	}
	if (l->form == FORM_TUPLE && l->n == 1)
		tpl_text_word(t, ",", false);
	tpl_text_word(t, close[l->form], false);
}

static void repr_dict(struct tpl_text *t, struct dict *d, int depth)
{
	tpl_text_word(t, "{", false);
	for (uint32_t i = 0; i < d->n; i++) {
		if (i)
			tpl_text_word(t, ", ", false);
		add_repr(t, d->at[i].key, depth + 1);
		tpl_text_word(t, ": ", false);
		add_repr(t, d->at[i].val, depth + 1);
	}
	tpl_text_word(t, "}", false);
}

static void repr_range(struct tpl_text *t, struct list *l)
{
	char s[96];
	int64_t first = l->n ? l->at[0].i : 0, step = l->n > 1 ? l->at[1].i - first : 1;

	/* A range does not keep its bounds; those of its items are printed. */
	snprintf(s, sizeof s, step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)", (long long)first,
		 (long long)(first + step * (int64_t)l->n), (long long)step);
	tpl_text_word(t, s, false);
}

void add_repr(struct tpl_text *t, struct value v, int depth)
{
	char s[40];

	if (depth > DATA_DEPTH)
		raise_error(t->job, ERR_LIMIT, "a value nested deeper than %d", DATA_DEPTH);
	spend(t->job, 1);
	switch (v.kind) {
	case K_UNDEF:
		tpl_text_word(t, "Undefined", false);
		break;
	case K_NONE:
		tpl_text_word(t, "None", false);
		break;
	case K_BOOL:
		tpl_text_word(t, v.b ? "True" : "False", false);
		break;
	case K_INT:
		snprintf(s, sizeof s, "%lld", (long long)v.i);
		tpl_text_word(t, s, false);
		break;
	case K_FLOAT:
		float_text(s, v.f);
		tpl_text_word(t, s, false);
		break;
	case K_BIG:
		tpl_text_word(t, v.s->s, false);
		break;
	case K_STR:
		if (v.s->markup)
			tpl_text_word(t, "Markup(", false);
		repr_str(t, v.s);
		if (v.s->markup)
			tpl_text_word(t, ")", false);
		break;
	case K_LIST:
		if (v.l->form == FORM_RANGE)
			repr_range(t, v.l);
		else if (v.l->form == FORM_GENERATOR)
			bad(t->job, "a generator cannot be printed; the filter 'list' makes it a list");
		else
			repr_list(t, v.l, depth);
		break;
	case K_DICT:
		repr_dict(t, v.d, depth);
		break;
	case K_SPACE:
		tpl_text_word(t, "<Namespace ", false);
		repr_dict(t, v.d, depth);
		tpl_text_word(t, ">", false);
		break;
	case K_MACRO:
		tpl_text_word(t, "<Macro '", false);
		tpl_text_add_str(t, v.macro->node->name);
		tpl_text_word(t, "'>", false);
		break;
	default:
		bad(t->job, "a '%s' cannot be printed", value_kind_name(v));
	}
}

struct str *value_to_str(struct job *job, struct value v)
{
	struct tpl_text t = {.job = job};

	if (v.kind == K_STR)
		return v.s;
	if (v.kind != K_UNDEF)
		add_repr(&t, v, 0);
	return tpl_text_str(&t);
}

static void json_str(struct tpl_text *t, const struct json_form *form, struct str *s)
{
	bool user = value_has_user(STR(s));
	char code[16];

	tpl_text_word(t, "\"", user);
	for (size_t i = 0, n, from = 0; i <= s->len; i += n) {
		uint32_t c = 0;
		n = i < s->len ? (size_t)utf8_next(s->s + i, s->len - i, &c) : 1;
		bool plain = i < s->len && c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !form->ascii);
		if (plain)
			continue;
		tpl_text_add_part(t, s, from, i);
		from = i + n;
		if (i == s->len)
			break;
		const char *at = strchr("\"\"\\\\\nn\rr\tt\bb\ff", (int)c);
		if (c && c < 0x80 && at)
			snprintf(code, sizeof code, "\\%c", at[1]);
		else if (c < 0x10000)
			snprintf(code, sizeof code, "\\u%04x", c);
		else
			snprintf(code, sizeof code, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 | (c & 0x3ff));
		tpl_text_word(t, code, str_mark(s, i));
	}
	tpl_text_word(t, "\"", user);
}

static void json_break(struct tpl_text *t, const struct json_form *form, int depth)
{
	if (!form->indent)
		return;
	tpl_text_word(t, "\n", false);
	for (int i = 0; i < depth; i++)
		tpl_text_add_str(t, form->indent);
}

static void json_list(struct tpl_text *t, const struct json_form *form, struct list *l, int depth)
{
	tpl_text_word(t, "[", false);
	for (uint32_t i = 0; i < l->n; i++) {
		if (i)
			tpl_text_add_str(t, form->item);
		json_break(t, form, depth + 1);
		add_json(t, form, l->at[i], depth + 1);
	}
	if (l->n)
		json_break(t, form, depth);
	tpl_text_word(t, "]", false);
}

static int by_key(struct job *job, const void *a, const void *b, const void *how)
{
	(void)how;
	return value_compare(job, ((const struct entry *)a)->key, ((const struct entry *)b)->key, 0);
}

static void json_key(struct tpl_text *t, const struct json_form *form, struct value key)
{
	if (key.kind == K_STR) {
		json_str(t, form, key.s);
		return;
	}
	if (key.kind != K_NONE && key.kind != K_BIG && !value_is_number(key))
		bad(t->job, "keys must be str, int, float, bool or None, not %s", value_kind_name(key));
	tpl_text_word(t, "\"", false);
	add_json(t, form, key, 0);
	tpl_text_word(t, "\"", false);
}

static void json_dict(struct tpl_text *t, const struct json_form *form, struct dict *d, int depth)
{
	void **order = job_take(t->job, sizeof *order * (d->n + 1));

	for (uint32_t i = 0; i < d->n; i++)
		order[i] = &d->at[i];
	if (form->sorted)
		merge_sort(t->job, order, d->n, by_key, NULL);
	tpl_text_word(t, "{", false);
	for (uint32_t i = 0; i < d->n; i++) {
		const struct entry *e = order[i];
		if (i)
			tpl_text_add_str(t, form->item);
		json_break(t, form, depth + 1);
		json_key(t, form, e->key);
		tpl_text_add_str(t, form->colon);
		add_json(t, form, e->val, depth + 1);
	}
	if (d->n)
		json_break(t, form, depth);
	tpl_text_word(t, "}", false);
}

void add_json(struct tpl_text *t, const struct json_form *form, struct value v, int depth)
{
	if (depth > DATA_DEPTH)
		raise_error(t->job, ERR_LIMIT, "a value nested deeper than %d", DATA_DEPTH);
	spend(t->job, 1);
	switch (v.kind) {
	case K_NONE:
		tpl_text_word(t, "null", false);
		break;
	case K_BOOL:
		tpl_text_word(t, v.b ? "true" : "false", false);
		break;
	case K_FLOAT:
		if (isfinite(v.f))
			add_repr(t, v, depth);
		else
			tpl_text_word(t, isnan(v.f) ? "NaN" : v.f < 0 ? "-Infinity" : "Infinity", false);
		break;
	case K_INT:
	case K_BIG:
		add_repr(t, v, depth);
		break;
	case K_STR:
		json_str(t, form, v.s);
		break;
	case K_DICT:
		json_dict(t, form, v.d, depth);
		break;
	case K_LIST:
		if (v.l->form <= FORM_TUPLE) {
			json_list(t, form, v.l, depth);
			break;
		}
		/* fallthrough */
	default:
		bad(t->job, "Object of type %s is not JSON serializable", value_kind_name(v));
	}
}
