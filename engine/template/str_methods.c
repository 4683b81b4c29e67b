/* str_methods.c - methods of strings. */
#include "engine/template/methods.h"

#define METHOD(id) static struct value m_##id(struct rendering *r, struct value self, struct args *args)
#define UNUSED (void)r, (void)args

static struct str *need_str(struct rendering *r, struct value v, const char *of)
{
	if (v.kind != K_STR)
		bad(&r->job, "%s() needs a str, not %s", of, value_kind_name(v));
	return v.s;
}

METHOD(strip)
{
	return STR(text_strip(r, self.s, arg_or(args, 0, NULL, NONE), true, true));
}
METHOD(lstrip)
{
	return STR(text_strip(r, self.s, arg_or(args, 0, NULL, NONE), true, false));
}
METHOD(rstrip)
{
	return STR(text_strip(r, self.s, arg_or(args, 0, NULL, NONE), false, true));
}
METHOD(lower)
{
	UNUSED;
	return STR(text_case(r, self.s, 'l'));
}
METHOD(upper)
{
	UNUSED;
	return STR(text_case(r, self.s, 'u'));
}
METHOD(capitalize)
{
	UNUSED;
	return STR(text_case(r, self.s, 'c'));
}
METHOD(title)
{
	UNUSED;
	return STR(text_case(r, self.s, 't'));
}

static bool edge(const struct str *s, const struct str *part, bool end)
{
	return part->len <= s->len && !memcmp(s->s + (end ? s->len - part->len : 0), part->s, part->len);
}
/* Returns the part that (start, end) arguments from `first` on select. */
static struct str *window(struct rendering *r, struct value self, struct args *args, int first)
{
	if (args->n <= first)
		return self.s;
	return value_slice(r, self, args->at[first], args->n > first + 1 ? args->at[first + 1] : NONE, NONE).s;
}
static bool any_edge(struct rendering *r, struct value self, struct args *args, bool end, const char *of)
{
	struct value v = arg_need(r, args, 0, NULL, of);
	struct str *s = window(r, self, args, 1);

	if (v.kind != K_LIST || v.l->form != FORM_TUPLE)
		return edge(s, need_str(r, v, of), end);
	for (uint32_t i = 0; i < v.l->n; i++)
		if (edge(s, need_str(r, v.l->at[i], of), end))
			return true;
	return false;
}
METHOD(startswith)
{
	return BOOL(any_edge(r, self, args, false, "startswith"));
}
METHOD(endswith)
{
	return BOOL(any_edge(r, self, args, true, "endswith"));
}
METHOD(removeprefix)
{
	struct str *part = need_str(r, arg_need(r, args, 0, NULL, "removeprefix"), "removeprefix");

	return edge(self.s, part, false) ? STR(str_part(&r->job, self.s, part->len, self.s->len)) : self;
}
METHOD(removesuffix)
{
	struct str *part = need_str(r, arg_need(r, args, 0, NULL, "removesuffix"), "removesuffix");

	return edge(self.s, part, true) ? STR(str_part(&r->job, self.s, 0, self.s->len - part->len)) : self;
}

/* Returns the byte offset of the first or the last `part`, or -1. */
static int64_t find(struct rendering *r, const struct str *s, const struct str *part, size_t from, size_t end,
		    bool last)
{
	spend(&r->job, (end - from) / 32);
	if (!last) {
		const char *hit = memmem(s->s + from, end - from, part->s, part->len);
		return hit ? hit - s->s : -1;
	}
	for (size_t i = end - from >= part->len ? end - part->len + 1 : from; i-- > from;)
		if (!memcmp(s->s + i, part->s, part->len))
			return (int64_t)i;
	return -1;
}
int64_t bound_arg(struct rendering *r, struct args *args, int i, int64_t none, int64_t n)
{
	int64_t at;

	if (args->n <= i || args->at[i].kind == K_NONE)
		return none;
	at = value_integer(&r->job, args->at[i]);
	return at >= 0 ? at : at < -n ? 0 : at + n;
}
/* Finds the bytes between arguments 1 and 2, clipped to the string. Returns false where Python finds nothing, not even
 * "". */
static bool byte_window(struct rendering *r, struct str *s, struct args *args, size_t *from, size_t *to)
{
	int64_t n = str_chars(s), first = bound_arg(r, args, 1, 0, n), end = bound_arg(r, args, 2, n, n);

	end = end > n ? n : end;
	if (first > n || first > end)
		return false;
	*from = args->n > 1 ? str_byte(s, (uint32_t)first) : 0;
	*to = args->n > 2 ? str_byte(s, (uint32_t)end) : s->len;
	return true;
}
static struct value find_chars(struct rendering *r, struct value self, struct args *args, bool last, const char *of)
{
	struct str *part = need_str(r, arg_need(r, args, 0, NULL, of), of);
	size_t from, to;
	int64_t at = byte_window(r, self.s, args, &from, &to) ? find(r, self.s, part, from, to, last) : -1;

