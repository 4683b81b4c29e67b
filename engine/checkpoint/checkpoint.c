#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file/file.h"

/* The files that a directory may have, best first, in the order of the reference library. */
static const char *const candidates[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
					 "pytorch_model.bin.index.json"};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* The first bytes decide the format; the name decides if they could be anything. */
static int parse_file(const struct source *s, int file, struct table *out, struct why *why)
{
	uint8_t head[64] = {0};
	size_t n = s->size < sizeof head ? (size_t)s->size : sizeof head;
	int err = source_read(s, 0, head, n, why);

	if (err)
		return err;
	err = kind_refuse_bytes(s->name, (const char *)head, n, why);
	if (err)
		return err;
	if (ends_with(s->name, ".safetensors") || (s->size > 8 && head[8] == '{'))
		return safetensors_parse(s, file, out, why);
	return torch_parse(s, file, out, why);
}

/* Moves the tensors that the index assigns to this file. The rest of the file does not belong to the model. */
static int take_shard(struct table *out, struct table *shard, const struct shard_index *x, const char *name,
		      struct why *why)
{
	int err = 0;

	for (int i = 0; i < shard->n && !err; i++) {
		const char *where = shard_index_where(x, shard->t[i].name);
		if (where && !strcmp(where, name))
			err = table_add(out, &shard->t[i], why);
		else
			log_event(LOG_DEBUG,
				  where ? "a tensor is ignored: the index takes it from another file"
					: "a tensor is ignored: the index does not name it",
				  " file=\"%s\" tensor=\"%s\"", name, shard->t[i].name);
	}
	return err;
}

static int open_shard(struct checkpoint *c, const char *dir, const struct shard_index *x, int i, struct why *why)
{
	struct table shard = {0};
	int err = source_open(&c->file[i], dir, x->file[i], why);

	if (err)
		return err;
	c->n_files = i + 1;
	err = parse_file(&c->file[i], i, &shard, why);
	if (!err)
		err = take_shard(&c->table, &shard, x, x->file[i], why);
	table_finish(&shard);
	return err;
}

static int open_shards(struct checkpoint *c, const char *dir, const struct shard_index *x, struct why *why)
{
	int err = 0;

	c->file = xalloc((size_t)x->n_files, sizeof *c->file);
	for (int i = 0; i < x->n_files && !err; i++)
		err = open_shard(c, dir, x, i, why);
	return err ? err : shard_index_check(x, &c->table, why);
}

static int open_index(struct checkpoint *c, const char *dir, const char *name, struct why *why)
{
	struct shard_index x = {0};
	char *text = NULL;
	size_t size = 0;
	char *path = xprintf("%s/%s", dir, name);
	int err = file_read(path, FILE_TOKENIZER, &text, &size, why);

	free(path);
	if (!err && (err = shard_index_parse(&x, text, size, why)))
		fail_in(why, err, name);
	free(text);
	if (!err)
		err = open_shards(c, dir, &x, why);
	shard_index_finish(&x);
	return err;
}

static bool is_gguf(const struct source *s)
{
	char head[4];
	struct why unused;

	return s->size >= 4 && !source_read(s, 0, head, 4, &unused) && !memcmp(head, "GGUF", 4);
}

static int open_single(struct checkpoint *c, const char *dir, const char *name, struct why *why)
{
	int err;

	c->file = xalloc(1, sizeof *c->file);
	if ((err = source_open(&c->file[0], dir, name, why)))
		return err;
	c->n_files = 1;
	c->gguf = is_gguf(&c->file[0]);
	return c->gguf ? gguf_open_parts(c, dir, name, why) : parse_file(&c->file[0], 0, &c->table, why);
}

static int open_file(struct checkpoint *c, const char *path, struct why *why)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? xprintf("%.*s", (int)(slash - path + 1), path) : xstrdup(".");
	int err;

	if (ends_with(path, ".index.json"))
		err = open_index(c, dir, slash ? slash + 1 : path, why);
	else
		err = open_single(c, dir, slash ? slash + 1 : path, why);
	free(dir);
	return err;
}

static int open_dir(struct checkpoint *c, const char *dir, enum checkpoint_format format, struct why *why)
{
	int first = format == CK_TORCH ? 2 : 0, end = format == CK_SAFETENSORS ? 2 : 4;
	char *own;

	for (int i = first; i < end; i++) {
		if (!source_exists(dir, candidates[i]))
			continue;
		if (ends_with(candidates[i], ".json"))
			return open_index(c, dir, candidates[i], why);
		return open_single(c, dir, candidates[i], why);
	}
	if (format != CK_TORCH && (own = quant_file_name(dir))) {
		int err = ends_with(own, ".json") ? open_index(c, dir, own, why) : open_single(c, dir, own, why);
		free(own);
		return err;
	}
	if (format != CK_ANY)
		return fail(why, ERR_IO, "%s: no checkpoint of this format: found neither %s nor %s", dir,
			    candidates[first], candidates[first + 1]);
	return checkpoint_refuse(dir, why);
}

bool checkpoint_exists(const char *path)
{
	struct stat st;
	bool found = !stat(path, &st) && S_ISREG(st.st_mode);
	char *own;

	for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++)
		found |= source_exists(path, candidates[i]);
	own = found ? NULL : quant_file_name(path);
	found |= own != NULL;
	free(own);
	return found;
}

