/* read.c - the text of JSON becomes values. Containers lie on a stack of our own, so depth costs no stack of the thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/inside.h"

const struct json_rules json_of_files = {
	.depth = 1000, .values = SIZE_MAX, .bytes = (size_t)4 << 30, .last = true, .special = true, .lone = true};

struct frame {
	uint32_t first; /* children of this container begin here in parse.child */
	char close;     /* ']' or '}' */
};

struct parse {
	const char *start, *at, *end;
	const struct json_rules *rules;
	struct json_doc *doc;
	struct json_error *e;
	struct frame *frame; /* [depth] */
	int depth, room;
	struct json_member *child; /* of all open containers; list items have no key */
	uint32_t n, child_room;
	size_t values;
	bool between; /* what is read is no child yet: the path is the container's */
};

static bool refuse(struct parse *p, int err, const char *text)
{
	if (!p->e->err) {
		p->e->err = err;
		snprintf(p->e->text, sizeof p->e->text, "%s", text);
	}
	return false;
}

static bool refuse_memory(struct parse *p)
{
	char text[120];

	snprintf(text, sizeof text, "its values take more than %zu KiB of memory", p->rules->bytes >> 10);
	return refuse(p, ERR_LIMIT, text);
}

static void *take(struct parse *p, size_t n)
{
	void *m = json_take(p->doc, n);

	if (!m)
		refuse_memory(p);
	return m;
}

static void skip_space(struct parse *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
		p->at++;
}

