/* rows.c - reads the rows of a file; CSV by libcsv. */
#include "rpc/cli/eval/rows.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file/file.h"
#include "base/utf8.h"
#include "rpc/cli/eval/python.h"

static void keep(struct eval_rows *t, struct json_doc *doc)
{
	t->doc = xgrow(t->doc, (size_t)t->n_doc + 1, sizeof *t->doc);
	t->doc[t->n_doc++] = doc;
}

static void add(struct eval_rows *t, struct json value, int line)
{
	t->row = xgrow(t->row, (size_t)t->n + 1, sizeof *t->row);
	t->row[t->n++] = (struct eval_row){value, line};
}

void eval_rows_free(struct eval_rows *t)
{
	for (int i = 0; i < t->n_doc; i++)
		json_close(t->doc[i]);
	free(t->doc);
	free(t->row);
	*t = (struct eval_rows){0};
}

/* ---- CSV ---- */

struct sheet {
	struct eval_rows *t;
	struct json_doc *doc;
	const char *name;
	char *column[64];
	int n_columns, n_fields; /* of the head; of the record so far */
	char *field[64];
	size_t field_len[64];
	int line, next_line; /* where the record begins; of the text that is fed */
	int err;
	struct why *why;
};
enum { MOST_COLUMNS = 64 };

static void take_field(void *bytes, size_t len, void *arg)
{
	struct sheet *s = arg;

	if (s->n_fields < MOST_COLUMNS) {
		char *copy = xalloc(len + 1, 1);
		memcpy(copy, bytes, len);
		s->field[s->n_fields] = copy;
		s->field_len[s->n_fields] = len;
	}
	s->n_fields++;
}

/* Some exports have names with a capital letter, or small letters of options. */
static void take_head(struct sheet *s)
{
	for (int i = 0; i < s->n_fields; i++) {
		s->column[i] = s->field[i];
		s->field[i] = NULL;
		if (s->field_len[i] > 1 && *s->column[i] >= 'A' && *s->column[i] <= 'Z')
			*s->column[i] = (char)(*s->column[i] - 'A' + 'a');
		else if (s->field_len[i] == 1 && *s->column[i] >= 'a' && *s->column[i] <= 'g')
			*s->column[i] = (char)(*s->column[i] - 'a' + 'A');
	}
	s->n_columns = s->n_fields;
	for (int i = 0; i < s->n_columns && !s->err; i++)
		for (int k = 0; k < i && !s->err; k++)
			if (*s->column[i] && !strcmp(s->column[i], s->column[k]))
				s->err = fail(s->why, ERR_FORMAT, "%s: line %d: there are two columns \"%.40s\"",
					      s->name, s->line, s->column[i]);
}

static void take_record(int end, void *arg)
{
	struct sheet *s = arg;

	(void)end;
	if (!s->err && s->n_fields > MOST_COLUMNS)
		s->err = fail(s->why, ERR_FORMAT, "%s: line %d: more than %d columns", s->name, s->line, MOST_COLUMNS);
	else if (!s->err && !s->n_columns)
		take_head(s);
	else if (!s->err && s->n_fields != s->n_columns)
		s->err = fail(s->why, ERR_FORMAT, "%s: line %d: %d column%s instead of %d (with commas between them)",
			      s->name, s->line, s->n_fields, s->n_fields == 1 ? "" : "s", s->n_columns);
	else if (!s->err) {
		struct json row = json_make_object(s->doc);
		for (int i = 0; i < s->n_fields; i++)
			json_set(s->doc, &row, s->column[i], json_make_text(s->doc, s->field[i], s->field_len[i]));
		add(s->t, row, s->line);
	}
	for (int i = 0; i < s->n_fields && i < MOST_COLUMNS; i++)
		free(s->field[i]);
	s->n_fields = 0;
	s->line = s->next_line + 1;
}

/* Blanks around a field are part of it. */
static int no_space(unsigned char c)
{
	(void)c;
	return 0;
}

static void name_columns(struct sheet *s, const char *columns)
{
	for (const char *c = columns; c && *c; c += *c == ',') {
		size_t n = strcspn(c, ",");
		s->column[s->n_columns++] = strndup(c, n);
		c += n;
	}
}

