/* shard.c - safetensors files: a length of 8 bytes, a header in JSON, the tensors (huggingface/safetensors, "Format");
 * beside several files an index of the names in them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/convert/inside.h"

enum { BLOCK = 8 << 20 /* numbers that are converted at a time, about */, NAME = 64 };

struct writer {
	const struct plan *p;
	const struct checkpoint *c;
	const struct convert_options *o;
	const struct folder *to;
	uint64_t done, total, fingerprint;
	int *fd;        /* [files] */
	uint64_t *base; /* [files] where tensors begin */
};

static char *file_name(const struct plan *p, int i, char out[NAME])
{
	if (p->files == 1)
		snprintf(out, NAME, "model.safetensors");
	else
		snprintf(out, NAME, "model-%05d-of-%05d.safetensors", i + 1, p->files);
	return out;
}

static const char *type_name(enum dtype t)
{
	static const char *const names[DT_COUNT] = {
		[DT_F32] = "F32", [DT_F16] = "F16",   [DT_BF16] = "BF16", [DT_F64] = "F64",
		[DT_I8] = "I8",   [DT_U8] = "U8",     [DT_I16] = "I16",   [DT_I32] = "I32",
		[DT_I64] = "I64", [DT_BOOL] = "BOOL", [DT_F8] = "F8_E4M3"};

	return names[t];
}

