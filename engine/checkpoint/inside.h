/* inside.h - private to engine/checkpoint. Tests and fuzz targets parse from memory through it. */
#ifndef ENGINE_CHECKPOINT_INSIDE_H
#define ENGINE_CHECKPOINT_INSIDE_H

#include <stdatomic.h>

#include "base/json/json.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/quant.h"

/* A file, or bytes in memory in place of one. */
struct source {
	char *name;         /* its name without a path, for messages */
	int fd;             /* -1: the bytes are in mem */
	const uint8_t *mem; /* (size) borrowed */
	uint64_t size;
	checkpoint_reader *reader; /* NULL: the file itself is read */
	void *reader_arg;
	int number; /* as the reader knows it */
};

/* dir may be NULL if `name` is a path. ERR_IO; opens only regular files and never waits for a pipe. */
int source_open(struct source *s, const char *dir, const char *name, struct why *why);
struct source source_memory(const char *name, const void *data, size_t size);
/* Whether a folder has a file or a link of this name; opening it refuses a link to nothing. */
bool source_exists(const char *dir, const char *name);
void source_close(struct source *s);
/* Reads all of [offset, offset + n), or returns ERR_IO or ERR_FORMAT. */
int source_read(const struct source *s, uint64_t offset, void *dst, size_t n, struct why *why);

/* Finds tensors by name. Owns their names. */
struct table {
	struct ck_tensor *t; /* (n) */
	int n, max;
	int *slot; /* (n_slots) index + 1, 0: empty; n_slots a power of two */
	size_t n_slots;
	uint64_t bytes;
};
void table_finish(struct table *table);
/* Copies t and its name. ERR_FORMAT: the name is a duplicate, empty, too long or not printable. */
int table_add(struct table *table, const struct ck_tensor *t, struct why *why);
const struct ck_tensor *table_find(const struct table *table, const char *name);
void table_sort(struct table *table); /* sorts by file, offset, name */

/* Sets the row-major strides and `bytes` of t->shape. ERR_FORMAT: their product overflows. bits: size of one
 * element. */
int tensor_layout(struct ck_tensor *t, unsigned bits, struct why *why);

/* Append the tensors of a file to `out`, with file number `file`. */
int safetensors_parse(const struct source *s, int file, struct table *out, struct why *why);
int torch_parse(const struct source *s, int file, struct table *out, struct why *why);

/* An index file, which says which shard has which tensor. */
struct shard_index {
	struct json_doc *doc;
	const struct json *map; /* tensor name -> file name, both checked */
	char **file;            /* (n_files) sorted */
	int n_files;
};
int shard_index_parse(struct shard_index *x, const char *text, size_t size, struct why *why);
void shard_index_finish(struct shard_index *x);
/* Returns the file of a tensor; NULL: the index does not name it. */
const char *shard_index_where(const struct shard_index *x, const char *tensor);
/* ERR_FORMAT: the table lacks a tensor that the index names, other than lm_head.weight. */
int shard_index_check(const struct shard_index *x, const struct table *table, struct why *why);

/* ---- kinds.c: what is not read ---- */
struct kind {
	const char *pattern;
	int err;
	const char *text; /* follows the name: what it is, and what to do */
};
/* The most informative kind of what a folder has; NULL: none. `name` receives the first such name in order. */
const struct kind *kind_of_folder(const char *dir, char name[256]);
/* Refuses what cannot be weights by its first bytes; 0: it may be. */
int kind_refuse_bytes(const char *name, const char *head, size_t n, struct why *why);
/* A file given in place of a folder; never 0. ERR_IO: it is one of weights. */
int kind_refuse_file(const char *path, struct why *why);
/* Puts "name: " before the text of an error; returns err. */
int fail_in(struct why *why, int err, const char *name);
struct prefetch;
struct quant_config;

struct checkpoint {
	struct source *file; /* (n_files) */
	int n_files;
	struct table table;
	bool gguf;
	struct table raw;        /* the tensors of a quantised checkpoint as the files name them, or empty */
	struct ck_quant **quant; /* [n_quant] */
	int n_quant;
	_Atomic uint64_t *bytes_read;
	struct prefetch *prefetch; /* NULL: none */
	bool shared;               /* checkpoint_share() was called */
	int reader, readers;
};

struct prefetch *prefetch_create(const struct checkpoint *c, int rank, int size);
void prefetch_destroy(struct prefetch *p);

/* Takes the tensors of a GGUF file, which is c->file[0], open, and of the other parts of a split one. */
int gguf_open_parts(struct checkpoint *c, const char *dir, const char *name, struct why *why);

/* quant_find.c: lists the matrices of a quantised checkpoint in `dir`, whose tensors are in c->table, in place of their
 * parts. */
int quant_apply(struct checkpoint *c, const char *dir, struct why *why);
/* The same with a config that is read. */
int quant_list(struct checkpoint *c, const struct quant_config *cfg, struct why *why);
void quant_finish(struct checkpoint *c);
/* The name of AutoGPTQ's file of weights in a folder, malloced: gptq_model-4bit-128g.safetensors. NULL: none. */
char *quant_file_name(const char *dir);
/* quant.c: takes the groups of columns from `index` (cols), whose shape is checked. ERR_FORMAT: one is beyond the
 * last. */
int quant_groups(const struct checkpoint *c, struct ck_quant *q, const struct ck_tensor *index, struct why *why);
/* Finds the least and the largest zero point. */
int quant_zeros(const struct checkpoint *c, struct ck_quant *q, struct why *why);
/* The numbers of such a matrix, f32, whose bounds are checked. */
int quant_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
	       int64_t cols, float *dst, struct why *why);
/* The numbers of any tensor, without the counting of checkpoint_read(). */
int tensor_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		int64_t cols, void *dst, struct why *why);

/* Does the work of tensor_read() without the counting. */
int slice_read(const struct source *s, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols,
	       void *dst, struct why *why);
/* The same of a tensor with blocks or with rows in another order, whose bounds are checked. */
int rows_read(const struct source *s, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols,
	      void *dst, struct why *why);

#endif
