#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gguf/gguf.h"

enum {
	BUFFER = 64 << 10,
	MOST_VALUES = 1 << 16,
	MOST_TENSORS = 1 << 20,
	MOST_NAME = 255,        /* bytes of a key or a tensor's name */
	MOST_TEXT = 16 << 20,   /* of one text */
	MOST_HEADER = 512 << 20 /* of all before the data */
};

/* Reads forwards. After an error it stays at its place and gives zeros. */
struct cursor {
	const struct gguf_bytes *in;
	uint64_t at;
	uint8_t buffer[BUFFER];
	uint64_t first;
	size_t held; /* the buffer has the bytes [first, first + held) */
	int err;
	struct why *why;
};

static void refuse(struct cursor *c, int err)
{
	if (!c->err)
		c->err = err;
}

static bool has(struct cursor *c, uint64_t n)
{
	uint64_t end = c->in->size < MOST_HEADER ? c->in->size : MOST_HEADER;

	if (c->err)
		return false;
	if (c->at <= end && n <= end - c->at)
		return true;
	refuse(c, c->in->size <= MOST_HEADER
			  ? fail(c->why, ERR_FORMAT,
				 "truncated: the header needs more than the %" PRIu64 " bytes found", c->in->size)
			  : fail(c->why, ERR_LIMIT, "a header of over %d MiB", MOST_HEADER >> 20));
	return false;
}

static void take(struct cursor *c, void *dst, size_t n)
{
	uint8_t *out = dst;

	memset(dst, 0, n);
	if (!has(c, n))
		return;
	while (n) {
		size_t skip = (size_t)(c->at - c->first), part;

		if (c->at < c->first || skip >= c->held) {
			uint64_t left = c->in->size - c->at;
			c->first = c->at;
			c->held = left < BUFFER ? (size_t)left : BUFFER;
			skip = 0;
			c->err = c->in->read(c->in->arg, c->at, c->buffer, c->held, c->why);
			if (c->err) {
				c->held = 0;
				return;
			}
		}
		part = n < c->held - skip ? n : c->held - skip;
		memcpy(out, c->buffer + skip, part);
		out += part, n -= part, c->at += part;
	}
}

static uint64_t take_u64(struct cursor *c)
{
	uint8_t b[8];
	uint64_t v = 0;

	take(c, b, sizeof b);
	for (int i = 7; i >= 0; i--)
		v = v << 8 | b[i];
	return v;
}

