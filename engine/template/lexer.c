/* lexer.c - cuts template source into lexemes, with the white space rules of trim_blocks and lstrip_blocks. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include "engine/template/inside.h"
#include "base/utf8.h"

struct lexer {
	struct job *job;
	const char *s;
	size_t len, at;
	int line;
	bool line_start; /* the last tag ended with a line break, or nothing is read yet */
	struct lexemes *out;
};

static struct lexeme *put(struct lexer *x, enum token token, const char *s, size_t len)
{
	struct lexemes *o = x->out;

	if (o->n == o->max) {
		int max = o->max ? o->max * 2 : 256;
		struct lexeme *at = job_take(x->job, sizeof *at * (size_t)max);
		if (o->n)
			memcpy(at, o->at, sizeof *at * (size_t)o->n);
		o->at = at;
		o->max = max;
	}
	struct lexeme *one = &o->at[o->n++];
	*one = (struct lexeme){.token = token, .line = x->line, .s = s, .len = (uint32_t)len};
	return one;
}

static void __attribute__((noreturn)) wrong(struct lexer *x, const char *what)
{
	x->job->line = x->line;
	raise_error(x->job, ERR_FORMAT, "%s", what);
}

static bool starts(const struct lexer *x, size_t at, const char *word)
{
	size_t n = strlen(word);

	return at + n <= x->len && !memcmp(x->s + at, word, n);
}

static size_t skip_space(const struct lexer *x, size_t at)
{
	while (at < x->len) {
		uint32_t c;
		int n = utf8_next(x->s + at, x->len - at, &c);
		if (!char_is_space(c))
			break;
		at += (size_t)n;
	}
	return at;
}

static size_t space_before(const char *s, size_t len)
{
	while (len) {
		size_t first = len - 1;
		uint32_t c;
		while (first && ((uint8_t)s[first] & 0xc0) == 0x80)
			first--;
		utf8_next(s + first, len - first, &c);
		if (!char_is_space(c))
			break;
		len = first;
	}
	return len;
}

static void count_lines(struct lexer *x, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		x->line += x->s[i] == '\n';
}

/* Skips the text that a tag ending at `at` drops after it. sign: '-', '+' or 0. */
static void after_tag(struct lexer *x, size_t at, char sign, bool block)
{
	size_t end = at;

	if (sign == '-')
		end = skip_space(x, at);
	else if (block && sign != '+' && at < x->len && x->s[at] == '\n')
		end++;
	count_lines(x, at, end);
	x->line_start = end > 0 && x->s[end - 1] == '\n';
	x->at = end;
}

/* Adds the text before a tag at `end` with that sign. lstrip: the tag prints nothing. */
static void text_before(struct lexer *x, size_t end, char sign, bool lstrip)
{
	const char *s = x->s + x->at;
	size_t len = end - x->at, keep = len;

	if (sign == '-') {
		keep = space_before(s, len);
	} else if (sign != '+' && lstrip) {
		size_t line = len;
		while (line && s[line - 1] != '\n')
			line--;
		if ((line || x->line_start) && space_before(s + line, len - line) == 0)
			keep = line;
	}
	if (keep)
		put(x, T_TEXT, s, keep);
	count_lines(x, x->at, end);
	x->at = end;
}

static char sign_at(const struct lexer *x, size_t at)
{
	return at < x->len && (x->s[at] == '-' || x->s[at] == '+') ? x->s[at] : 0;
}

static void comment(struct lexer *x)
{
	for (size_t i = x->at + 2; i + 1 < x->len; i++) {
		if (!starts(x, i, "#}"))
			continue;
		char last = i > x->at + 2 ? sign_at(x, i - 1) : 0;
		count_lines(x, x->at, i);
		after_tag(x, i + 2, last, true);
		return;
	}
	wrong(x, "comment not closed by '#}'");
}

static int hex(const char *s, size_t len, int digits, uint32_t *c)
{
	*c = 0;
	for (int i = 0; i < digits; i++) {
		char d = (size_t)i < len ? s[i] : 0;
		int v = d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10 : -1;
		if (v < 0)
			return -1;
		*c = *c << 4 | (uint32_t)v;
	}
	return 0;
}