	if (at < 0)
		return INT(-1);
	return INT(str_chars(str_part(&r->job, self.s, 0, (size_t)at)));
}
METHOD(find)
{
	return find_chars(r, self, args, false, "find");
}
METHOD(rfind)
{
	return find_chars(r, self, args, true, "rfind");
}
METHOD(index)
{
	struct value v = find_chars(r, self, args, false, "index");

	if (v.i < 0)
		bad(&r->job, "substring not found");
	return v;
}
METHOD(rindex)
{
	struct value v = find_chars(r, self, args, true, "rindex");

	if (v.i < 0)
		bad(&r->job, "substring not found");
	return v;
}
METHOD(count)
{
	struct str *part = need_str(r, arg_need(r, args, 0, NULL, "count"), "count");
	size_t from, to;
	int64_t n = 0, at;

	if (!byte_window(r, self.s, args, &from, &to))
		return INT(0);
	if (!part->len)
		return INT((int64_t)str_chars(str_part(&r->job, self.s, from, to)) + 1);
	for (at = (int64_t)from; (at = find(r, self.s, part, (size_t)at, to, false)) >= 0;) {
		at += part->len;
		n++;
	}
	return INT(n);
}

METHOD(replace)
{
	struct str *from = need_str(r, arg_need(r, args, 0, NULL, "replace"), "replace");
	struct str *to = need_str(r, arg_need(r, args, 1, NULL, "replace"), "replace");

	return STR(text_replace(r, self.s, from, to, value_integer(&r->job, arg_or(args, 2, "count", INT(-1)))));
}

static void add_part(struct rendering *r, struct list *l, struct str *s, size_t first, size_t end)
{
	spend(&r->job, 1);
	list_add(&r->job, l, STR(str_part(&r->job, s, first, end)));
}

/* Splits at runs of white space, as split() without a separator does. */
static void split_space(struct rendering *r, struct list *l, struct str *s, int64_t max, bool from_end)
{
	if (from_end) {
		struct str *rest = text_strip(r, s, NONE, false, true);
		for (; rest->len && max; max--) {
			size_t at = rest->len;
			while (at) {
				size_t before = at - 1;
				uint32_t c;
				while (before && ((uint8_t)rest->s[before] & 0xc0) == 0x80)
					before--;
				utf8_next(rest->s + before, at - before, &c);
				if (char_is_space(c))
					break;
				at = before;
			}
			add_part(r, l, rest, at, rest->len);
			rest = text_strip(r, str_part(&r->job, rest, 0, at), NONE, false, true);
		}
		if (rest->len)
			add_part(r, l, rest, 0, rest->len);
		return;
	}
	struct str *rest = text_strip(r, s, NONE, true, false);
	for (; rest->len && max; max--) {
		size_t at = 0;
		while (at < rest->len) {
			uint32_t c;
			size_t n = (size_t)utf8_next(rest->s + at, rest->len - at, &c);
			if (char_is_space(c))
				break;
			at += n;
		}
		add_part(r, l, rest, 0, at);
		rest = text_strip(r, str_part(&r->job, rest, at, rest->len), NONE, true, false);
	}
	if (rest->len)
		add_part(r, l, rest, 0, rest->len);
}

static void split_at(struct rendering *r, struct list *l, struct str *s, struct str *sep, int64_t max, bool from_end)
{
	size_t first = 0, end = s->len;

	if (!sep->len)
		bad(&r->job, "empty separator");
	for (; max; max--) {
		int64_t at = find(r, s, sep, first, end, from_end);
		if (at < 0)
			break;
		if (from_end)
			add_part(r, l, s, (size_t)at + sep->len, end), end = (size_t)at;
		else
			add_part(r, l, s, first, (size_t)at), first = (size_t)at + sep->len;
	}
	add_part(r, l, s, first, end);
}

static struct value split(struct rendering *r, struct value self, struct args *args, bool from_end)
{
	struct value sep = arg_or(args, 0, "sep", NONE);
	int64_t max = value_integer(&r->job, arg_or(args, 1, "maxsplit", INT(-1)));
	struct list *l = list_make(&r->job, 0, FORM_LIST);

	if (sep.kind == K_NONE)
		split_space(r, l, self.s, max, from_end);
	else
		split_at(r, l, self.s, need_str(r, sep, "split"), max, from_end);
	for (uint32_t i = 0; from_end && i < l->n / 2; i++) {
		struct value v = l->at[i];
		l->at[i] = l->at[l->n - 1 - i];
		l->at[l->n - 1 - i] = v;
	}
	return LIST(l);
}
METHOD(split)
{
	return split(r, self, args, false);
}
METHOD(rsplit)
{
	return split(r, self, args, true);
}
METHOD(splitlines)
{
	return LIST(text_lines(r, self.s, value_truth(&r->job, arg_or(args, 0, "keepends", BOOL(false)))));
}

static struct value partition(struct rendering *r, struct value self, struct args *args, bool last)
{
	struct str *sep = need_str(r, arg_need(r, args, 0, NULL, "partition"), "partition"), *s = self.s;
	struct list *l = list_make(&r->job, 3, FORM_TUPLE);
	int64_t at;