static uint32_t take_u32(struct cursor *c)
{
	uint8_t b[4];

	take(c, b, sizeof b);
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* A text with a NUL after its end, malloced. */
static char *take_text(struct cursor *c, uint64_t most, const char *what, size_t *len)
{
	uint64_t n = take_u64(c);
	char *s;

	*len = 0;
	if (!has(c, n))
		return xstrdup("");
	if (n > most) {
		refuse(c, fail(c->why, ERR_LIMIT, "%s of %" PRIu64 " bytes; the most is %" PRIu64, what, n, most));
		return xstrdup("");
	}
	s = xalloc((size_t)n + 1, 1);
	take(c, s, (size_t)n);
	*len = (size_t)n;
	return s;
}

static char *take_name(struct cursor *c, const char *what)
{
	size_t len;
	char *name = take_text(c, MOST_NAME, what, &len);

	if (!c->err && (!len || strlen(name) != len))
		refuse(c, fail(c->why, ERR_FORMAT, "%s is empty or holds a NUL", what));
	for (size_t i = 0; i < len; i++)
		if (!c->err && ((unsigned char)name[i] < 0x20 || (unsigned char)name[i] >= 0x7f))
			refuse(c, fail(c->why, ERR_FORMAT, "%s holds characters that are not printable", what));
	return name;
}

static const int sizes[GGUF_KINDS] = {
	[GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2,  [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
	[GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_TEXT] = 8, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8};

static void set_integer(struct gguf_value *v, int64_t n)
{
	v->integer = n;
	v->real = (double)n;
}

static void take_number(struct cursor *c, struct gguf_value *v)
{
	uint8_t b[8] = {0};
	uint64_t u = 0;

	take(c, b, (size_t)sizes[v->kind]);
	for (int i = 7; i >= 0; i--)
		u = u << 8 | b[i];
	switch (v->kind) {
	case GGUF_F32:
		v->real = (double)f32_of_bits((uint32_t)u);
		break;
	case GGUF_F64:
		memcpy(&v->real, &u, sizeof u);
		break;
	case GGUF_I8:
		set_integer(v, (int8_t)u);
		break;
	case GGUF_I16:
		set_integer(v, (int16_t)u);
		break;
	case GGUF_I32:
		set_integer(v, (int32_t)u);
		break;
	case GGUF_I64:
		set_integer(v, (int64_t)u);
		break;
	default:
		set_integer(v, u > INT64_MAX ? INT64_MAX : (int64_t)u);
	}
}

static enum gguf_kind take_kind(struct cursor *c, const char *key)
{
	uint32_t kind = take_u32(c);

	if (kind < GGUF_KINDS)
		return (enum gguf_kind)kind;
	refuse(c, fail(c->why, ERR_FORMAT, "metadata %s: unknown type %" PRIu32, key, kind));
	return GGUF_U8;
}

/* Walks over the items of a list, so that each length is known to lie within the file. */
static void take_list(struct cursor *c, struct gguf_value *v)
{
	v->of = take_kind(c, v->key);
	v->n = take_u64(c);
	v->at = c->at;
	if (v->of == GGUF_LIST)
		refuse(c, fail(c->why, ERR_UNSUPPORTED, "metadata %s: a list of lists", v->key));
	else if (!c->err && (v->n > MOST_HEADER || !has(c, v->n * (uint64_t)sizes[v->of])))
		c->err = fail(c->why, ERR_FORMAT, "metadata %s: a list of %" PRIu64 " items is longer than the file",
			      v->key, v->n);
	if (c->err)
		return;
	if (v->of != GGUF_TEXT)
		c->at += v->n * (uint64_t)sizes[v->of];
	for (uint64_t i = 0; v->of == GGUF_TEXT && i < v->n && !c->err; i++) {
		uint64_t len = take_u64(c);
		if (has(c, len))
			c->at += len;
	}
}

static void take_value(struct cursor *c, struct gguf_value *v)
{
	v->key = take_name(c, "a key of the metadata");
	v->kind = take_kind(c, v->key);
	if (v->kind == GGUF_LIST)
		take_list(c, v);
	else if (v->kind == GGUF_TEXT)
		v->text = take_text(c, MOST_TEXT, v->key, &v->len);
	else
		take_number(c, v);
}

/* Rows are whole blocks, and the product of the sizes fits. */
static void measure(struct cursor *c, struct gguf_tensor *t)
{
	uint64_t n = 1, columns = t->n_dims ? (uint64_t)t->shape[t->n_dims - 1] : 1;

	for (int i = 0; i < t->n_dims; i++)
		if (t->shape[i] && __builtin_mul_overflow(n, (uint64_t)t->shape[i], &n))
			n = UINT64_MAX;
	if (n > INT64_MAX / 8) {
		refuse(c, fail(c->why, ERR_FORMAT, "tensor %s: its sizes overflow", t->name));
		return;
	}
	t->type = gguf_type(t->type_id);
	if (!t->type)
		return;
	if (columns % (uint64_t)t->type->elements)
		refuse(c, fail(c->why, ERR_FORMAT, "tensor %s: rows of %" PRIu64 " are no whole blocks of %s (%d)",
			       t->name, columns, t->type->name, t->type->elements));
	for (int i = 0; i < t->n_dims; i++)
		n = t->shape[i] ? n : 0;
	t->bytes = n / (uint64_t)t->type->elements * (uint64_t)t->type->bytes;
}

static void take_tensor(struct cursor *c, struct gguf_tensor *t)
{
	uint32_t dims;

	t->name = take_name(c, "a tensor's name");
	dims = take_u32(c);
	if (dims > 4)
		refuse(c, fail(c->why, ERR_FORMAT, "tensor %s: %" PRIu32 " dimensions; the most is 4", t->name, dims));
	t->n_dims = c->err ? 0 : (int)dims;
	for (int i = t->n_dims - 1; i >= 0; i--) {
		uint64_t n = take_u64(c);
		if (n > INT64_MAX)
			refuse(c, fail(c->why, ERR_FORMAT, "tensor %s: its sizes overflow", t->name));
		t->shape[i] = (int64_t)n;
	}
	t->type_id = take_u32(c);
	t->offset = take_u64(c);
	if (!c->err)
		measure(c, t);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

static int by_offset(const void *pa, const void *pb)
{
	const struct gguf_tensor *a = pa, *b = pb;

	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static void check_keys(struct cursor *c, struct gguf *g)
{
	if (g->n_values)
		qsort(g->value, g->n_values, sizeof *g->value, by_key);
	for (size_t i = 1; i < g->n_values && !c->err; i++)
		if (!strcmp(g->value[i - 1].key, g->value[i].key))
			refuse(c, fail(c->why, ERR_FORMAT, "metadata %s: this key exists twice", g->value[i].key));
}

/* Offsets count from the data's begin, which is aligned, as they are. Tensors lie within the file, none over another.
 */
static void place(struct cursor *c, struct gguf *g)
{
	int64_t alignment = gguf_int(g, "general.alignment", 32);
	uint64_t data, end = 0;

	if (alignment < 1 || alignment > 1 << 20 || alignment & (alignment - 1)) {
		refuse(c, fail(c->why, ERR_FORMAT, "general.alignment is %" PRId64 ", no power of two up to 1048576",
			       alignment));
		return;
	}
	data = (c->at + (uint64_t)alignment - 1) & ~(uint64_t)(alignment - 1);
	if (g->n_tensors)
		qsort(g->tensor, g->n_tensors, sizeof *g->tensor, by_offset);
	for (size_t i = 0; i < g->n_tensors && !c->err; i++) {
		struct gguf_tensor *t = &g->tensor[i];
		if (t->offset % (uint64_t)alignment)
			refuse(c, fail(c->why, ERR_FORMAT, "tensor %s: its offset is no multiple of %" PRId64, t->name,
				       alignment));
		else if (t->offset < end)
			refuse(c, fail(c->why, ERR_FORMAT, "tensor %s overlaps the one before it", t->name));
		else if (t->offset > c->in->size || data > c->in->size - t->offset ||
			 t->bytes > c->in->size - data - t->offset)
			refuse(c,
			       fail(c->why, ERR_FORMAT,
				    "truncated: %" PRIu64 " bytes found, at least %" PRIu64 " expected for tensor %s",
				    c->in->size, data + t->offset + t->bytes, t->name));
		end = t->offset + t->bytes;
		t->offset += data;
	}
}

static void take_counts(struct cursor *c, uint64_t *tensors, uint64_t *values)
{
	uint8_t magic[4];
	uint32_t version;

	take(c, magic, 4);
	if (!c->err && memcmp(magic, "GGUF", 4))
		refuse(c, fail(c->why, ERR_FORMAT, "this is no GGUF file"));
	version = take_u32(c);
	if (!c->err && version != 2 && version != 3)
		refuse(c, fail(c->why, ERR_UNSUPPORTED,
			       version & 0xffff ? "GGUF version %" PRIu32 "; 2 and 3 are supported"
						: "a big-endian GGUF file (version %" PRIu32 " as read here)",
			       version));
	*tensors = take_u64(c);
	*values = take_u64(c);
	if (!c->err && (*tensors > MOST_TENSORS || *values > MOST_VALUES))
		refuse(c, fail(c->why, ERR_LIMIT, "%" PRIu64 " tensors and %" PRIu64 " keys; the most are %d and %d",
			       *tensors, *values, MOST_TENSORS, MOST_VALUES));
}

/* Memory grows with what has been read, not with what the counts promise. */
static void *grow(void *p, size_t n, size_t size)
{
	return n & (n - 1) ? p : xgrow(p, n ? 2 * n : 1, size);
}

int gguf_read(struct gguf *out, const struct gguf_bytes *in, struct why *why)
{
	struct cursor *c = xalloc(1, sizeof *c);
	uint64_t tensors, values;
	int err;

	*c = (struct cursor){.in = in, .why = why};
	*out = (struct gguf){.in = *in};
	take_counts(c, &tensors, &values);
	for (uint64_t i = 0; i < values && !c->err; i++) {
		out->value = grow(out->value, out->n_values, sizeof *out->value);
		out->value[out->n_values] = (struct gguf_value){0};
		take_value(c, &out->value[out->n_values++]);
	}
	if (!c->err)
		check_keys(c, out);
	for (uint64_t i = 0; i < tensors && !c->err; i++) {
		out->tensor = grow(out->tensor, out->n_tensors, sizeof *out->tensor);
		out->tensor[out->n_tensors] = (struct gguf_tensor){0};
		take_tensor(c, &out->tensor[out->n_tensors++]);
	}
	if (!c->err)
		place(c, out);
	err = c->err;
	free(c);
	if (err)
		gguf_finish(out);
	return err;
}

void gguf_finish(struct gguf *g)
{
	for (size_t i = 0; i < g->n_values; i++) {
		free(g->value[i].key);
		free(g->value[i].text);
	}
	for (size_t i = 0; i < g->n_tensors; i++)
		free(g->tensor[i].name);
	free(g->value);
	free(g->tensor);
	*g = (struct gguf){0};
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
	struct gguf_value wanted = {.key = (char *)(uintptr_t)key};

	return g->n_values ? bsearch(&wanted, g->value, g->n_values, sizeof wanted, by_key) : NULL;
}

const char *gguf_text(const struct gguf *g, const char *key)
{
	const struct gguf_value *v = gguf_find(g, key);

	return v && v->kind == GGUF_TEXT ? v->text : NULL;
}

static bool is_number(const struct gguf_value *v)
{
	return v && v->kind != GGUF_TEXT && v->kind != GGUF_LIST;
}

int64_t gguf_int(const struct gguf *g, const char *key, int64_t otherwise)
{
	const struct gguf_value *v = gguf_find(g, key);

	return is_number(v) && v->kind != GGUF_F32 && v->kind != GGUF_F64 ? v->integer : otherwise;
}

double gguf_real(const struct gguf *g, const char *key, double otherwise)
{
	const struct gguf_value *v = gguf_find(g, key);

	return is_number(v) ? v->real : otherwise;
}

struct gguf_walk {
	struct cursor c;
	enum gguf_kind of;
	uint64_t left;
	char *text;
	struct why why;
};

struct gguf_walk *gguf_walk(const struct gguf *g, const struct gguf_value *list)
{
	struct gguf_walk *w = xalloc(1, sizeof *w);

	w->c = (struct cursor){.in = &g->in, .at = list ? list->at : 0, .why = &w->why};
	w->of = list ? list->of : GGUF_U8;
	w->left = list && list->kind == GGUF_LIST ? list->n : 0;
	return w;
}

bool gguf_next(struct gguf_walk *w, struct gguf_value *item)
{
	*item = (struct gguf_value){.kind = w->of};
	if (!w->left || w->c.err)
		return false;
	w->left--;
	if (w->of == GGUF_TEXT) {
		free(w->text);
		item->text = w->text = take_text(&w->c, MOST_TEXT, "a text of a list", &item->len);
	} else
		take_number(&w->c, item);
	return !w->c.err;
}

int gguf_walk_end(struct gguf_walk *w, struct why *why)
{
	int err = w->c.err;

	if (err && why)
		*why = w->why;
	free(w->text);
	free(w);
	return err;
}

int64_t gguf_first(const struct gguf *g, const char *key, int64_t otherwise)
{
	const struct gguf_value *v = gguf_find(g, key);
	struct gguf_walk *walk;
	struct gguf_value item;

	if (!v || v->kind != GGUF_LIST || v->of == GGUF_TEXT)
		return gguf_int(g, key, otherwise);
	walk = gguf_walk(g, v);
	if (gguf_next(walk, &item))
		otherwise = item.integer;
	gguf_walk_end(walk, NULL);
	return otherwise;
}
