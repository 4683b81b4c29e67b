#include "rpc/cli/measure/normalize.h"

#include <ctype.h>
#include <string.h>

static void put(struct text *out, const char *s, size_t len)
{
	text_put(out, s, len);
}

static void strip(struct text *out, const char *s, size_t len)
{
	while (len && strchr(" \t\r\n\v\f", *s) && *s) {
		s++;
		len--;
	}
	while (len && strchr(" \t\r\n\v\f", s[len - 1]) && s[len - 1])
		len--;
	put(out, s, len);
}

static void first_line(struct text *out, const char *s, size_t len)
{
	while (len && out->len == 0) {
		const char *end = memchr(s, '\n', len);
		size_t n = end ? (size_t)(end - s) : len;
		strip(out, s, n);
		s += n + (end != NULL);
		len -= n + (end != NULL);
	}
}

static char small(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void lower(struct text *out, const char *s, size_t len)
{
	strip(out, s, len);
	for (size_t i = 0; i < out->len; i++)
		out->data[i] = small(out->data[i]);
}

static int is_article(const char *s, size_t n)
{
	return (n == 1 && *s == 'a') || (n == 2 && !memcmp(s, "an", 2)) || (n == 3 && !memcmp(s, "the", 3));
}

static void squad(struct text *out, const char *s, size_t len)
{
	struct text plain = {0};

	for (size_t i = 0; i < len; i++) {
		char c = small(s[i]);
		if (!ispunct((unsigned char)c) || (unsigned char)c >= 128)
			put(&plain, &c, 1);
	}
	for (size_t i = 0, n; i < plain.len; i += n) {
		n = strspn(plain.data + i, " \t\r\n\v\f");
		if (n)
			continue;
		n = strcspn(plain.data + i, " \t\r\n\v\f");
		n = n ? n : 1; /* a NUL */
		if (is_article(plain.data + i, n))
			continue;
		put(out, " ", out->len > 0);
		put(out, plain.data + i, n);
	}
	text_finish(&plain);
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number that begins at s: its bytes. */
static size_t number_at(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && (is_digit(s[n]) || (n && s[n] == ',' && n + 1 < len && is_digit(s[n + 1]))))
		n++;
	if (n && n + 1 < len && s[n] == '.' && is_digit(s[n + 1]))
		for (n++; n < len && is_digit(s[n]);)
			n++;
	return n;
}

static void put_number(struct text *out, const char *s, size_t len, int minus)
{
	struct text t = {0};
	size_t zeros = 0;

	for (size_t i = 0; i < len; i++)
		if (s[i] != ',')
			put(&t, s + i, 1);
	if (memchr(t.data, '.', t.len)) {
		while (t.data[t.len - 1] == '0')
			t.len--;
		t.len -= t.data[t.len - 1] == '.';
	}
	while (zeros + 1 < t.len && t.data[zeros] == '0' && t.data[zeros + 1] != '.')
		zeros++;
	if (minus && !(t.len - zeros == 1 && t.data[zeros] == '0'))
		put(out, "-", 1);
	put(out, t.data + zeros, t.len - zeros);
	text_finish(&t);
}

static void number(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		n = number_at(s + i, len - i);
		if (n) {
			out->len = 0;
			put_number(out, s + i, n, i && s[i - 1] == '-' && !(i > 1 && is_digit(s[i - 2])));
		}
		n = n ? n : 1;
	}
}

static int is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void letter(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] >= 'A' && s[i] <= 'J' && !(i && is_word(s[i - 1])) && !(i + 1 < len && is_word(s[i + 1]))) {
			put(out, s + i, 1);
			return;
		}
}

static const struct {
	const char *name;
	normalizer *run;
} all[] = {{"none", put},    {"strip", strip},   {"first-line", first_line}, {"lower", lower},
	   {"squad", squad}, {"number", number}, {"letter", letter}};

normalizer *normalizer_find(const char *name)
{
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i].name, name))
			return all[i].run;
	return NULL;
}

const char *normalizer_names(void)
{
	return "none, strip, first-line, lower, squad, number, letter";
}