	if (!sep->len)
		bad(&r->job, "empty separator");
	at = find(r, s, sep, 0, s->len, last);
	size_t first = at < 0 ? (last ? 0 : s->len) : (size_t)at, end = at < 0 ? first : first + sep->len;
	add_part(r, l, s, 0, first);
	add_part(r, l, s, first, end);
	add_part(r, l, s, end, s->len);
	return LIST(l);
}
METHOD(partition)
{
	return partition(r, self, args, false);
}
METHOD(rpartition)
{
	return partition(r, self, args, true);
}

METHOD(join)
{
	struct list *l = value_items(&r->job, arg_need(r, args, 0, NULL, "join"));
	struct tpl_text t = {.job = &r->job};

	for (uint32_t i = 0; i < l->n; i++) {
		if (i)
			tpl_text_add_str(&t, self.s);
		spend(&r->job, 1);
		tpl_text_add_str(&t, need_str(r, l->at[i], "join"));
	}
	return STR(tpl_text_str(&t));
}

static struct value pad(struct rendering *r, struct value self, struct args *args, bool left, bool right,
			const char *fill)
{
	int64_t width = value_integer(&r->job, arg_need(r, args, 0, NULL, "width"));
	struct value f = arg_or(args, 1, NULL, STR(str_make(&r->job, fill, 1, false)));

	if (f.kind != K_STR || str_chars(f.s) != 1)
		bad(&r->job, "The fill character must be exactly one character long");
	return STR(text_pad(r, self.s, width, f.s, left, right));
}
METHOD(ljust)
{
	return pad(r, self, args, false, true, " ");
}
METHOD(rjust)
{
	return pad(r, self, args, true, false, " ");
}
METHOD(center)
{
	return pad(r, self, args, true, true, " ");
}
METHOD(zfill)
{
	bool sign = self.s->len && strchr("+-", self.s->s[0]);
	struct args width = {args->at, args->n, NULL, NULL, 0};
	struct value v = self;

	if (!sign)
		return pad(r, self, args, true, false, "0");
	struct value less = INT(value_integer(&r->job, arg_need(r, args, 0, NULL, "zfill")) - 1);
	width.at = &less;
	v.s = str_part(&r->job, self.s, 1, self.s->len);
	v = pad(r, v, &width, true, false, "0");
	return STR(str_join(&r->job, str_part(&r->job, self.s, 0, 1), v.s));
}

static bool alnum(uint32_t c)
{
	return char_is_alpha(c) || char_is_any_digit(c);
}
static struct value all(struct str *s, bool (*is)(uint32_t))
{
	for (size_t i = 0, n; i < s->len; i += n) {
		uint32_t c;
		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		if (!is(c))
			return BOOL(false);
	}
	return BOOL(s->len > 0);
}
METHOD(isalpha)
{
	UNUSED;
	return all(self.s, char_is_alpha);
}
METHOD(isdigit)
{
	UNUSED;
	return all(self.s, char_is_any_digit);
}
METHOD(isdecimal)
{
	UNUSED;
	return all(self.s, char_is_decimal);
}
METHOD(isalnum)
{
	UNUSED;
	return all(self.s, alnum);
}
METHOD(isspace)
{
	UNUSED;
	return all(self.s, char_is_space);
}
METHOD(islower)
{
	UNUSED;
	return BOOL(text_has_case(self.s, false));
}
METHOD(isupper)
{
	UNUSED;
	return BOOL(text_has_case(self.s, true));
}

const struct method *str_method_find(const struct str *name)
{
/* clang-format off */
#define M(id, max, names) {#id, K_STR, m_##id, max, names, false}
	/* clang-format on */
	static const struct method list[] = {
		M(strip, 1, ""),
		M(lstrip, 1, ""),
		M(rstrip, 1, ""),
		M(lower, 0, ""),
		M(upper, 0, ""),
		M(capitalize, 0, ""),
		M(title, 0, ""),
		M(startswith, 3, ""),
		M(endswith, 3, ""),
		M(removeprefix, 1, ""),
		M(removesuffix, 1, ""),
		M(find, 3, ""),
		M(rfind, 3, ""),
		M(index, 3, ""),
		M(rindex, 3, ""),
		M(count, 3, ""),
		M(replace, 3, ""),
		M(split, 2, "sep maxsplit"),
		M(rsplit, 2, "sep maxsplit"),
		M(splitlines, 1, "keepends"),
		M(partition, 1, ""),
		M(rpartition, 1, ""),
		M(join, 1, ""),
		M(ljust, 2, ""),
		M(rjust, 2, ""),
		M(center, 2, ""),
		M(zfill, 1, ""),
		M(isalpha, 0, ""),
		M(isdigit, 0, ""),
		M(isdecimal, 0, ""),
		M(isalnum, 0, ""),
		M(isspace, 0, ""),
		M(islower, 0, ""),
		M(isupper, 0, ""),
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return str_method_more_find(name);
}
