/* write.c - values become text. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/inside.h"

struct out {
	char *data;
	size_t n, room;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (o->room - o->n < n + 1) {
		o->room = (o->n + n + 1) * 2;
		o->data = xgrow(o->data, o->room, 1);
	}
	memcpy(o->data + o->n, s, n);
	o->n += n;
}

static void put_text(struct out *o, const char *s, size_t n)
{
	char code[8];

	put(o, "\"", 1);
	for (size_t i = 0, from = 0; i <= n; i++) {
		if (i < n && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
			continue;
		put(o, s + from, i - from);
		from = i + 1;
		if (i == n)
			break;
		if (s[i] == '"' || s[i] == '\\')
			snprintf(code, sizeof code, "\\%c", s[i]);
		else
			snprintf(code, sizeof code, "\\u%04x", (unsigned char)s[i]);
		put(o, code, strlen(code));
	}
	put(o, "\"", 1);
}

/* The fewest digits that read back as the same number, in the form that Python gives them. */
static void put_real(struct out *o, double x)
{
	char s[64];
	int digits = 1, exponent;

	if (isnan(x) || isinf(x)) {
		const char *word = isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity";

		put(o, word, strlen(word));
		return;
	}
	do
		snprintf(s, sizeof s, "%.*e", digits - 1, x);
	while (strtod(s, NULL) != x && ++digits < 18);
	exponent = atoi(strchr(s, 'e') + 1);
	if (exponent >= -4 && exponent < 16)
		snprintf(s, sizeof s, "%.*f", max_int(digits - 1 - exponent, 1), x);
	put(o, s, strlen(s));
}

static bool is_left_out(const struct json_member *m, const char *const *without)
{
	for (; without && *without; without++)
		if (strlen(*without) == m->key_len && !memcmp(*without, m->key, m->key_len))
			return true;
	return false;
}

static void put_value(struct out *o, const struct json *v, const char *const *without)
{
	char number[24];
	const struct json_member *m;
	bool first = true;

	switch ((enum json_kind)v->kind) {
	case JSON_IS_NULL:
		put(o, "null", 4);
		break;
	case JSON_IS_BOOL:
		put(o, v->yes ? "true" : "false", v->yes ? 4 : 5);
		break;
	case JSON_IS_INTEGER:
		put(o, number, (size_t)snprintf(number, sizeof number, "%" PRId64, v->integer));
		break;
	case JSON_IS_BIG:
		put(o, v->text, v->n);
		break;
	case JSON_IS_REAL:
		put_real(o, v->real);
		break;
	case JSON_IS_TEXT:
		put_text(o, v->text, v->n);
		break;
	case JSON_IS_LIST:
		put(o, "[", 1);
		for (uint32_t i = 0; i < v->n; i++) {
			if (i)
				put(o, ",", 1);
			put_value(o, &v->item[i], NULL);
		}
		put(o, "]", 1);
		break;
	case JSON_IS_OBJECT:
		put(o, "{", 1);
		for (size_t i = 0; (m = json_member(v, i)); i++) {
			if (is_left_out(m, without))
				continue;
			if (!first)
				put(o, ",", 1);
			first = false;
			put_text(o, m->key, m->key_len);
			put(o, ":", 1);
			put_value(o, &m->value, NULL);
		}
		put(o, "}", 1);
		break;
	}
}

char *json_write(const struct json *v, const char *const *without, size_t *len)
{
	struct out o = {0};

	put_value(&o, v, without);
	o.data[o.n] = '\0';
	if (len)
		*len = o.n;
	return o.data;
}
