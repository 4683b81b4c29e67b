/* torch.c - reads what torch.save writes: a zip archive of one pickle (PREFIX/data.pkl) and one entry (PREFIX/data/KEY)
 * for each storage. Tensors are views of storages: they may share them, with any strides. */
#include "engine/checkpoint/inside.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_DEPTH = 16,       /* nesting of dicts */
	MAX_WRAPPERS = 3,     /* dicts around the state dict, Parameters around a tensor */
	MAX_VISITS = 1 << 18, /* entries of all dicts; many paths may lead to a dict */
	MAX_PATH_NAME = 1000,
	MAX_KEY = 64,
};

static const struct {
	const char *storage, *dtype;
	unsigned bits;
	enum dtype type;
} types[] = {
	{"FloatStorage", "float32", 32, DT_F32},
	{"HalfStorage", "float16", 16, DT_F16},
	{"BFloat16Storage", "bfloat16", 16, DT_BF16},
	{"DoubleStorage", "float64", 64, DT_F64},
	{"LongStorage", "int64", 64, DT_I64},
	{"IntStorage", "int32", 32, DT_I32},
	{"ShortStorage", "int16", 16, DT_I16},
	{"CharStorage", "int8", 8, DT_I8},
	{"ByteStorage", "uint8", 8, DT_U8},
	{"BoolStorage", "bool", 8, DT_BOOL},
	{"ComplexFloatStorage", "complex64", 64, DT_COUNT},
	{"ComplexDoubleStorage", "complex128", 128, DT_COUNT},
	{"UntypedStorage", "", 8, DT_COUNT},
	{"", "uint16", 16, DT_COUNT},
	{"", "uint32", 32, DT_COUNT},
	{"", "uint64", 64, DT_COUNT},
	{"", "float8_e4m3fn", 8, DT_COUNT},
	{"", "float8_e5m2", 8, DT_COUNT},
	{"", "float8_e4m3fnuz", 8, DT_COUNT},
	{"", "float8_e5m2fnuz", 8, DT_COUNT},
};

struct torch_reader {
	const struct source *s;
	struct zip z;
	char *prefix;
	struct pickle p;
	int file, visits;
	char name[MAX_PATH_NAME + 1]; /* of the current tensor or dict */
	struct table *out;
	struct why *why;
};

/* Finds the bytes of a storage in the file. */
struct storage {
	const char *type_name;
	unsigned bits;
	enum dtype type;
	uint64_t at, bytes;
};

static int wrong(const struct torch_reader *r, const char *what)
{
	return fail(r->why, ERR_FORMAT, "tensor %s: %s", r->name, what);
}

static bool find_type(const struct pickle_node *n, struct storage *st)
{
	if (!n || n->kind != PK_NAME || (n->name != PN_STORAGE && n->name != PN_DTYPE))
		return false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(n->name == PN_STORAGE ? types[i].storage : types[i].dtype, n->text))
			continue;
		st->type_name = n->text;
		st->bits = types[i].bits;
		st->type = types[i].type;
		return true;
	}
	return false;
}

/* torch numbers the storages; a key that could lead elsewhere or spoil a message is refused. */
static bool is_key(const struct pickle_node *n)
{
	if (!n || n->kind != PK_TEXT || !n->n || n->n > MAX_KEY)
		return false;
	for (uint32_t i = 0; i < n->n; i++)
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-", n->text[i]) ||
		    !n->text[i])
			return false;
	return true;
}

static int find_bytes(struct torch_reader *r, const struct pickle_node *key, struct storage *st)
{
	char *name = xprintf("%s/data/%.*s", r->prefix, (int)key->n, key->text);
	const struct zip_entry *e = zip_find(&r->z, name);
	struct why inner = {""};
	int err;

	if (!e)
		err = fail(r->why, ERR_FORMAT, "tensor %s: its entry %s is not in the archive", r->name, name);
	else if ((err = zip_data(&r->z, e, &st->at, &inner)))
		fail(r->why, err, "tensor %s: %s", r->name, inner.text);
	else if (st->bytes > e->size)
		err = fail(r->why, ERR_FORMAT, "tensor %s: its entry %s has %" PRIu64 " bytes, expected: %" PRIu64,
			   r->name, name, e->size, st->bytes);
	free(name);
	return err;
}