int checkpoint_refuse(const char *dir, struct why *why)
{
	char name[256];
	const struct kind *k = kind_of_folder(dir, name);
	const char *const *names = candidates;

	if (k)
		return fail(why, k->err, "%.150s: no checkpoint: found none of %s, %s, %s, %s, but %.80s: %s", dir,
			    names[0], names[1], names[2], names[3], name, k->text);
	return fail(why, ERR_IO, "%s: no checkpoint: found none of %s, %s, %s, %s; download the weights into it, too",
		    dir, names[0], names[1], names[2], names[3]);
}

/* config.json lies beside the files. */
static int apply_quant(struct checkpoint *c, const char *path, bool is_dir, struct why *why)
{
	const char *slash = strrchr(path, '/');
	char *dir = is_dir ? xstrdup(path) : slash ? xprintf("%.*s", (int)(slash - path + 1), path) : xstrdup(".");
	int err = quant_apply(c, dir, why);

	free(dir);
	return err;
}

int checkpoint_open(struct checkpoint **out, const char *path, struct why *why)
{
	return checkpoint_open_as(out, path, CK_ANY, why);
}

int checkpoint_open_as(struct checkpoint **out, const char *path, enum checkpoint_format format, struct why *why)
{
	struct checkpoint *c = xalloc(1, sizeof *c);
	struct stat st;
	int err;

	*out = NULL;
	c->bytes_read = xalloc(1, sizeof *c->bytes_read);
	if (stat(path, &st))
		err = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		err = open_dir(c, path, format, why);
	else
		err = open_file(c, path, why);
	if (!err && !c->gguf)
		err = apply_quant(c, path, S_ISDIR(st.st_mode), why);
	if (err) {
		checkpoint_close(c);
		return err;
	}
	table_sort(&c->table);
	*out = c;
	return 0;
}

void checkpoint_close(struct checkpoint *c)
{
	if (!c)
		return;
	prefetch_destroy(c->prefetch);
	for (int i = 0; i < c->n_files; i++)
		source_close(&c->file[i]);
	free(c->file);
	quant_finish(c);
	table_finish(&c->table);
	free(c->bytes_read);
	free(c);
}

bool checkpoint_is_gguf(const struct checkpoint *c)
{
	return c->gguf;
}

int checkpoint_count(const struct checkpoint *c)
{
	return c->table.n;
}

const struct ck_tensor *checkpoint_tensor(const struct checkpoint *c, int i)
{
	REQUIRE(i >= 0 && i < c->table.n);
	return &c->table.t[i];
}

const struct ck_tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
	return table_find(&c->table, name);
}

int checkpoint_files(const struct checkpoint *c)
{
	return c->n_files;
}

int checkpoint_descriptor(const struct checkpoint *c, int file, uint64_t *size)
{
	if (file < 0 || file >= c->n_files)
		return -1;
	*size = c->file[file].size;
	return c->file[file].fd;
}

uint64_t checkpoint_layout(const struct checkpoint *c)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < c->n_files; i++) {
		for (const char *at = c->file[i].name; *at; at++)
			h = (h ^ (uint8_t)*at) * 0x100000001b3u;
		h = (h ^ c->file[i].size) * 0x100000001b3u;
	}
	return h;
}

void checkpoint_read_by(struct checkpoint *c, checkpoint_reader *read, void *arg)
{
	for (int i = 0; i < c->n_files; i++) {
		c->file[i].reader = read;
		c->file[i].reader_arg = arg;
		c->file[i].number = i;
	}
}

const char *checkpoint_file(const struct checkpoint *c, int file)
{
	REQUIRE(file >= 0 && file < c->n_files);
	return c->file[file].name;
}

uint64_t checkpoint_bytes(const struct checkpoint *c)
{
	return c->table.bytes;
}

uint64_t checkpoint_bytes_read(const struct checkpoint *c)
{
	return atomic_load(c->bytes_read);
}

int tensor_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		int64_t cols, void *dst, struct why *why)
{
	return t->quant ? quant_read(c, t, row, rows, col, cols, dst, why)
			: slice_read(&c->file[t->file], t, row, rows, col, cols, dst, why);
}

/* Bytes of the file that a part of a tensor takes, blocks at its edges aside. */
static uint64_t bytes_of(const struct ck_tensor *t, int64_t rows, int64_t cols)
{
	uint64_t n = (uint64_t)rows * (uint64_t)cols;

	if (t->quant)
		return n / (uint64_t)(8 / t->quant->bits);
	return t->block ? n / (uint64_t)t->block->elements * (uint64_t)t->block->bytes : n * dtype_size(t->type);
}

int checkpoint_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		    int64_t cols, void *dst, struct why *why)
{
	int err = tensor_read(c, t, row, rows, col, cols, dst, why);

	if (!err && t->bytes)
		atomic_fetch_add(c->bytes_read, bytes_of(t, rows, cols));
	return err;
}

void checkpoint_share(struct checkpoint *c, int reader, int readers)
{
	c->shared = true;
	c->reader = reader;
	c->readers = readers;
}

void checkpoint_prefetch(struct checkpoint *c, int rank, int size)
{
	REQUIRE(rank >= 0 && rank < size);
	if (c->shared) {
		rank = c->reader;
		size = c->readers;
	}
	if (!c->prefetch && size)
		c->prefetch = prefetch_create(c, rank, size);
}
