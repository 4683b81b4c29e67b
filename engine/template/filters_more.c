/* filters_more.c - filters that few templates use. */
#include <math.h>
#include <stdio.h>
#include "engine/template/inside.h"

#define FILTER(id) static struct value f_##id(struct rendering *r, struct value on, struct args *args)
#define UNUSED (void)r, (void)args

FILTER(center)
{
	int64_t width = value_integer(&r->job, arg_or(args, 0, "width", INT(80)));

	return STR(text_pad(r, value_to_str(&r->job, on), width, str_make(&r->job, " ", 1, false), true, true));
}

FILTER(wordcount)
{
	struct str *s = value_to_str(&r->job, on);
	bool inside = false;
	int64_t n = 0;
	uint32_t c;

	UNUSED;
	spend(&r->job, s->len / 16);
	for (size_t i = 0; i < s->len; i += (size_t)utf8_next(s->s + i, s->len - i, &c)) {
		utf8_next(s->s + i, s->len - i, &c);
		bool word = c == '_' || char_is_alpha(c) || char_is_any_digit(c);

		n += word && !inside;
		inside = word;
	}
	return INT(n);
}

FILTER(truncate)
{
	int64_t length = value_integer(&r->job, arg_or(args, 0, "length", INT(255)));
	bool kill = value_truth(&r->job, arg_or(args, 1, "killwords", BOOL(false)));
	struct str *end = value_to_str(&r->job, arg_or(args, 2, "end", STR(str_make(&r->job, "...", 3, false))));
	struct value leeway = arg_or(args, 3, "leeway", NONE);
	int64_t more = leeway.kind == K_NONE ? 5 : value_integer(&r->job, leeway),
		left = length - (int64_t)str_chars(end);
	struct str *s = on.kind == K_STR ? on.s : NULL;
	size_t at;

	if (!s)
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the filter 'truncate' needs a str");
	if (left < 0 || more < 0)
		bad(&r->job, "expected length >= %u, got %lld", str_chars(end), (long long)length);
	if (str_chars(s) <= length + more)
		return on;
	at = str_byte(s, (uint32_t)left);
	for (size_t i = at; i-- > 0 && !kill;)
		if (s->s[i] == ' ') {
			at = i;
			break;
		}
	return STR(str_join(&r->job, str_part(&r->job, s, 0, at), end));
}

static void quote(struct tpl_text *t, const struct str *s, const char *safe)
{
	char code[4];

	for (size_t i = 0; i < s->len; i++) {
		uint8_t c = (uint8_t)s->s[i];

		if (char_is_digit(c) || (c < 0x80 && char_is_alpha(c)) || (c && strchr(safe, c))) {
			tpl_text_add_part(t, s, i, i + 1);
			continue;
		}
		snprintf(code, sizeof code, "%%%02X", c);
		tpl_text_put(t, c == ' ' && !strchr(safe, '/') ? "+" : code, c == ' ' && !strchr(safe, '/') ? 1 : 3,
			     str_mark(s, i));
	}
}

/* Accepts a string, or pairs of names and values. */
FILTER(urlencode)
{
	struct tpl_text t = {.job = &r->job};
	struct list *l;

	UNUSED;
	if (on.kind != K_DICT && on.kind != K_LIST) {
		quote(&t, value_to_str(&r->job, on), "_.-~/");
		return STR(tpl_text_str(&t));
	}
	l = on.kind == K_LIST ? value_items(&r->job, on) : NULL;
	for (uint32_t i = 0; i < (l ? l->n : on.d->n); i++) {
		bool pair = !l || (l->at[i].kind == K_LIST && l->at[i].l->n == 2);

		if (!pair)
			bad(&r->job, "the filter 'urlencode' needs a text or pairs");
		if (i)
			tpl_text_word(&t, "&", ORIGIN_TEMPLATE);
		quote(&t, value_to_str(&r->job, l ? l->at[i].l->at[0] : on.d->at[i].key), "_.-~");
		tpl_text_word(&t, "=", ORIGIN_TEMPLATE);
		quote(&t, value_to_str(&r->job, l ? l->at[i].l->at[1] : on.d->at[i].val), "_.-~");
	}
	return STR(tpl_text_str(&t));
}

