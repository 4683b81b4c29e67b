/* safetensors.c - u64 header length N | N bytes of JSON | data. The tensors fill the data exactly: no holes, no
 * overlaps. */
#include "engine/checkpoint/inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100000000 }; /* the format's own limit */

/* The format's own reader accepts no duplicate key and no special numbers. */
static const struct json_rules rules = {.depth = 128, .values = SIZE_MAX, .bytes = (size_t)4 << 30};

static const struct {
	const char *name;
	unsigned bits;
	enum dtype type;
} types[] = {
	{"BOOL", 8, DT_BOOL},     {"U8", 8, DT_U8},         {"I8", 8, DT_I8},         {"I16", 16, DT_I16},
	{"U16", 16, DT_COUNT},    {"F16", 16, DT_F16},      {"BF16", 16, DT_BF16},    {"I32", 32, DT_I32},
	{"U32", 32, DT_COUNT},    {"F32", 32, DT_F32},      {"F64", 64, DT_F64},      {"I64", 64, DT_I64},
	{"U64", 64, DT_COUNT},    {"C64", 64, DT_COUNT},    {"F8_E4M3", 8, DT_F8},    {"F8_E5M2", 8, DT_COUNT},
	{"F8_E8M0", 8, DT_COUNT}, {"F6_E2M3", 6, DT_COUNT}, {"F6_E3M2", 6, DT_COUNT}, {"F4", 4, DT_COUNT},
};

/* One entry of the header; offsets are into the data. */
struct header_entry {
	struct ck_tensor t;
	uint64_t end;
};

static int take_type(struct ck_tensor *t, const struct json *j, unsigned *bits, struct why *why)
{
	const char *name = json_str(j);

	if (!name)
		return fail(why, ERR_FORMAT, "tensor %s: dtype is not a string", t->name);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(types[i].name, name))
			continue;
		t->type = types[i].type;
		t->type_name = types[i].name;
		*bits = types[i].bits;
		return 0;
	}
	return fail(why, ERR_FORMAT, "tensor %s: unknown dtype %.40s", t->name, name);
}

static int take_shape(struct ck_tensor *t, const struct json *j, struct why *why)
{
	if (!json_is(j, JSON_IS_LIST))
		return fail(why, ERR_FORMAT, "tensor %s: shape is not a list", t->name);
	if (json_size(j) > CK_MAX_DIMS)
		return fail(why, ERR_UNSUPPORTED, "tensor %s: %zu dimensions; the most is %d", t->name, json_size(j),
			    CK_MAX_DIMS);
	t->n_dims = (int)json_size(j);
	for (int i = 0; i < t->n_dims; i++) {
		const struct json *n = json_at(j, (size_t)i);
		if (!json_is(n, JSON_IS_INTEGER) || json_int_or(n, 0) < 0)
			return fail(why, ERR_FORMAT, "tensor %s: shape has an invalid size", t->name);
		t->shape[i] = json_int_or(n, 0);
	}
	return 0;
}

static int take_offsets(struct header_entry *e, const struct json *j, struct why *why)
{
	const struct json *begin = json_at(j, 0), *end = json_at(j, 1);

	if (json_size(j) != 2 || !json_is(begin, JSON_IS_INTEGER) || !json_is(end, JSON_IS_INTEGER) ||
	    json_int_or(begin, 0) < 0 || json_int_or(end, 0) < 0)
		return fail(why, ERR_FORMAT, "tensor %s: data_offsets is not [begin, end]", e->t.name);
	e->t.offset = (uint64_t)json_int_or(begin, 0);
	e->end = (uint64_t)json_int_or(end, 0);
	return 0;
}

static int take_entry(struct header_entry *e, const char *name, const struct json *j, struct why *why)
{
	unsigned bits = 0;
	int err;

	*e = (struct header_entry){.t.name = name};
	if (!json_is(j, JSON_IS_OBJECT))
		return fail(why, ERR_FORMAT, "tensor %s: its description is not an object", name);
	if ((err = take_type(&e->t, json_get(j, "dtype"), &bits, why)) ||
	    (err = take_shape(&e->t, json_get(j, "shape"), why)) ||
	    (err = take_offsets(e, json_get(j, "data_offsets"), why)))
		return err;
	if ((err = tensor_layout(&e->t, bits, why)))
		return err;
	return 0;
}

static int check_metadata(const struct json *j, struct why *why)
{
	const struct json_member *m;

	if (json_is(j, JSON_IS_NULL))
		return 0;
	if (!json_is(j, JSON_IS_OBJECT))
		return fail(why, ERR_FORMAT, "__metadata__ is not an object");
	for (size_t i = 0; (m = json_member(j, i)); i++)
		if (!json_is(&m->value, JSON_IS_TEXT))
			return fail(why, ERR_FORMAT, "__metadata__: %.60s is not a string", m->key);
	return 0;
}

