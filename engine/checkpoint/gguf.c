/* gguf.c - a GGUF file, or all parts of a split one, as a table of tensors under their names in transformers. */
#include "engine/checkpoint/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gguf/translate.h"

enum { MOST_PARTS = 1000 };

static int read_bytes(const void *arg, uint64_t at, void *dst, size_t n, struct why *why)
{
	return source_read(arg, at, dst, n, why);
}

/* Blocks are presented as the f32 numbers that they stand for. */
static void set_type(struct ck_tensor *to, const struct gguf_tensor *from)
{
	const struct gguf_type *type = from->type;

	to->type_name = type ? type->name : "unknown";
	to->type = !type ? DT_COUNT : type->unpack && from->n_dims > 1 ? DT_F32 : type->plain;
	to->block = type && to->type == DT_F32 && type->unpack ? type : NULL;
}

static int add_tensor(struct table *out, const struct gguf *first, const struct gguf_arch *arch,
		      const struct gguf_tensor *from, int file, struct why *why)
{
	struct gguf_place place;
	struct ck_tensor t = {.n_dims = from->n_dims, .file = file, .offset = from->offset};
	int err;

	if (!gguf_place(first, arch, from->name, &place))
		return 0;
	t.name = place.name;
	for (int i = 0; i < from->n_dims; i++)
		t.shape[i] = from->shape[i];
	set_type(&t, from);
	if ((err = tensor_layout(&t, t.type < DT_COUNT ? 8 * (unsigned)dtype_size(t.type) : 8, why)))
		return err;
	t.bytes = from->bytes;
	if (place.order != ROWS_SAME && from->n_dims) {
		int64_t each = from->shape[0] / place.heads;
		if (from->shape[0] % place.heads || each % (place.order == ROWS_ROTARY ? 2 : 3))
			return fail(why, ERR_FORMAT, "tensor %s: its %" PRId64 " rows are not those of %d heads",
				    from->name, from->shape[0], place.heads);
		t.order = place.order;
		t.heads = place.heads;
	}
	return table_add(out, &t, why);
}

static int add_file(struct checkpoint *c, int file, const struct gguf *first, const struct gguf *g, struct why *why)
{
	int err;
	const struct gguf_arch *arch = gguf_arch(first, &err, why);

	for (size_t i = 0; i < g->n_tensors && !err; i++)
		err = add_tensor(&c->table, first, arch, &g->tensor[i], file, why);
	return err ? fail_in(why, err, c->file[file].name) : 0;
}

/* Opens part `i` of `n`, whose name ends like that of the first: -00001-of-00003.gguf. */
static int add_part(struct checkpoint *c, const char *dir, const char *name, int i, int n, const struct gguf *first,
		    struct why *why)
{
	char *part =
		xprintf("%.*s-%05d-of-%05d.gguf", (int)(strlen(name) - strlen("-00001-of-00003.gguf")), name, i + 1, n);
	struct gguf_bytes in = {.read = read_bytes, .arg = &c->file[i]};
	struct gguf g = {0};
	int err = source_open(&c->file[i], dir, part, why);

	free(part);
	if (err)
		return err;
	c->n_files = i + 1;
	in.size = c->file[i].size;
	err = gguf_read(&g, &in, why);
	if (!err && (gguf_int(&g, "split.no", -1) != i || gguf_int(&g, "split.count", -1) != n))
		err = fail(why, ERR_FORMAT, "its metadata says part %" PRId64 " of %" PRId64,
			   gguf_int(&g, "split.no", -1) + 1, gguf_int(&g, "split.count", -1));
	err = err ? fail_in(why, err, c->file[i].name) : add_file(c, i, first, &g, why);
	gguf_finish(&g);
	return err;
}

/* The first part holds the metadata of all. */
static int check_first(const char *name, const struct gguf *g, int64_t parts, struct why *why)
{
	char end[40];
	size_t n = strlen(name), m;

	if (parts == 1)
		return 0;
	if (parts < 1 || parts > MOST_PARTS)
		return fail(why, ERR_FORMAT, "split.count is %" PRId64, parts);
	if (gguf_int(g, "split.no", -1))
		return fail(why, ERR_INVALID, "this is part %" PRId64 " of %" PRId64 "; give the first one",
			    gguf_int(g, "split.no", -1) + 1, parts);
	m = (size_t)snprintf(end, sizeof end, "-00001-of-%05d.gguf", (int)parts);
	if (n < m || strcmp(name + n - m, end))
		return fail(why, ERR_FORMAT, "a file of %" PRId64 " parts whose name does not end with %s", parts, end);
	return 0;
}

int gguf_open_parts(struct checkpoint *c, const char *dir, const char *name, struct why *why)
{
	struct gguf_bytes in = {.read = read_bytes, .arg = &c->file[0], .size = c->file[0].size};
	struct gguf g;
	int64_t parts = 1;
	int err = gguf_read(&g, &in, why);

	if (!err) {
		parts = gguf_int(&g, "split.count", 1);
		parts = parts ? parts : 1;
		err = check_first(name, &g, parts, why);
	}
	if (err) {
		gguf_finish(&g);
		return fail_in(why, err, name);
	}
	c->file = xgrow(c->file, (size_t)parts, sizeof *c->file);
	g.in.arg = &c->file[0];
	err = add_file(c, 0, &g, &g, why);
	for (int i = 1; i < parts && !err; i++)
		err = add_part(c, dir, name, i, (int)parts, &g, why);
	gguf_finish(&g);
	return err;
}
