/* read.c - the text of JSON becomes values. Containers lie on a stack of our own, so depth costs no stack of the
 * thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/inside.h"

const struct json_rules json_of_files = {
	.depth = 1000, .values = SIZE_MAX, .bytes = (size_t)4 << 30, .last = true, .special = true, .lone = true};

static void skip_space(struct json_parse *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
		p->at++;
}

static bool read_word(struct json_parse *p, struct json *v)
{
	static const struct {
		const char *word;
		bool special;
	} words[] = {{"null", false}, {"true", false},    {"false", false},
		     {"NaN", true},   {"Infinity", true}, {"-Infinity", true}};
	const struct json values[] = {json_make_null(),    json_make_bool(true),     json_make_bool(false),
				      json_make_real(NAN), json_make_real(INFINITY), json_make_real(-INFINITY)};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = strlen(words[i].word);

		if ((size_t)(p->end - p->at) < n || memcmp(p->at, words[i].word, n))
			continue;
		if (words[i].special && !p->rules->special)
			return json_refuse(p, ERR_FORMAT, "NaN and Infinity are no JSON numbers");
		p->at += n;
		*v = values[i];
		return true;
	}
	return json_refuse(p, ERR_FORMAT,
			   json_utf8_size((const unsigned char *)p->at, (size_t)(p->end - p->at))
				   ? "no JSON value begins like this"
				   : "bytes that are not UTF-8");
}

static bool open_container(struct json_parse *p)
{
	char text[80];

	if (p->depth == p->rules->depth) {
		snprintf(text, sizeof text, "nested more than %d deep", p->rules->depth);
		return json_refuse(p, ERR_LIMIT, text);
	}
	if (p->depth == p->room) {
		p->room = p->room ? p->room * 2 : 16;
		p->frame = xgrow(p->frame, (size_t)p->room, sizeof *p->frame);
	}
	p->frame[p->depth++] = (struct json_frame){p->n, *p->at++ == '[' ? ']' : '}'};
	return true;
}

/* A place for a child of the innermost container. */
static bool add_child(struct json_parse *p, struct json_member m)
{
	if (p->n == p->child_room) {
		uint32_t room = p->child_room ? p->child_room * 2 : 64;
		size_t more = (size_t)(room - p->child_room) * sizeof m;
		void *child;

		if (room <= p->child_room || more > p->doc->most - p->doc->taken)
			return json_refuse_memory(p);
		child = heap_grow(p->child, room, sizeof m);
		if (!child)
			return json_refuse_memory(p);
		p->doc->taken += more;
		p->child = child;
		p->child_room = room;
	}
	p->child[p->n++] = m;
	return true;
}

static bool close_list(struct json_parse *p, struct json *v, uint32_t first)
{
	uint32_t n = p->n - first;
	struct json *item = n ? json_take_for(p, (size_t)n * sizeof *item) : NULL;

	if (n && !item)
		return false;
	for (uint32_t i = 0; i < n; i++)
		item[i] = p->child[first + i].value;
	*v = (struct json){.kind = JSON_IS_LIST, .exact = 1, .n = n, .item = item};
	return true;
}