static int by_offset(const void *pa, const void *pb)
{
	const struct header_entry *a = pa, *b = pb;

	if (a->t.offset != b->t.offset)
		return a->t.offset < b->t.offset ? -1 : 1;
	return a->end < b->end ? -1 : a->end > b->end;
}

/* Checks that each tensor begins where the previous one ends and is as long as its shape says, and that the last ends
 * the file. */
static int check_cover(const struct header_entry *e, int n, uint64_t data, uint64_t size, struct why *why)
{
	uint64_t at = 0;

	for (int i = 0; i < n; i++) {
		if (e[i].t.offset != at || e[i].end < at)
			return fail(why, ERR_FORMAT,
				    "tensor %s: data_offsets [%" PRIu64 ", %" PRIu64
				    "] leave a hole or overlap: the tensor "
				    "before ends at %" PRIu64,
				    e[i].t.name, e[i].t.offset, e[i].end, at);
		if (e[i].end - at != e[i].t.bytes)
			return fail(why, ERR_FORMAT,
				    "tensor %s: data_offsets hold %" PRIu64 " bytes, but shape and dtype need %" PRIu64,
				    e[i].t.name, e[i].end - at, e[i].t.bytes);
		at = e[i].end;
	}
	if (at > size - data)
		return fail(why, ERR_FORMAT, "truncated: %" PRIu64 " bytes found, %" PRIu64 " expected", size,
			    data + at);
	if (at < size - data)
		return fail(why, ERR_FORMAT, "too long: %" PRIu64 " bytes found, %" PRIu64 " expected", size,
			    data + at);
	return 0;
}

static int take_header(const struct json *root, uint64_t data, uint64_t size, int file, struct table *out,
		       struct why *why)
{
	struct header_entry *e = xalloc(json_size(root), sizeof *e);
	const struct json_member *m;
	int n = 0, err = 0;

	for (size_t i = 0; !err && (m = json_member(root, i)); i++) {
		if (strlen(m->key) != m->key_len)
			err = fail(why, ERR_FORMAT, "tensor %.200s: its name holds a NUL", m->key);
		else if (!strcmp(m->key, "__metadata__"))
			err = check_metadata(&m->value, why);
		else
			err = take_entry(&e[n++], m->key, &m->value, why);
	}
	if (!err) {
		qsort(e, (size_t)n, sizeof *e, by_offset);
		err = check_cover(e, n, data, size, why);
	}
	for (int i = 0; i < n && !err; i++) {
		e[i].t.file = file;
		e[i].t.offset += data;
		err = table_add(out, &e[i].t, why);
	}
	free(e);
	return err;
}

static int parse_text(const char *text, size_t n, uint64_t size, int file, struct table *out, struct why *why)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, n, &rules, &e);
	int err;

	if (!doc)
		return json_why(why, &e, "not valid JSON");
	if (json_is(json_root(doc), JSON_IS_OBJECT))
		err = take_header(json_root(doc), 8 + n, size, file, out, why);
	else
		err = fail(why, ERR_FORMAT, "the header is not a JSON object");
	json_close(doc);
	return err;
}

static int parse(const struct source *s, int file, struct table *out, struct why *why)
{
	uint8_t head[8];
	uint64_t n = 0;
	char *text;
	int err;

	if (s->size < 8)
		return fail(why, ERR_FORMAT, "too short: %" PRIu64 " bytes found, 8 expected for the header's length",
			    s->size);
	if ((err = source_read(s, 0, head, 8, why)))
		return err;
	for (int i = 7; i >= 0; i--)
		n = n << 8 | head[i];
	if (n > MAX_HEADER)
		return fail(why, ERR_FORMAT, "a header of %" PRIu64 " bytes; the most is %d", n, MAX_HEADER);
	if (n > s->size - 8)
		return fail(why, ERR_FORMAT,
			    "truncated in its header: %" PRIu64 " bytes found, at least %" PRIu64 " expected", s->size,
			    8 + n);
	text = xalloc(n, 1);
	err = source_read(s, 8, text, n, why);
	if (!err)
		err = parse_text(text, n, s->size, file, out, why);
	free(text);
	return err;
}

int safetensors_parse(const struct source *s, int file, struct table *out, struct why *why)
{
	int err = parse(s, file, out, why);

	return err ? fail_in(why, err, s->name) : 0;
}
