/* checkpoint.h - a model's files: list the tensors, read slices of them. Nothing here is trusted.
 *
 * Formats are files behind this header: safetensors.c, torch.c (pytorch_model*.bin). */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/checkpoint/tensor.h"

struct checkpoint;

/* path: a Hugging Face directory, one checkpoint file, or one index file. In a directory: model.safetensors, its index,
 * pytorch_model.bin, its index, in that order. ERR_IO, ERR_FORMAT, ERR_UNSUPPORTED; the text names file and tensor. */
int checkpoint_open(struct checkpoint **out, const char *path, struct why *why);
enum checkpoint_format { CK_ANY, CK_SAFETENSORS, CK_TORCH };
/* The same, looking only for files of one format in a directory. */
int checkpoint_open_as(struct checkpoint **out, const char *path, enum checkpoint_format format, struct why *why);
void checkpoint_close(struct checkpoint *c); /* NULL is fine */

int checkpoint_count(const struct checkpoint *c);
const struct ck_tensor *checkpoint_tensor(const struct checkpoint *c,
					  int i); /* in the order of files, then of offsets */
const struct ck_tensor *checkpoint_find(const struct checkpoint *c, const char *name); /* NULL: none */
int checkpoint_files(const struct checkpoint *c);
const char *checkpoint_file(const struct checkpoint *c, int file); /* its plain name */
uint64_t checkpoint_bytes(const struct checkpoint *c);             /* of all tensors */
/* Hash of names, types, shapes and sampled content: the same tensors give the same number, also when another format
 * holds them. Reads a little of every tensor; 0 (and a warning) where that fails. */
uint64_t checkpoint_fingerprint(const struct checkpoint *c);
/* Hash of names, sizes and times of change of the files: what was made from them is good while it stands. */
uint64_t checkpoint_identity(const struct checkpoint *c);

/* Rows [row, row + rows) and columns [col, col + cols) of a tensor seen as (shape[0], product of the rest), in its own
 * type, to dst (rows, cols) contiguous. A scalar is (1, 1). Reads only those bytes. Any thread. */
int checkpoint_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		    int64_t cols, void *dst, struct why *why);
uint64_t checkpoint_bytes_read(const struct checkpoint *c); /* by checkpoint_read so far */
/* Starts read-ahead of the part `rank` of `size` of all files, in file order, by a thread that stays a bounded window
 * ahead of what checkpoint_read has taken. A hint: call it once, before reading; checkpoint_close() ends it. */
void checkpoint_prefetch(struct checkpoint *c, int rank, int size);

/* "model.layers.0.mlp.up_proj.weight" as "[13824, 5120]": for messages. Returns out. */
const char *ck_shape_text(const struct ck_tensor *t, char *out, size_t size);

#endif
