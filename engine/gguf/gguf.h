/* gguf.h - reads the header of a GGUF file (ggml's docs/gguf.md, versions 2 and 3): its metadata and the list of its
 * tensors. Nothing in the file is trusted: every length is compared with the file's size before it is used. */
#ifndef ENGINE_GGUF_GGUF_H
#define ENGINE_GGUF_GGUF_H

#include "base/base.h"
#include "engine/gguf/block.h"

/* Where the bytes come from. read() returns ERR_IO or ERR_FORMAT. */
struct gguf_bytes {
	int (*read)(const void *arg, uint64_t at, void *dst, size_t n, struct why *why);
	const void *arg;
	uint64_t size;
};

enum gguf_kind {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_TEXT,
	GGUF_LIST,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
	GGUF_KINDS
};

struct gguf_value {
	char *key;
	enum gguf_kind kind;
	int64_t integer;   /* of all kinds of integers and bool; a u64 beyond the type becomes INT64_MAX */
	double real;       /* of all numbers */
	char *text;        /* NUL after the end */
	size_t len;        /* bytes of the text */
	enum gguf_kind of; /* a list: what it holds (no lists), how many, and where they begin in the file */
	uint64_t n, at;
};

struct gguf_tensor {
	char *name;
	int n_dims;
	int64_t shape[4]; /* row-major: the file's sizes in the opposite order */
	uint32_t type_id;
	const struct gguf_type *type; /* NULL: a type that is unknown here */
	uint64_t offset, bytes;       /* within the file; bytes is 0 for an unknown type */
};

struct gguf {
	struct gguf_bytes in;
	struct gguf_value *value;
	size_t n_values;
	struct gguf_tensor *tensor;
	size_t n_tensors;
};

/* ERR_FORMAT, ERR_UNSUPPORTED (version 1, big-endian), ERR_LIMIT, and the errors of read(). */
int gguf_read(struct gguf *out, const struct gguf_bytes *in, struct why *why);
void gguf_finish(struct gguf *g);

/* NULL: no such key, or not of that kind. */
const struct gguf_value *gguf_find(const struct gguf *g, const char *key);
const char *gguf_text(const struct gguf *g, const char *key);
int64_t gguf_int(const struct gguf *g, const char *key, int64_t otherwise);
/* The same, or the first of a list of numbers: some files give one for each layer. */
int64_t gguf_first(const struct gguf *g, const char *key, int64_t otherwise);
double gguf_real(const struct gguf *g, const char *key, double otherwise);

/* Walks a list of texts, or of numbers. The text is valid until the next call. False: the end, or an error in *err. */
struct gguf_walk;
struct gguf_walk *gguf_walk(const struct gguf *g, const struct gguf_value *list);
bool gguf_next(struct gguf_walk *w, struct gguf_value *item);
int gguf_walk_end(struct gguf_walk *w, struct why *why); /* 0, or what ended it early; frees it */

#endif