/* Reads one escape sequence after the backslash at s, writes it to out, and returns the bytes read. */
static size_t escape(struct lexer *x, const char *s, size_t len, char *out, size_t *n)
{
	static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
	const char *known = *s ? strchr(from, *s) : NULL;
	uint32_t c = 0;
	int digits = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;

	if (known)
		return out[(*n)++] = to[known - from], 1;
	if (*s == '\n')
		return 1;
	if (digits) {
		if (hex(s + 1, len - 1, digits, &c) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			wrong(x, "malformed escape in a string");
		*n += (size_t)utf8_put(out + *n, c);
		return 1 + (size_t)digits;
	}
	if (*s >= '0' && *s <= '7') {
		size_t i = 0;
		for (; i < 3 && i < len && s[i] >= '0' && s[i] <= '7'; i++)
			c = c * 8 + (uint32_t)(s[i] - '0');
		*n += (size_t)utf8_put(out + *n, c);
		return i;
	}
	if (*s == 'N')
		wrong(x, "a named character in a string is not supported");
	out[(*n)++] = '\\';
	return 0;
}

static void string(struct lexer *x)
{
	char quote = x->s[x->at];
	size_t first = x->at + 1, i = first, n = 0;
	char *out;

	while (i < x->len && x->s[i] != quote)
		i += x->s[i] == '\\' ? 2 : 1;
	if (i >= x->len)
		wrong(x, "string not closed");
	out = job_take(x->job, i - first + 8);
	for (size_t k = first; k < i;) {
		if (x->s[k] != '\\') {
			out[n++] = x->s[k++];
			continue;
		}
		k++;
		k += escape(x, x->s + k, i - k, out, &n);
	}
	put(x, T_STRING, out, n);
	count_lines(x, first, i);
	x->at = i + 1;
}

static bool is_name(char c, bool first)
{
	return c == '_' || (uint8_t)c >= 0x80 || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
	       (!first && c >= '0' && c <= '9');
}

static size_t digits_end(const struct lexer *x, size_t at)
{
	while (at < x->len && ((x->s[at] >= '0' && x->s[at] <= '9') ||
			       (x->s[at] == '_' && at + 1 < x->len && x->s[at + 1] >= '0' && x->s[at + 1] <= '9')))
		at++;
	return at;
}

static void number_lexeme(struct lexer *x)
{
	size_t first = x->at, end = digits_end(x, first), n = 0;
	bool is_float = false, based = x->s[first] == '0' && first + 1 < x->len && strchr("xXoObB", x->s[first + 1]);
	char text[64];

	if (based) {
		for (end = first + 2; end < x->len && (is_name(x->s[end], false)); end++)
			;
	} else {
		if (end + 1 < x->len && x->s[end] == '.' && x->s[end + 1] >= '0' && x->s[end + 1] <= '9') {
			is_float = true;
			end = digits_end(x, end + 1);
		}
		if (end < x->len && (x->s[end] | 32) == 'e') {
			size_t e = end + 1 + (end + 1 < x->len && (x->s[end + 1] == '+' || x->s[end + 1] == '-'));
			if (e < x->len && x->s[e] >= '0' && x->s[e] <= '9') {
				is_float = true;
				end = digits_end(x, e);
			}
		}
	}
	for (size_t i = first; i < end && n < sizeof text - 1; i++)
		if (x->s[i] != '_')
			text[n++] = x->s[i];
	text[n] = 0;
	struct lexeme *one = put(x, is_float ? T_FLOAT : T_INT, x->s + first, end - first);
	char *stop;
	errno = 0;
	if (is_float)
		one->f = strtod(text, &stop);
	else
		one->i = strtoll(text + (based ? 2 : 0), &stop,
				 !based                  ? 10
				 : (text[1] | 32) == 'x' ? 16
				 : (text[1] | 32) == 'o' ? 8
							 : 2);
	if (*stop || (errno && !is_float) || end - first >= sizeof text)
		wrong(x, "number too large");
	x->at = end;
}

static void operator(struct lexer *x, char *nest, int *depth)
{
	static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
	char c = x->s[x->at];
	size_t n = 1;

	for (size_t i = 0; i < sizeof two / sizeof *two; i++)
		if (starts(x, x->at, two[i]))
			n = 2;
	if (n == 1 && !strchr("+-/*%~[](){}><=.:|,;", c)) {
		char text[40];
		snprintf(text, sizeof text, "unexpected character '%c'", c);
		wrong(x, text);
	}
	if (strchr("([{", c)) {
		if (*depth == TEMPLATE_DEPTH)
			wrong(x, "brackets nested too deep");
		nest[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
	} else if (strchr(")]}", c)) {
		if (!*depth || nest[--*depth] != c)
			wrong(x, "unmatched closing bracket");
	}
	put(x, T_OP, x->s + x->at, n);
	x->at += n;
}

/* Reads the inside of a tag up to its end. */
static void inside(struct lexer *x, bool block)
{
	const char *end = block ? "%}" : "}}";
	char nest[TEMPLATE_DEPTH];
	int depth = 0;

	for (;;) {
		size_t at = skip_space(x, x->at);
		count_lines(x, x->at, at);
		x->at = at;
		if (at >= x->len)
			wrong(x, block ? "tag not closed by '%}'" : "expression not closed by '}}'");
		char sign = sign_at(x, at);
		if (!block && sign == '+')
			sign = 0;
		if (!depth && starts(x, at + (sign != 0), end)) {
			put(x, block ? T_BLOCK_END : T_PRINT_END, x->s + at, 2);
			after_tag(x, at + (sign != 0) + 2, sign, block);
			return;
		}
		char c = x->s[at];
		if (c == '"' || c == '\'') {
			string(x);
		} else if (c >= '0' && c <= '9') {
			number_lexeme(x);
		} else if (is_name(c, true)) {
			size_t i = at;
			while (i < x->len && is_name(x->s[i], false))
				i++;
			put(x, T_NAME, x->s + at, i - at);
			x->at = i;
		} else {
			operator(x, nest, &depth);
		}
	}
}

/* Returns the end of the tag if "word %}" follows its start at `at`, or 0. */
static size_t plain_tag(const struct lexer *x, size_t at, const char *word, char *sign)
{
	at = skip_space(x, at + 2 + (sign_at(x, at + 2) != 0));
	if (!starts(x, at, word))
		return 0;
	at = skip_space(x, at + strlen(word));
	*sign = sign_at(x, at);
	at += *sign != 0;
	return starts(x, at, "%}") ? at + 2 : 0;
}

static void raw(struct lexer *x, size_t end, char sign)
{
	after_tag(x, end, sign == '-' ? '-' : '+', true);
	for (size_t i = x->at; i < x->len; i++) {
		if (!starts(x, i, "{%"))
			continue;
		end = plain_tag(x, i, "endraw", &sign);
		if (!end)
			continue;
		text_before(x, i, sign_at(x, i + 2), true);
		count_lines(x, i, end);
		after_tag(x, end, sign, true);
		return;
	}
	wrong(x, "raw block not closed");
}

static void tag(struct lexer *x)
{
	bool block = x->s[x->at + 1] == '%';
	char sign;
	size_t end = block ? plain_tag(x, x->at, "raw", &sign) : 0;

	if (x->s[x->at + 1] == '#') {
		comment(x);
	} else if (end) {
		count_lines(x, x->at, end);
		raw(x, end, sign);
	} else {
		put(x, block ? T_BLOCK : T_PRINT, x->s + x->at, 2);
		x->at += 2;
		if (sign_at(x, x->at))
			x->at++;
		inside(x, block);
	}
}

void lex_template(struct job *job, const char *source, size_t len, struct lexemes *out)
{
	struct lexer x = {.job = job, .line = 1, .line_start = true, .out = out};
	char *s = job_take(job, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (source[i] == '\r' && i + 1 < len && source[i + 1] == '\n')
			continue;
		s[n++] = source[i] == '\r' ? '\n' : source[i];
	}
	if (n && s[n - 1] == '\n')
		n--;
	x.s = s;
	x.len = n;
	while (x.at < n) {
		size_t i = x.at;
		while (i < n && !(s[i] == '{' && i + 1 < n && strchr("{%#", s[i + 1]) && s[i + 1]))
			i++;
		if (i >= n) {
			put(&x, T_TEXT, s + x.at, n - x.at);
			break;
		}
		text_before(&x, i, sign_at(&x, i + 2), s[i + 1] != '{');
		tag(&x);
	}
	put(&x, T_END, "", 0);
}