static void put_tensor(struct text *t, const struct out_tensor *o)
{
	text_str(t, ",");
	text_json_str(t, o->name);
	text_fmt(t, ":{\"dtype\":\"%s\",\"shape\":[", type_name(o->type));
	for (int i = 0; i < o->n_dims; i++)
		text_fmt(t, "%s%" PRId64, i ? "," : "", o->shape[i]);
	text_fmt(t, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", o->at, o->at + o->bytes);
}

/* Padded with spaces, so that tensors begin at a multiple of 8 bytes. */
static int write_header(struct writer *w, int file)
{
	struct text t = {0};
	uint64_t n;
	char name[NAME];
	int err;

	text_fmt(
		&t,
		"{\"__metadata__\":{\"format\":\"pt\",\"converter\":\"xversed %s\",\"class\":\"%s\",\"source_fingerprint\":"
		"\"%016" PRIx64 "\"}",
		XV_VERSION, convert_names[w->p->to], w->fingerprint);
	for (int i = 0; i < w->p->n; i++)
		if (w->p->t[i].file == file)
			put_tensor(&t, &w->p->t[i]);
	text_str(&t, "}");
	while (t.len % 8)
		text_str(&t, " ");
	n = t.len;
	w->base[file] = n + sizeof n;
	err = folder_put(w->to, w->fd[file], file_name(w->p, file, name), 0, &n, sizeof n);
	if (!err)
		err = folder_put(w->to, w->fd[file], name, sizeof n, t.data, t.len);
	text_finish(&t);
	return err;
}

static int write_index(const struct writer *w)
{
	struct text t = {0};
	char name[NAME];
	int err;

	text_fmt(&t, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {", w->p->bytes);
	for (int i = 0; i < w->p->n; i++) {
		text_str(&t, i ? ",\n    " : "\n    ");
		text_json_str(&t, w->p->t[i].name);
		text_fmt(&t, ": \"%s\"", file_name(w->p, w->p->t[i].file, name));
	}
	text_str(&t, "\n  }\n}\n");
	err = folder_file(w->to, "model.safetensors.index.json", t.data, t.len);
	text_finish(&t);
	return err;
}

static int put(const struct writer *w, const struct out_tensor *t, uint64_t at, const void *bytes, size_t n)
{
	char name[NAME];

	return folder_put(w->to, w->fd[t->file], file_name(w->p, t->file, name), w->base[t->file] + t->at + at, bytes,
			  n);
}

/* A tensor as rows: a scalar is one number. */
static void sides(const struct ck_tensor *t, int64_t *rows, int64_t *cols)
{
	*rows = t->n_dims ? t->shape[0] : 1, *cols = 1;
	for (int i = 1; i < t->n_dims; i++)
		*cols *= t->shape[i];
}

static int beyond(const struct writer *w, const struct ck_tensor *t, int64_t row, struct why *why)
{
	bool f16 = w->p->to == CONVERT_F16;

	return fail(why, ERR_LIMIT, "%s: tensor %s has in row %" PRId64 " %s: %s", checkpoint_file(w->c, t->file),
		    t->name, row, f16 ? "a number beyond f16" : "a number that is not finite, or too large for a scale",
		    f16 ? "bf16 and f32 hold it" : "the classes of integers cannot hold it");
}

/* What one block of rows takes in each of its forms. */
struct block {
	char *raw;
	float *f;
	struct out_rows out;
};

/* t: the first of a matrix's parts, or a tensor by itself. */
static int write_rows(struct writer *w, const struct out_tensor *t, const struct block *b, int64_t row, int64_t n,
		      int64_t cols)
{
	const struct ck_tensor *from = t->from;
	bool parts = t->part == OUT_CODES;
	int64_t all = from->n_dims ? from->shape[0] : 1, bad = 0;
	size_t codes = (size_t)(t->bytes / (uint64_t)all), scales = parts ? (size_t)(t[1].bytes / (uint64_t)all) : 0;
	struct why *why = w->to->why;
	int err = checkpoint_read(w->c, from, row, n, 0, cols, b->raw, why);

	if (err)
		return err;
	if (!parts && t->type == from->type)
		return put(w, t, (uint64_t)row * codes, b->raw, (size_t)n * codes);
	numbers_read(b->f, b->raw, from->type, n * cols);
	if (numbers_make(w->p->to, t->type, b->f, n, cols,
			 &(struct out_rows){b->out.codes, parts ? b->out.scales : NULL}, &bad))
		return beyond(w, from, row + bad, why);
	err = put(w, t, (uint64_t)row * codes, b->out.codes, (size_t)n * codes);
	return err || !parts ? err : put(w, t + 1, (uint64_t)row * scales, b->out.scales, (size_t)n * scales);
}

static int write_tensor(struct writer *w, const struct out_tensor *t)
{
	int64_t rows, cols, per;
	struct block b;
	int err = 0;

	sides(t->from, &rows, &cols);
	if (!rows || !cols)
		return 0;
	per = BLOCK / cols < 1 ? 1 : BLOCK / cols > rows ? rows : BLOCK / cols;
	b.raw = xalloc((size_t)(per * cols), 8), b.f = xalloc((size_t)(per * cols), sizeof *b.f);
	b.out.codes = xalloc((size_t)(per * cols), sizeof *b.f), b.out.scales = xalloc((size_t)(per * cols), 1);
	for (int64_t row = 0; row < rows && !err; row += per) {
		int64_t n = rows - row < per ? rows - row : per;
		err = write_rows(w, t, &b, row, n, cols);
		if (!err &&
		    !w->o->go_on(w->o->arg, w->done + t->from->bytes / (uint64_t)rows * (uint64_t)(row + n), w->total))
			err = fail(w->to->why, ERR_CANCELLED, "stopped: %s was not made", w->to->final);
	}
	w->done += t->from->bytes;
	free(b.raw), free(b.f), free(b.out.codes), free(b.out.scales);
	return err;
}

static int write_all(struct writer *w)
{
	char name[NAME];
	int err = 0;

	for (int i = 0; i < w->p->files && !err; i++) {
		w->fd[i] = folder_create(w->to, file_name(w->p, i, name));
		err = w->fd[i] < 0 ? w->fd[i] : write_header(w, i);
	}
	for (int i = 0; i < w->p->n && !err; i++) {
		const struct out_tensor *t = &w->p->t[i];
		if (t->part == OUT_SHAPE)
			err = put(w, t, 0, t->from->shape, 2 * sizeof *t->from->shape);
		else if (t->part != OUT_SCALES) /* which are written beside their integers */
			err = write_tensor(w, t);
	}
	return err;
}

int shards_write(const struct plan *p, const struct checkpoint *c, const struct convert_options *o,
		 const struct folder *to, uint64_t fingerprint)
{
	struct writer w = {.p = p, .c = c, .o = o, .to = to, .total = checkpoint_bytes(c), .fingerprint = fingerprint};
	char name[NAME];
	int err;

	w.fd = xalloc((size_t)p->files, sizeof *w.fd), w.base = xalloc((size_t)p->files, sizeof *w.base);
	memset(w.fd, -1, (size_t)p->files * sizeof *w.fd);
	err = write_all(&w);
	for (int i = 0; i < p->files; i++)
		if (w.fd[i] >= 0 && err)
			close(w.fd[i]);
		else if (w.fd[i] >= 0)
			err = folder_end(to, w.fd[i], file_name(p, i, name));
	if (!err && p->files > 1)
		err = write_index(&w);
	free(w.fd), free(w.base);
	return err;
}
