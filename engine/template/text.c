/* text.c - text functions that filters and methods share. Each keeps the origin of every byte. */
#include "engine/template/inside.h"
#include "base/utf8.h"

static bool strippable(uint32_t c, const struct str *chars)
{
	if (!chars)
		return char_is_space(c);
	for (size_t i = 0, n; i < chars->len; i += n) {
		uint32_t k;
		n = (size_t)utf8_next(chars->s + i, chars->len - i, &k);
		if (k == c)
			return true;
	}
	return false;
}

struct str *text_strip(struct rendering *r, struct str *s, struct value chars, bool left, bool right)
{
	const struct str *set = NULL;
	size_t first = 0, end = s->len;
	uint32_t c;

	if (chars.kind == K_STR)
		set = chars.s;
	else if (chars.kind != K_NONE)
		bad(&r->job, "strip arg must be None or str");
	while (left && first < end) {
		size_t n = (size_t)utf8_next(s->s + first, end - first, &c);
		if (!strippable(c, set))
			break;
		first += n;
	}
	while (right && end > first) {
		size_t at = end - 1;
		while (at > first && ((uint8_t)s->s[at] & 0xc0) == 0x80)
			at--;
		utf8_next(s->s + at, end - at, &c);
		if (!strippable(c, set))
			break;
		end = at;
	}
	spend(&r->job, (s->len - (end - first)) / 16);
	return str_part(&r->job, s, first, end);
}

static bool breaks_word(uint32_t c)
{
	return char_is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/* A sigma at the end of a word has a lower case form of its own. */
static bool final_sigma(const struct str *s, size_t at, size_t n)
{
	size_t before = at;
	uint32_t c = 0;
	bool letter;

	while (before && ((uint8_t)s->s[--before] & 0xc0) == 0x80)
		;
	letter = before < at && (utf8_next(s->s + before, at - before, &c), char_is_alpha(c));
	if (!letter || at + n >= s->len)
		return letter;
	utf8_next(s->s + at + n, s->len - at - n, &c);
	return !char_is_alpha(c);
}

struct str *text_case(struct rendering *r, struct str *s, char how)
{
	struct tpl_text t = {.job = &r->job};
	bool start = true;

	spend(&r->job, s->len / 16);
	for (size_t i = 0, n; i < s->len; i += n) {
		uint32_t c, out[3];
		char bytes[4];
		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		bool up = how == 'u' || (how != 'l' && start);
		int k = up ? to_upper(c, out) : to_lower(c, out);
		if (!up && c == 0x3a3 && final_sigma(s, i, n))
			out[0] = 0x3c2;
		if (up && how != 'u' && k > 1) /* the title case of ß is Ss */
			for (int j = 1; j < k; j++)
				out[j] = out[j] >= 'A' && out[j] <= 'Z' ? out[j] + 32 : out[j];
		for (int j = 0; j < k; j++)
			tpl_text_put(&t, bytes, (size_t)utf8_put(bytes, out[j]), str_mark(s, i));
		start = how == 't' ? !char_is_alpha(c) : how == 'w' ? breaks_word(c) : false;
	}
	struct str *out = tpl_text_str(&t);
	out->markup = s->markup;
	return out;
}

struct str *text_replace(struct rendering *r, struct str *s, struct str *from, struct str *to, int64_t count)
{
	struct tpl_text t = {.job = &r->job};
	size_t at = 0;
	uint32_t c;

	spend(&r->job, s->len / 32);
	for (; count; count--) {
		const char *hit = at <= s->len ? memmem(s->s + at, s->len - at, from->s, from->len) : NULL;
		if (!hit)
			break;
		size_t i = (size_t)(hit - s->s);
		tpl_text_add_part(&t, s, at, i);
		tpl_text_add_str(&t, to);
		spend(&r->job, 1);
		at = i + from->len;
		if (!from->len) { /* an empty pattern matches between all characters */
			size_t n = i < s->len ? (size_t)utf8_next(s->s + i, s->len - i, &c) : 1;
			if (i < s->len)
				tpl_text_add_part(&t, s, i, i + n);
			at = i + n;
		}
	}
	if (at < s->len)
		tpl_text_add_part(&t, s, at, s->len);
	return tpl_text_str(&t);
}

/* Splits as str.splitlines() does. */
struct list *text_lines(struct rendering *r, struct str *s, bool keep)
{
	struct list *l = list_make(&r->job, 0, FORM_LIST);
	size_t first = 0;

	spend(&r->job, s->len / 16);
	for (size_t i = 0, n; i < s->len; i += n) {
		uint32_t c;
		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		if (!((c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029))
			continue;
		if (c == '\r' && i + 1 < s->len && s->s[i + 1] == '\n')
			n = 2;
		list_add(&r->job, l, STR(str_part(&r->job, s, first, keep ? i + n : i)));
		first = i + n;
	}
	if (first < s->len)
		list_add(&r->job, l, STR(str_part(&r->job, s, first, s->len)));
	return l;
}

bool text_has_case(const struct str *s, bool upper)
{
	bool some = false;

	for (size_t i = 0, n; i < s->len; i += n) {
		uint32_t c;
		n = (size_t)utf8_next(s->s + i, s->len - i, &c);
		if (upper ? char_is_lower(c) : char_is_upper(c))
			return false;
		some |= char_is_lower(c) || char_is_upper(c);
	}
	return some;
}

struct str *text_pad(struct rendering *r, struct str *s, int64_t width, const struct str *fill, bool left, bool right)
{
	int64_t n = width - (int64_t)str_chars(s), before = !left ? 0 : !right ? n : n / 2 + (n & width & 1);
	struct tpl_text t = {.job = &r->job};

	if (n <= 0)
		return s;
	for (int64_t i = 0; i <= n; i++) {
		if (i == before)
			tpl_text_add_str(&t, s);
		if (i < n)
			tpl_text_add_str(&t, fill);
		spend(&r->job, i % 16 == 0);
	}
	return tpl_text_str(&t);
}