/* Reads ("storage", type, key, place, elements). */
static int take_storage(struct torch_reader *r, const struct pickle_node *n, struct storage *st)
{
	const struct pickle_node *count;

	if (!n || n->kind != PK_STORAGE || !pickle_is_text(pickle_at(&r->p, n, 0), "storage"))
		return wrong(r, "it has no storage");
	if (!find_type(pickle_at(&r->p, n, 1), st))
		return wrong(r, "its storage has no known type");
	if (!is_key(pickle_at(&r->p, n, 2)))
		return wrong(r, "its storage's key is not plain text");
	count = pickle_at(&r->p, n, 4);
	if (!count || count->kind != PK_INT || count->i < 0 ||
	    __builtin_mul_overflow((uint64_t)count->i, st->bits / 8, &st->bytes))
		return wrong(r, "its storage's size is invalid");
	return find_bytes(r, pickle_at(&r->p, n, 2), st);
}

static bool take_sizes(const struct torch_reader *r, const struct pickle_node *n, int64_t *size, int *n_sizes)
{
	if (!n || (n->kind != PK_TUPLE && n->kind != PK_LIST) || n->n > CK_MAX_DIMS)
		return false;
	for (uint32_t i = 0; i < n->n; i++) {
		const struct pickle_node *one = pickle_at(&r->p, n, i);
		if (one->kind != PK_INT || one->i < 0)
			return false;
		size[i] = one->i;
	}
	*n_sizes = (int)n->n;
	return true;
}

/* Says whether the last element of the view is inside the storage. */
static bool is_inside(const struct ck_tensor *t, int64_t first, const struct storage *st)
{
	int64_t last = first, step;

	for (int i = 0; i < t->n_dims; i++)
		if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step) ||
		    __builtin_add_overflow(last, step, &last))
			return false;
	return (uint64_t)last < st->bytes / (st->bits / 8);
}

static int take_view(struct torch_reader *r, const struct pickle_node *call, const struct storage *st,
		     struct ck_tensor *t)
{
	const struct pickle_node *first = pickle_at(&r->p, call, 1);
	int64_t stride[CK_MAX_DIMS] = {0};
	int n, err;

	if (!first || first->kind != PK_INT || first->i < 0)
		return wrong(r, "its offset is invalid");
	if (!take_sizes(r, pickle_at(&r->p, call, 2), t->shape, &t->n_dims))
		return wrong(r, "its shape is not a list of at most 8 sizes");
	if (!take_sizes(r, pickle_at(&r->p, call, 3), stride, &n) || n != t->n_dims)
		return wrong(r, "its strides do not fit its shape");
	if ((err = tensor_layout(t, st->bits, r->why)))
		return err;
	t->offset = st->at;
	if (!t->bytes)
		return 0;
	for (int i = 0; i < n; i++)
		if (t->shape[i] > 1)
			t->stride[i] = stride[i];
	if (!is_inside(t, first->i, st))
		return wrong(r, "its offset, shape and strides lead out of its storage");
	t->offset += (uint64_t)first->i * (st->bits / 8);
	return 0;
}

static int add_tensor(struct torch_reader *r, const struct pickle_node *n)
{
	struct ck_tensor t = {.name = r->name, .file = r->file};
	struct storage st = {0};
	int err;

	for (int i = 0; n && n->kind == PK_CALL && n->name == PN_PARAMETER && i < MAX_WRAPPERS; i++)
		n = pickle_at(&r->p, n, 0);
	if (!n || n->kind != PK_CALL || n->name == PN_PARAMETER)
		return wrong(r, "a Parameter without a tensor");
	if ((err = take_storage(r, pickle_at(&r->p, n, 0), &st)))
		return err;
	if (n->name == PN_REBUILD_TENSOR_V3 && !find_type(pickle_at(&r->p, n, 6), &st))
		return wrong(r, "its type is unknown");
	t.type = st.type;
	t.type_name = st.type_name;
	if ((err = take_view(r, n, &st, &t)))
		return err;
	return table_add(r->out, &t, r->why);
}