/* Fed line by line, so that a record's end has a number. */
static int feed(struct sheet *s, struct csv_parser *p, const char *bytes, size_t len)
{
	for (const char *at = bytes, *end = bytes + len; at < end && !s->err;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop + 1 : end) - at);

		s->next_line++;
		if (!p->quoted && !s->n_fields && !p->entry_pos)
			s->line = s->next_line;
		if (csv_parse(p, at, n, take_field, take_record, s) != n)
			return fail(s->why, ERR_FORMAT, "%s: line %d: %s", s->name, s->next_line,
				    csv_strerror(csv_error(p)));
		at += n;
	}
	csv_set_opts(p, CSV_STRICT | CSV_STRICT_FINI);
	if (!s->err && csv_fini(p, take_field, take_record, s))
		return fail(s->why, ERR_FORMAT, "%s: line %d: a field begins with a quote and never ends", s->name,
			    s->line);
	return s->err;
}

static int read_csv(struct eval_rows *t, const char *name, const char *bytes, size_t len, const char *columns,
		    struct why *why)
{
	struct sheet s = {.t = t, .doc = json_new(), .name = name, .line = 1, .why = why};
	struct csv_parser p;
	int err;

	keep(t, s.doc);
	name_columns(&s, columns);
	if (csv_init(&p, 0)) /* a quote within a field that has none around it is a quote */
		die("out of memory for a table");
	csv_set_space_func(&p, no_space);
	err = feed(&s, &p, bytes, len);
	csv_free(&p);
	for (int i = 0; i < s.n_columns; i++)
		free(s.column[i]);
	for (int i = 0; i < s.n_fields && i < MOST_COLUMNS; i++)
		free(s.field[i]);
	return err;
}

/* ---- JSON ---- */

/* Whichever reader came further says what is wrong. */
static int read_line(struct json_doc **doc, const char *name, int line, const char *text, size_t len, bool python,
		     struct why *why)
{
	struct json_error e, other = {0};

	*doc = json_read(text, len, &json_of_files, &e);
	if (!*doc && python)
		*doc = python_read(text, len, &other);
	if (*doc)
		return 0;
	if (other.column > e.column)
		e = other;
	e.line = line;
	return json_why(why, &e, name);
}

static int read_lines(struct eval_rows *t, const char *name, const char *bytes, size_t len, bool python,
		      struct why *why)
{
	int line = 0;

	for (const char *at = bytes, *end = bytes + len; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop : end) - at);
		struct json_doc *doc;
		int err;

		line++;
		if (n && at[n - 1] == '\r')
			n--;
		if (strspn(at, " \t\r") < n) {
			err = read_line(&doc, name, line, at, n, python, why);
			if (err)
				return err;
			keep(t, doc);
			if (!json_is(json_root(doc), JSON_IS_OBJECT))
				return fail(why, ERR_FORMAT, "%s: line %d: %s instead of an object", name, line,
					    json_kind_name(json_root(doc)));
			add(t, *json_root(doc), line);
		}
		at = stop ? stop + 1 : end;
	}
	return 0;
}

/* Where the objects of a list begin: lines counted by walking the text, which has just been read without fault. */
static void find_lines(struct eval_rows *t, const char *bytes, size_t len)
{
	int depth = 0, line = 1, at = 0, inside = t->n > 0 && bytes[strspn(bytes, " \t\r\n")] == '[' ? 1 : 2;
	bool text = false;

	for (size_t i = 0; i < len && at < t->n; i++) {
		char c = bytes[i];
		line += c == '\n';
		if (text) {
			i += c == '\\';
			text = c != '"';
		} else if (c == '"')
			text = true;
		else if (c == '{' || c == '[') {
			if (c == '{' && depth == inside)
				t->row[at++].line = line;
			depth++;
		} else if (c == '}' || c == ']')
			depth--;
	}
}