/* Bytes of the character at s; 0: none. As RFC 3629: no overlong forms, no surrogates. */
static size_t utf8_size(const unsigned char *s, size_t n)
{
	size_t size = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (!size || size > n)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return size;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Four hexadecimal digits at p->at; -1: they are not. */
static int32_t hex4(struct parse *p)
{
	int32_t c = 0;

	if (p->end - p->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char h = p->at[i];
		int d = h >= '0' && h <= '9' ? h - '0' : h >= 'a' && h <= 'f' ? h - 'a' + 10 : h >= 'A' && h <= 'F' ? h - 'A' + 10 : -1;

		if (d < 0)
			return -1;
		c = c << 4 | d;
	}
	p->at += 4;
	return c;
}

/* After "\u". NULL: refused. */
static char *read_unicode(struct parse *p, char *out)
{
	int32_t c = hex4(p);

	if (c < 0) {
		refuse(p, ERR_FORMAT, "\\u needs four hexadecimal digits");
		return NULL;
	}
	if (c >= 0xd800 && c < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
		const char *before = p->at;
		int32_t low;

		p->at += 2;
		low = hex4(p);
		if (low >= 0xdc00 && low < 0xe000)
			return put_utf8(out, 0x10000 + ((uint32_t)c - 0xd800) * 0x400 + (uint32_t)low - 0xdc00);
		p->at = before;
	}
	if (c >= 0xd800 && c < 0xe000) {
		if (!p->rules->lone) {
			refuse(p, ERR_FORMAT, "half of a surrogate pair is no character");
			return NULL;
		}
		c = 0xfffd;
	}
	return put_utf8(out, (uint32_t)c);
}

/* After the backslash. NULL: refused. */
static char *read_escape(struct parse *p, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *which;

	if (p->at < p->end && *p->at == 'u') {
		p->at++;
		return read_unicode(p, out);
	}
	which = p->at < p->end && *p->at ? strchr(from, *p->at) : NULL;
	if (!which) {
		refuse(p, ERR_FORMAT, "a backslash needs one of \" \\ / b f n r t u after it");
		return NULL;
	}
	p->at++;
	*out++ = to[which - from];
	return out;
}

/* Bytes up to the closing quote, for the size of the copy: escapes only shrink. */
static size_t string_size(const struct parse *p)
{
	const char *s = p->at;

	while (s < p->end && *s != '"')
		s += *s == '\\' && s + 1 < p->end ? 2 : 1;
	return (size_t)(s - p->at);
}

/* After the opening quote. */
static bool read_string(struct parse *p, const char **text, uint32_t *len)
{
	char *out = take(p, string_size(p) + 1), *start = out;

	if (!out)
		return false;
	for (;;) {
		size_t n;

		if (p->at == p->end)
			return refuse(p, ERR_FORMAT, "a string has no end");
		if (*p->at == '"')
			break;
		if (*p->at == '\\') {
			p->at++;
			out = read_escape(p, out);
			if (!out)
				return false;
			continue;
		}
		if ((unsigned char)*p->at < 0x20)
			return refuse(p, ERR_FORMAT, "a control character in a string; write \\n, \\t or \\u00XX");
		n = utf8_size((const unsigned char *)p->at, (size_t)(p->end - p->at));
		if (!n)
			return refuse(p, ERR_FORMAT, "bytes that are not UTF-8");
		memcpy(out, p->at, n);
		out += n;
		p->at += n;
	}
	p->at++;
	*out = '\0';
	*text = start;
	*len = (uint32_t)(out - start);
	return true;
}

static size_t digits(const struct parse *p, const char *s)
{
	const char *from = s;

	while (s < p->end && *s >= '0' && *s <= '9')
		s++;
	return (size_t)(s - from);
}

static bool set_integer(struct parse *p, struct json *v, const char *literal, size_t n)
{
	bool minus = *literal == '-';
	uint64_t x = 0;
	bool fits = true;
	char *copy;

	for (size_t i = minus; i < n; i++)
		fits = fits && !__builtin_mul_overflow(x, 10u, &x) && !__builtin_add_overflow(x, (uint64_t)(literal[i] - '0'), &x);
	if (fits && x <= (uint64_t)INT64_MAX + minus) {
		*v = json_make_int(minus ? (int64_t)(0 - x) : (int64_t)x);
		return true;
	}
	copy = take(p, n + 1);
	if (!copy)
		return false;
	memcpy(copy, literal, n);
	copy[n] = '\0';
	*v = (struct json){.kind = JSON_IS_BIG, .n = (uint32_t)n, .text = copy};
	return true;
}

static bool set_real(struct parse *p, struct json *v, const char *literal, size_t n)
{
	char few[64], *copy = n < sizeof few ? few : take(p, n + 1);

	if (!copy)
		return false;
	memcpy(copy, literal, n);
	copy[n] = '\0';
	*v = json_make_real(strtod(copy, NULL));
	return true;
}

static bool read_number(struct parse *p, struct json *v)
{
	const char *s = p->at + (*p->at == '-');
	size_t n = digits(p, s);
	bool real = false;

	if (!n)
		return refuse(p, ERR_FORMAT, "a number has no digits");
	if (*s == '0' && n > 1)
		return refuse(p, ERR_FORMAT, "a number begins with a needless 0");
	s += n;
	if (s < p->end && *s == '.') {
		n = digits(p, s + 1);
		if (!n)
			return refuse(p, ERR_FORMAT, "a number has no digits after its point");
		s += 1 + n;
		real = true;
	}
	if (s < p->end && (*s == 'e' || *s == 'E')) {
		const char *x = s + 1;

		x += x < p->end && (*x == '+' || *x == '-');
		n = digits(p, x);
		if (!n)
			return refuse(p, ERR_FORMAT, "a number has no digits in its exponent");
		s = x + n;
		real = true;
	}
	n = (size_t)(s - p->at);
	if (!(real ? set_real : set_integer)(p, v, p->at, n))
		return false;
	p->at = s;
	return true;
}

static bool read_word(struct parse *p, struct json *v)
{
	static const struct {
		const char *word;
		bool special;
	} words[] = {{"null", false}, {"true", false}, {"false", false}, {"NaN", true}, {"Infinity", true}, {"-Infinity", true}};
	const struct json values[] = {json_make_null(), json_make_bool(true), json_make_bool(false),
				      json_make_real(NAN), json_make_real(INFINITY), json_make_real(-INFINITY)};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = strlen(words[i].word);

		if ((size_t)(p->end - p->at) < n || memcmp(p->at, words[i].word, n))
			continue;
		if (words[i].special && !p->rules->special)
			return refuse(p, ERR_FORMAT, "NaN and Infinity are no JSON numbers");
		p->at += n;
		*v = values[i];
		return true;
	}
	return refuse(p, ERR_FORMAT, "no JSON value begins like this");
}