/* Puts a key after the first `at` bytes of the name; returns false if no name can have it. */
static bool append_key(struct torch_reader *r, size_t at, const struct pickle_node *key)
{
	char number[24];
	const char *text = key->text;
	size_t n = key->n;

	if (key->kind == PK_INT) {
		n = (size_t)snprintf(number, sizeof number, "%" PRId64, key->i);
		text = number;
	} else if (key->kind != PK_TEXT) {
		return false;
	}
	if (at + 1 + n > MAX_PATH_NAME)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	if (at)
		r->name[at++] = '.';
	memcpy(r->name + at, text, n);
	r->name[at + n] = '\0';
	return true;
}

static int add_dict(struct torch_reader *r, const struct pickle_node *dict, size_t at, int depth)
{
	const struct pickle *p = &r->p;
	int err = 0;

	for (int c = dict->first; c >= 0 && !err; c = p->cell[p->cell[c].next].next) {
		const struct pickle_node *key = &p->node[p->cell[c].value],
					 *value = &p->node[p->cell[p->cell[c].next].value];
		if (++r->visits > MAX_VISITS)
			return fail(r->why, ERR_LIMIT, "its dicts hold more than %d entries", MAX_VISITS);
		if (value->kind != PK_CALL && value->kind != PK_DICT)
			continue; /* numbers, lists and names do not belong to the model */
		if (!append_key(r, at, key))
			err = fail(r->why, ERR_FORMAT, "a key of its dicts is too long or not plain text");
		else if (value->kind == PK_CALL)
			err = add_tensor(r, value);
		else if (depth == MAX_DEPTH)
			err = fail(r->why, ERR_LIMIT, "more than %d dicts in each other", MAX_DEPTH);
		else
			err = add_dict(r, value, strlen(r->name), depth + 1);
	}
	return err;
}

/* Returns the state dict inside {"state_dict": ...} and the like; NULL: this is none of these. */
static const struct pickle_node *unwrap(const struct pickle *p, const struct pickle_node *dict)
{
	static const char *const wrappers[] = {"state_dict", "model_state_dict", "model", "module"};
	const struct pickle_node *inner[4] = {NULL};

	for (int c = dict->first; c >= 0; c = p->cell[p->cell[c].next].next) {
		const struct pickle_node *key = &p->node[p->cell[c].value],
					 *value = &p->node[p->cell[p->cell[c].next].value];
		if (value->kind == PK_CALL)
			return NULL;
		for (int i = 0; i < 4; i++)
			if (value->kind == PK_DICT && pickle_is_text(key, wrappers[i]))
				inner[i] = value;
	}
	for (int i = 0; i < 4; i++)
		if (inner[i])
			return inner[i];
	return NULL;
}

static int add_all(struct torch_reader *r)
{
	const struct pickle_node *dict = &r->p.node[r->p.root], *inner;

	if (dict->kind != PK_DICT)
		return fail(r->why, ERR_FORMAT, "entry %s/data.pkl: no dict of tensors", r->prefix);
	for (int i = 0; i < MAX_WRAPPERS && (inner = unwrap(&r->p, dict)); i++)
		dict = inner;
	return add_dict(r, dict, 0, 0);
}

/* torch names the folder after the file or "archive". */
static int find_prefix(struct torch_reader *r)
{
	static const char end[] = "/data.pkl";

	for (int i = 0; i < r->z.n; i++) {
		const char *name = r->z.e[i].name;
		size_t n = strlen(name), m = strlen(end);
		if (n <= m || strcmp(name + n - m, end))
			continue;
		if (r->prefix)
			return fail(r->why, ERR_FORMAT, "entries %s%s and %s: either may be the model's", r->prefix,
				    end, name);
		r->prefix = xprintf("%.*s", (int)(n - m), name);
	}
	if (!r->prefix)
		return fail(r->why, ERR_FORMAT, "a zip archive, but not one of torch.save: no entry data.pkl");
	return 0;
}