/* Members of one key become one, the last, in the place of the first. */
static bool close_object(struct json_parse *p, struct json *v, uint32_t first)
{
	uint32_t n = p->n - first;
	struct json_table *t = json_take_for(p, sizeof *t);

	if (!t)
		return false;
	t->room = n;
	t->member = n ? json_take_for(p, (size_t)n * sizeof *t->member) : NULL;
	if (n && !t->member)
		return false;
	if (n > JSON_FEW && !json_index(p->doc, t, n))
		return json_refuse_memory(p);
	for (uint32_t i = first; i < first + n; i++) {
		struct json_member *from = &p->child[i], *m = json_find(t, from->key, from->key_len);

		if (m && !p->rules->last) {
			p->n = i + 1; /* the path ends here */
			p->between = false;
			p->at = p->start + from->at;
			return json_refuse(p, ERR_FORMAT, "the object has this key twice");
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

static bool close_container(struct json_parse *p, struct json *v)
{
	struct json_frame f = p->frame[p->depth - 1];

	if (!(f.close == ']' ? close_list : close_object)(p, v, f.first))
		return false;
	p->n = f.first;
	p->depth--;
	p->at++;
	return true;
}

/* A child of the innermost container begins: the key, of an object. */
static bool begin_child(struct json_parse *p)
{
	struct json_member m = {.at = (uint32_t)(p->at - p->start)};

	p->between = true;
	if (p->frame[p->depth - 1].close == '}') {
		if (p->at == p->end || *p->at != '"')
			return json_refuse(p, ERR_FORMAT, "a key in double quotes must stand here");
		p->at++;
		if (!json_scan_string(p, &m.key, &m.key_len))
			return false;
		skip_space(p);
		if (p->at == p->end || *p->at != ':')
			return json_refuse(p, ERR_FORMAT, "a colon must follow the key");
		p->at++;
	}
	return add_child(p, m);
}

/* What stands at p->at, in full or, of a container with children, its opening bracket (*open). */
static bool read_value(struct json_parse *p, struct json *v, bool *open)
{
	*open = p->between = false;
	skip_space(p);
	if (p->at == p->end)
		return json_refuse(p, ERR_FORMAT,
				   p->depth || p->values ? "the text ends here, within a value" : "the text is empty");
	if (p->values++ == p->rules->values) {
		char text[80];

		snprintf(text, sizeof text, "more than %zu values", p->rules->values);
		return json_refuse(p, ERR_LIMIT, text);
	}
	if (*p->at == '"') {
		p->at++;
		*v = (struct json){.kind = JSON_IS_TEXT};
		return json_scan_string(p, &v->text, &v->n);
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
		return json_scan_number(p, v);
	return read_word(p, v);
}

/* After a whole value in a container: what follows it. *done: the container is closed, and *v is it. */
static bool next(struct json_parse *p, struct json *v, bool *done)
{
	char close = p->frame[p->depth - 1].close;

	p->child[p->n - 1].value = *v;
	p->between = true;
	skip_space(p);
	*done = p->at < p->end && *p->at == close;
	if (*done)
		return close_container(p, v);
	if (p->at == p->end)
		return json_refuse(p, ERR_FORMAT,
				   close == ']' ? "the text ends here, within a list"
						: "the text ends here, within an object");
	if (*p->at != ',')
		return json_refuse(p, ERR_FORMAT,
				   close == ']' ? "a comma or ] must stand here" : "a comma or } must stand here");
	p->at++;
	skip_space(p);
	return begin_child(p);
}

static bool read_all(struct json_parse *p, struct json *v)
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
	return p->at == p->end || json_refuse(p, ERR_FORMAT, "something follows the value");
}

/* Keys are shown in part, without characters that a terminal or a log would act on. */
static size_t put_key(char *out, size_t room, const struct json_member *m)
{
	size_t n = 0;

	for (size_t i = 0, k; i < m->key_len && n + 4 < room && n < 60; i += k) {
		k = json_utf8_size((const unsigned char *)m->key + i, m->key_len - i);
		if (k == 1 && ((unsigned char)m->key[i] < 0x20 || m->key[i] == 0x7f))
			out[n++] = '?';
		else
			memcpy(out + n, m->key + i, k), n += k;
	}
	return n;
}

static void set_path(struct json_parse *p)
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

static void set_place(struct json_parse *p)
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
	struct json_parse p = {.start = text, .at = text, .end = text + len, .rules = rules, .doc = doc, .e = e};
	bool ok;

	*e = (struct json_error){0};
	doc->most = rules->bytes;
	ok = len < UINT32_MAX ? read_all(&p, &doc->root) : json_refuse(&p, ERR_LIMIT, "longer than 4 GiB");
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
	return fail(why, e->err, "%.200s: line %d, column %d%s%s: %s", name, e->line, e->column,
		    *e->path ? ", at " : "", e->path, e->text);
}