static bool open_container(struct parse *p)
{
	char text[80];

	if (p->depth == p->rules->depth) {
		snprintf(text, sizeof text, "nested more than %d deep", p->rules->depth);
		return refuse(p, ERR_LIMIT, text);
	}
	if (p->depth == p->room) {
		p->room = p->room ? p->room * 2 : 16;
		p->frame = xgrow(p->frame, (size_t)p->room, sizeof *p->frame);
	}
	p->frame[p->depth++] = (struct frame){p->n, *p->at++ == '[' ? ']' : '}'};
	return true;
}

/* A place for a child of the innermost container. */
static bool add_child(struct parse *p, struct json_member m)
{
	if (p->n == p->child_room) {
		uint32_t room = p->child_room ? p->child_room * 2 : 64;
		size_t more = (size_t)(room - p->child_room) * sizeof m;

		if (room <= p->child_room || more > p->doc->most - p->doc->taken)
			return refuse_memory(p);
		p->doc->taken += more;
		p->child = xgrow(p->child, room, sizeof m);
		p->child_room = room;
	}
	p->child[p->n++] = m;
	return true;
}

static bool close_list(struct parse *p, struct json *v, uint32_t first)
{
	uint32_t n = p->n - first;
	struct json *item = n ? take(p, (size_t)n * sizeof *item) : NULL;

	if (n && !item)
		return false;
	for (uint32_t i = 0; i < n; i++)
		item[i] = p->child[first + i].value;
	*v = (struct json){.kind = JSON_IS_LIST, .exact = 1, .n = n, .item = item};
	return true;
}

/* Members of one key become one, the last, in the place of the first. */
static bool close_object(struct parse *p, struct json *v, uint32_t first)
{
	uint32_t n = p->n - first;
	struct json_table *t = take(p, sizeof *t);

	if (!t)
		return false;
	t->room = n;
	t->member = n ? take(p, (size_t)n * sizeof *t->member) : NULL;
	if (n && !t->member)
		return false;
	if (n > JSON_FEW && !json_index(p->doc, t, n))
		return refuse_memory(p);
	for (uint32_t i = first; i < first + n; i++) {
		struct json_member *from = &p->child[i], *m = json_find(t, from->key, from->key_len);

		if (m && !p->rules->last) {
			p->n = i + 1; /* the path ends here */
			p->between = false;
			p->at = p->start + from->at;
			return refuse(p, ERR_FORMAT, "the object has this key twice");
		}
		if (m) {
			m->value = from->value;
			continue;
		}
		t->member[t->n++] = *from;
		if (t->slot)
			json_index_add(t, t->n - 1);
	}
	*v = (struct json){.kind = JSON_IS_OBJECT, .table = t};
	return true;
}

static bool close_container(struct parse *p, struct json *v)
{
	struct frame f = p->frame[p->depth - 1];

	if (!(f.close == ']' ? close_list : close_object)(p, v, f.first))
		return false;
	p->n = f.first;
	p->depth--;
	p->at++;
	return true;
}

/* A child of the innermost container begins: the key, of an object. */
static bool begin_child(struct parse *p)
{
	struct json_member m = {.at = (uint32_t)(p->at - p->start)};

	p->between = true;
	if (p->frame[p->depth - 1].close == '}') {
		if (p->at == p->end || *p->at != '"')
			return refuse(p, ERR_FORMAT, "a key in double quotes must stand here");
		p->at++;
		if (!read_string(p, &m.key, &m.key_len))
			return false;
		skip_space(p);
		if (p->at == p->end || *p->at != ':')
			return refuse(p, ERR_FORMAT, "a colon must follow the key");
		p->at++;
	}
	return add_child(p, m);
}

/* What stands at p->at, in full or, of a container with children, its opening bracket (*open). */
static bool read_value(struct parse *p, struct json *v, bool *open)
{
	*open = p->between = false;
	skip_space(p);
	if (p->at == p->end)
		return refuse(p, ERR_FORMAT, p->depth || p->values ? "the text ends here, within a value" : "the text is empty");
	if (p->values++ == p->rules->values) {
		char text[80];

		snprintf(text, sizeof text, "more than %zu values", p->rules->values);
		return refuse(p, ERR_LIMIT, text);
	}
	if (*p->at == '"') {
		p->at++;
		*v = (struct json){.kind = JSON_IS_TEXT};
		return read_string(p, &v->text, &v->n);
	}
	if (*p->at == '{' || *p->at == '[') {
		if (!open_container(p))
			return false;
		skip_space(p);
		if (p->at < p->end && *p->at == p->frame[p->depth - 1].close)
			return close_container(p, v);
		*open = true;
		return begin_child(p);
	}
	if ((*p->at >= '0' && *p->at <= '9') || (*p->at == '-' && !(p->end - p->at > 1 && p->at[1] == 'I')))
		return read_number(p, v);
	return read_word(p, v);
}