/* Returns an entry's content, which the caller frees; NULL with *size 0 if there is no such entry. */
static int read_entry(struct torch_reader *r, const char *name, size_t max, char **data, size_t *size)
{
	char *full = xprintf("%s/%s", r->prefix, name);
	const struct zip_entry *e = zip_find(&r->z, full);
	uint64_t at;
	int err = 0;

	*data = NULL;
	*size = 0;
	if (e && e->size > max)
		err = fail(r->why, ERR_LIMIT, "entry %s has %" PRIu64 " bytes; the most is %zu", full, e->size, max);
	else if (e && !(err = zip_data(&r->z, e, &at, r->why))) {
		*size = (size_t)e->size;
		*data = xalloc(*size + 1, 1);
		err = source_read(r->s, at, *data, *size, r->why);
	}
	/* torch can be asked to omit the checksums, so this refuses nothing. */
	if (!err && *data && zip_crc(*data, *size) != e->crc)
		log_event(LOG_WARN, "an entry does not match its checksum: the file may be damaged",
			  " file=\"%s\" entry=\"%s\"", r->s->name, full);
	free(full);
	return err;
}

static int check_archive(struct torch_reader *r)
{
	char *text, *name = xprintf("%s/constants.pkl", r->prefix);
	bool script = zip_find(&r->z, name) != NULL;
	size_t size;
	int err = read_entry(r, "byteorder", 16, &text, &size);

	free(name);
	if (!err && text && strcmp(text, "little"))
		err = fail(r->why, ERR_UNSUPPORTED, "saved with byte order \"%.*s\"; only little-endian files are read",
			   strcmp(text, "big") ? 0 : 3, text);
	free(text);
	if (!err && script)
		err = fail(r->why, ERR_UNSUPPORTED, "a TorchScript program; save the model's state_dict() instead");
	return err;
}

static int read_archive(struct torch_reader *r)
{
	struct why inner = {""};
	char *text = NULL;
	size_t size;
	int err = find_prefix(r);

	if (!err)
		err = check_archive(r);
	if (!err)
		err = read_entry(r, "data.pkl", PICKLE_MAX, &text, &size);
	if (!err && (err = pickle_parse(&r->p, text, size, &inner)))
		fail(r->why, err, "entry %s/data.pkl: %s", r->prefix, inner.text);
	if (!err) {
		err = add_all(r);
		pickle_finish(&r->p);
	}
	free(text);
	free(r->prefix);
	return err;
}

/* Before version 1.6 a file was a chain of pickles that begins with this number, or (much earlier) a tar archive. */
static bool is_legacy(const struct source *s)
{
	static const uint8_t magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
	uint8_t head[262] = {0};
	size_t n = s->size < sizeof head ? (size_t)s->size : sizeof head;

	if (source_read(s, 0, head, n, NULL))
		return false;
	return (head[0] == 0x80 && memmem(head, 32, magic, sizeof magic)) || !memcmp(head + 257, "ustar", 5);
}

static int parse(struct torch_reader *r)
{
	uint8_t head[4] = {0};
	int err;

	if (is_legacy(r->s))
		return fail(
			r->why, ERR_UNSUPPORTED,
			"saved by PyTorch before 1.6 or in its old format, which is not supported; convert it with: "
			"python3 -c 'import torch; torch.save(torch.load(\"%.100s\", map_location=\"cpu\"), \"%.100s\")'",
			r->s->name, r->s->name);
	if (r->s->size >= 4 && (err = source_read(r->s, 0, head, 4, r->why)))
		return err;
	if (memcmp(head, "PK\3\4", 4))
		return fail(r->why, ERR_FORMAT, "neither a PyTorch file (a zip archive) nor a safetensors file");
	if ((err = zip_open(&r->z, r->s, r->why)))
		return err;
	err = read_archive(r);
	zip_close(&r->z);
	return err;
}

int torch_parse(const struct source *s, int file, struct table *out, struct why *why)
{
	struct torch_reader r = {.s = s, .file = file, .out = out, .why = why};
	int err = parse(&r);

	return err ? fail_in(why, err, s->name) : 0;
}