/* A list of objects, or an object with one such list: {"example": [...]}. */
static int read_whole(struct eval_rows *t, const char *name, const char *bytes, size_t len, struct why *why)
{
	static const char *const members[] = {"example", "examples", "data", "rows"};
	struct json_error e;
	struct json_doc *doc = json_read(bytes, len, &json_of_files, &e);
	const struct json *list = json_root(doc);

	if (!doc)
		return json_why(why, &e, name);
	keep(t, doc);
	for (size_t i = 0; !json_is(list, JSON_IS_LIST) && i < sizeof members / sizeof *members; i++)
		if (json_is(json_get(json_root(doc), members[i]), JSON_IS_LIST))
			list = json_get(json_root(doc), members[i]);
	if (!json_is(list, JSON_IS_LIST))
		return fail(why, ERR_FORMAT, "%s: %s instead of a list of questions, or \"example\" with one", name,
			    json_kind_name(json_root(doc)));
	for (size_t i = 0; i < json_size(list); i++) {
		if (!json_is(json_at(list, i), JSON_IS_OBJECT))
			return fail(why, ERR_FORMAT, "%s: item %zu is %s instead of an object", name, i,
				    json_kind_name(json_at(list, i)));
		add(t, *json_at(list, i), 0);
	}
	find_lines(t, bytes, len);
	return 0;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcasecmp(name + n - m, end);
}

/* Downloads of lines often are named .json: the first line is then a whole object, and more follow. */
static bool is_lines(const char *bytes, size_t len)
{
	const char *stop = memchr(bytes, '\n', len);
	struct json_error e;
	struct json_doc *doc =
		stop && *bytes == '{' ? json_read(bytes, (size_t)(stop - bytes), &json_of_files, &e) : NULL;
	bool whole = doc && stop + 1 < bytes + len;

	json_close(doc);
	return whole;
}

static int check_utf8(const char *name, const char *bytes, size_t len, struct why *why)
{
	int line = utf8_wrong_line(bytes, len);
	const char *nul = memchr(bytes, 0, len);

	if (nul && !line) {
		line = 1;
		for (const char *c = bytes; c < nul; c++)
			line += *c == '\n';
		return fail(why, ERR_FORMAT, "%s: line %d: a byte of 0; this is no text, or text in UTF-16", name,
			    line);
	}
	if (!line)
		return 0;
	return fail(why, ERR_FORMAT,
		    "%s: line %d: bytes that are not UTF-8; convert the file, e.g. iconv -f GB18030 -t UTF-8", name,
		    line);
}

int eval_rows_read(struct eval_rows *t, const char *name, const char *bytes, size_t len, const char *columns,
		   bool python, struct why *why)
{
	const char *is = file_not_text(bytes, len);
	int err;

	*t = (struct eval_rows){0};
	if (is)
		return fail(why, ERR_FORMAT, "%s: %s", name, is);
	if (len >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) { /* a mark at the beginning only; within, it is text */
		bytes += 3;
		len -= 3;
	}
	err = check_utf8(name, bytes, len, why);
	if (err)
		return err;
	if (ends_with(name, ".csv"))
		return read_csv(t, name, bytes, len, columns, why);
	if (ends_with(name, ".jsonl") || is_lines(bytes, len))
		return read_lines(t, name, bytes, len, python, why);
	return read_whole(t, name, bytes, len, why);
}

const char *eval_row_text(const struct eval_row *r, const char *key, size_t *len)
{
	const struct json *v = json_get(&r->value, key);

	if (len)
		*len = json_len(v);
	return json_str(v);
}

const struct json *eval_row_list(struct eval_rows *t, const struct eval_row *r, const char *key)
{
	const struct json *v = json_get(&r->value, key);
	struct json_error e;
	struct json_doc *doc;

	if (json_is(v, JSON_IS_LIST))
		return v;
	if (!json_is(v, JSON_IS_TEXT) || !json_len(v) || !strchr("[(", v->text[strspn(v->text, " \t\r\n")]))
		return NULL;
	doc = python_read(v->text, json_len(v), &e);
	if (!doc)
		return NULL;
	keep(t, doc);
	return json_is(json_root(doc), JSON_IS_LIST) ? json_root(doc) : NULL;
}
