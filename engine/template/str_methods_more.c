/* str_methods_more.c - methods of strings that few templates use. */
#include "engine/template/methods.h"
#include "base/utf8.h"

#define METHOD(id) static struct value m_##id(struct rendering *r, struct value self, struct args *args)
#define UNUSED (void)r, (void)args

METHOD(expandtabs)
{
	int64_t size = value_integer(&r->job, arg_or(args, 0, "tabsize", INT(8))), column = 0;
	struct tpl_text t = {.job = &r->job};
	struct str *s = self.s;
	uint32_t c;

	if (size > 1000)
		raise_error(&r->job, ERR_LIMIT, "tabs wider than 1000");
	for (size_t i = 0, n; i < s->len; i += n) {
		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		if (c != '\t') {
			tpl_text_add_part(&t, s, i, i + n);
			column = c == '\n' || c == '\r' ? 0 : column + 1;
			continue;
		}
		for (int64_t more = size > 0 ? size - column % size : 0; more > 0; more--, column++)
			tpl_text_put(&t, " ", 1, str_mark(s, i));
	}
	return STR(tpl_text_str(&t));
}

METHOD(swapcase)
{
	struct tpl_text t = {.job = &r->job};
	struct str *s = self.s;

	UNUSED;
	for (size_t i = 0, n; i < s->len; i += n) {
		uint32_t c, out[3];
		char bytes[4];

		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		int k = char_is_upper(c) ? to_lower(c, out) : char_is_lower(c) ? to_upper(c, out) : (out[0] = c, 1);
		for (int j = 0; j < k; j++)
			tpl_text_put(&t, bytes, (size_t)utf8_put(bytes, out[j]), str_mark(s, i));
	}
	return STR(tpl_text_str(&t));
}

METHOD(isascii)
{
	UNUSED;
	for (uint32_t i = 0; i < self.s->len; i++)
		if ((uint8_t)self.s->s[i] >= 0x80)
			return BOOL(false);
	return BOOL(true);
}

METHOD(isprintable)
{
	uint32_t c;

	UNUSED;
	for (size_t i = 0; i < self.s->len;) {
		i += (size_t)utf8_next(self.s->s + i, self.s->len - i, &c);
		if (!char_is_printable(c))
			return BOOL(false);
	}
	return BOOL(true);
}

/* Upper case begins each word and appears nowhere else; some word exists. */
METHOD(istitle)
{
	bool inside = false, any = false;
	uint32_t c;

	UNUSED;
	for (size_t i = 0; i < self.s->len;) {
		i += (size_t)utf8_next(self.s->s + i, self.s->len - i, &c);
		if (char_is_upper(c) ? inside : char_is_lower(c) && !inside)
			return BOOL(false);
		inside = char_is_upper(c) || char_is_lower(c);
		any |= inside;
	}
	return BOOL(any);
}

const struct method *str_method_more_find(const struct str *name)
{
	static const struct method list[] = {
		{"expandtabs", K_STR, m_expandtabs, 1, "tabsize", false},
		{"swapcase", K_STR, m_swapcase, 0, "", false},
		{"isascii", K_STR, m_isascii, 0, "", false},
		{"isprintable", K_STR, m_isprintable, 0, "", false},
		{"istitle", K_STR, m_istitle, 0, "", false},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}
