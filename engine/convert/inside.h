/* inside.h - private to engine/convert. */
#ifndef ENGINE_CONVERT_INSIDE_H
#define ENGINE_CONVERT_INSIDE_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/convert/options.h"

/* What a tensor that is written holds of the tensor it is made of. */
enum out_part {
	OUT_NUMBERS, /* in another type, or the same */
	OUT_CODES,   /* integers, packed into words of 32 bits, or e4m3 */
	OUT_SCALES,
	OUT_SHAPE /* (2) i64: of the matrix before packing */
};

struct out_tensor {
	const struct ck_tensor *from;
	char *name;
	enum out_part part;
	enum dtype type;
	int n_dims;
	int64_t shape[CK_MAX_DIMS];
	uint64_t bytes, at; /* at: in its file, from the first tensor on */
	int file;
};

struct plan {
	enum convert_class to;
	struct out_tensor *t; /* [n] file by file; the parts of one matrix follow each other */
	int n, files, quantised;
	uint64_t bytes;
	bool has_f32; /* quantised tensors became f32 */
};

/* plan.c: what is written, and in which file. */
int plan_make(struct plan *p, const struct checkpoint *c, const struct convert_options *o, struct why *why);
void plan_finish(struct plan *p);
/* Whether a tensor's numbers are integers with scales in its file. */
bool tensor_is_quantised(const struct ck_tensor *t);

/* numbers.c: rows of numbers in the form of a class. `cols` numbers a row. ERR_LIMIT: one is beyond f16, or not finite
 * where integers or e4m3 are made; *row says which row. */
struct out_rows {
	char *codes, *scales; /* scales: NULL where there are none */
};
int numbers_make(enum convert_class to, enum dtype type, const float *f, int64_t rows, int64_t cols,
		 const struct out_rows *out, int64_t *row);
/* f (n) of `type`, floating. */
void numbers_read(float *f, const void *src, enum dtype type, int64_t n);

/* folder.c: the folder under its temporary name. */
struct folder {
	char *path, *final;
	struct why *why;
};
int folder_open(struct folder *f, const char *final, uint64_t bytes, struct why *why);
int folder_file(const struct folder *f, const char *name, const void *bytes, size_t n); /* a whole file */
int folder_create(const struct folder *f, const char *name);                            /* a descriptor, or ERR_IO */
int folder_put(const struct folder *f, int fd, const char *name, uint64_t at, const void *bytes, size_t n);
int folder_end(const struct folder *f, int fd, const char *name); /* on the disk; closes fd */
int folder_keep(struct folder *f);                                /* gives it its final name */
void folder_close(struct folder *f);                              /* removes what was not kept */

/* shard.c: files of tensors. Calls go_on() for each block. */
int shards_write(const struct plan *p, const struct checkpoint *c, const struct convert_options *o,
		 const struct folder *to, uint64_t fingerprint);

/* documents.c: everything of the model but its weights. */
int documents_copy(const struct plan *p, const struct checkpoint *c, const char *in, const struct folder *to,
		   struct why *why);

#endif