FILTER(filesizeformat)
{
	static const char *const names[2][8] = {{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
						{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
	bool binary = value_truth(&r->job, arg_or(args, 0, "binary", BOOL(false)));
	double base = binary ? 1024 : 1000, unit = base, bytes;
	int i = 0;

	if (!value_is_number(on))
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the filter 'filesizeformat' needs a number");
	bytes = value_number(on);
	if (bytes == 1)
		return STR(str_printf(&r->job, ORIGIN_TEMPLATE, "1 Byte"));
	if (bytes < base)
		return STR(str_printf(&r->job, ORIGIN_TEMPLATE, "%lld Bytes", (long long)bytes));
	for (; i < 7 && bytes >= unit * base; i++)
		unit *= base;
	return STR(str_printf(&r->job, ORIGIN_TEMPLATE, "%.1f %s", bytes / unit, names[binary][i]));
}

/* Looks up an attribute, never an item of that name. */
FILTER(attr)
{
	struct value name = arg_need(r, args, 0, "name", "attr");

	if (name.kind != K_STR)
		bad(&r->job, "attribute name must be string, not '%s'", value_kind_name(name));
	if (on.kind == K_DICT && !method_find(K_DICT, name.s))
		return UNDEF("a mapping has no such attribute");
	return get_attr(r, on, name.s);
}

static int64_t positive(struct rendering *r, struct value v)
{
	int64_t n = value_integer(&r->job, v);

	if (n <= 0)
		bad(&r->job, "a number above 0 is needed");
	return n;
}

FILTER(batch)
{
	int64_t size = positive(r, arg_need(r, args, 0, "linecount", "batch"));
	struct value fill = arg_or(args, 1, "fill_with", NONE);
	struct list *from = value_items(&r->job, on), *l = list_make(&r->job, 0, FORM_GENERATOR), *line = NULL;

	for (uint32_t i = 0; i < from->n; i++) {
		if (i % size == 0) {
			line = list_make(&r->job, 0, FORM_LIST);
			list_add(&r->job, l, LIST(line));
		}
		spend(&r->job, 1);
		list_add(&r->job, line, from->at[i]);
	}
	while (line && fill.kind != K_NONE && line->n < size) {
		spend(&r->job, 1);
		list_add(&r->job, line, fill);
	}
	return LIST(l);
}

FILTER(slice)
{
	int64_t slices = positive(r, arg_need(r, args, 0, "slices", "slice"));
	struct value fill = arg_or(args, 1, "fill_with", NONE);
	struct list *from = value_items(&r->job, on), *l = list_make(&r->job, 0, FORM_GENERATOR);
	uint32_t at = 0;

	for (int64_t i = 0; i < slices; i++) {
		bool longer = i < from->n % slices;
		struct list *part = list_make(&r->job, 0, FORM_LIST);

		spend(&r->job, 1);
		for (int64_t n = from->n / slices + longer; n > 0; n--)
			list_add(&r->job, part, from->at[at++]);
		if (fill.kind != K_NONE && !longer)
			list_add(&r->job, part, fill);
		list_add(&r->job, l, LIST(part));
	}
	return LIST(l);
}

/* This is json.loads(). jinja2 lacks it, but some models' templates were written for environments that have it. */
FILTER(from_json)
{
	json_t *read;
	uint8_t origin;

	UNUSED;
	if (on.kind != K_STR)
		bad(&r->job, "%s", on.kind == K_UNDEF ? on.what : "the JSON object must be str");
	spend(&r->job, on.s->len / 16);
	if (template_read_json(&read, on.s->s, on.s->len, "", NULL))
		bad(&r->job, "the filter 'from_json' needs JSON text");
	if (!r->job.read)
		r->job.read = json_array();
	json_array_append_new(r->job.read, read);
	origin = !on.s->mark ? on.s->origin : value_has_user(on) ? ORIGIN_SAID : ORIGIN_TEMPLATE;
	return value_from_json(&r->job, read, origin, 0);
}

const struct filter *filter_more_find(const struct str *name)
{
	static const struct filter list[] = {
		{"center", f_center, 1, "width"},
		{"wordcount", f_wordcount, 0, ""},
		{"truncate", f_truncate, 4, "length killwords end leeway"},
		{"urlencode", f_urlencode, 0, ""},
		{"filesizeformat", f_filesizeformat, 1, "binary"},
		{"attr", f_attr, 1, "name"},
		{"batch", f_batch, 2, "linecount fill_with"},
		{"slice", f_slice, 2, "slices fill_with"},
		{"from_json", f_from_json, 0, ""},
		{"fromjson", f_from_json, 0, ""},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}