/* After a whole value in a container: what follows it. *done: the container is closed, and *v is it. */
static bool next(struct parse *p, struct json *v, bool *done)
{
	char close = p->frame[p->depth - 1].close;

	p->child[p->n - 1].value = *v;
	p->between = true;
	skip_space(p);
	*done = p->at < p->end && *p->at == close;
	if (*done)
		return close_container(p, v);
	if (p->at == p->end)
		return refuse(p, ERR_FORMAT, close == ']' ? "the text ends here, within a list" : "the text ends here, within an object");
	if (*p->at != ',')
		return refuse(p, ERR_FORMAT, close == ']' ? "a comma or ] must stand here" : "a comma or } must stand here");
	p->at++;
	skip_space(p);
	return begin_child(p);
}

static bool read_all(struct parse *p, struct json *v)
{
	bool open, done;

	if (p->end - p->at >= 3 && !memcmp(p->at, "\xef\xbb\xbf", 3))
		p->at += 3;
	do {
		if (!read_value(p, v, &open))
			return false;
		for (done = !open; done && p->depth;)
			if (!next(p, v, &done))
				return false;
	} while (p->depth);
	skip_space(p);
	return p->at == p->end || refuse(p, ERR_FORMAT, "something follows the value");
}

/* Keys are shown in part, without characters that a terminal or a log would act on. */
static size_t put_key(char *out, size_t room, const struct json_member *m)
{
	size_t n = 0;

	for (size_t i = 0, k; i < m->key_len && n + 4 < room && n < 60; i += k) {
		k = utf8_size((const unsigned char *)m->key + i, m->key_len - i);
		if (k == 1 && ((unsigned char)m->key[i] < 0x20 || m->key[i] == 0x7f))
			out[n++] = '?';
		else
			memcpy(out + n, m->key + i, k), n += k;
	}
	return n;
}

static void set_path(struct parse *p)
{
	char *out = p->e->path;
	size_t room = sizeof p->e->path, n = 0;

	for (int d = 0; d < p->depth && n + 24 < room; d++) {
		uint32_t first = p->frame[d].first, last = d + 1 < p->depth ? p->frame[d + 1].first : p->n;

		if (last == first || (d + 1 == p->depth && p->between))
			break;
		if (p->frame[d].close == ']') {
			n += (size_t)snprintf(out + n, room - n, "[%u]", last - 1 - first);
			continue;
		}
		if (n)
			out[n++] = '.';
		n += put_key(out + n, room - n, &p->child[last - 1]);
	}
	out[n] = '\0';
}

static void set_place(struct parse *p)
{
	const char *line = p->start;

	p->e->line = p->e->column = 1;
	for (const char *s = p->start; s < p->at; s++)
		if (*s == '\n')
			p->e->line++, line = s + 1;
	for (const char *s = line; s < p->at; s++)
		p->e->column += (*s & 0xc0) != 0x80;
	set_path(p);
}

struct json_doc *json_read(const char *text, size_t len, const struct json_rules *rules, struct json_error *e)
{
	struct json_doc *doc = json_new();
	struct parse p = {.start = text, .at = text, .end = text + len, .rules = rules, .doc = doc, .e = e};
	bool ok;

	*e = (struct json_error){0};
	doc->most = rules->bytes;
	ok = len < UINT32_MAX ? read_all(&p, &doc->root) : refuse(&p, ERR_LIMIT, "longer than 4 GiB");
	if (!ok)
		set_place(&p);
	doc->taken -= p.child_room * sizeof *p.child;
	doc->most = SIZE_MAX;
	free(p.child);
	free(p.frame);
	if (ok)
		return doc;
	json_close(doc);
	return NULL;
}

int json_why(struct why *why, const struct json_error *e, const char *name)
{
	return fail(why, e->err, "%.200s: line %d, column %d%s%s: %s", name, e->line, e->column, *e->path ? ", at " : "", e->path, e->text);
}
