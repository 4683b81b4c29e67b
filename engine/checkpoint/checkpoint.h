/* checkpoint.h - lists the tensors of a model's files and reads slices of them. Nothing in the files is trusted.
 *
 * Formats are files behind this header: safetensors.c, torch.c (pytorch_model*.bin), gguf.c. */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/checkpoint/tensor.h"

struct checkpoint;

/* path: a Hugging Face directory, one checkpoint file (of a split GGUF file the first part), or one index file. A
 * directory is searched for model.safetensors, its index, pytorch_model.bin, its index, in that order. ERR_IO,
 * ERR_FORMAT, ERR_UNSUPPORTED; the text names file and tensor. */
int checkpoint_open(struct checkpoint **out, const char *path, struct why *why);
enum checkpoint_format { CK_ANY, CK_SAFETENSORS, CK_TORCH };
/* Does the same, but looks in a directory only for files of one format. */
int checkpoint_open_as(struct checkpoint **out, const char *path, enum checkpoint_format format, struct why *why);
/* Whether the path is a file, or a folder with a file that checkpoint_open() would read. */
bool checkpoint_exists(const char *path);
/* Says what a folder without such a file has instead, and what to do; never 0. */
int checkpoint_refuse(const char *dir, struct why *why);
void checkpoint_close(struct checkpoint *c); /* NULL is fine */

bool checkpoint_is_gguf(const struct checkpoint *c); /* its metadata says what a folder's other files would say */
int checkpoint_count(const struct checkpoint *c);
const struct ck_tensor *checkpoint_tensor(const struct checkpoint *c, int i); /* ordered by file, then by offset */
const struct ck_tensor *checkpoint_find(const struct checkpoint *c, const char *name); /* NULL: none */
int checkpoint_files(const struct checkpoint *c);
const char *checkpoint_file(const struct checkpoint *c, int file);               /* its name without a path */
int checkpoint_descriptor(const struct checkpoint *c, int file, uint64_t *size); /* for reading; -1: there is none */
/* Hashes names and sizes of the files. */
uint64_t checkpoint_layout(const struct checkpoint *c);
/* From now on bytes of files are read from elsewhere, by number of the file, any thread; NULL: from the files again. */
typedef int checkpoint_reader(void *arg, int file, uint64_t offset, void *dst, size_t n, struct why *why);
void checkpoint_read_by(struct checkpoint *c, checkpoint_reader *read, void *arg);
uint64_t checkpoint_bytes(const struct checkpoint *c); /* bytes of all tensors */
/* Hashes names, types, shapes and sampled content: the same tensors give the same number in any format. Reads a little
 * of every tensor; returns 0 after a warning if that fails. */
uint64_t checkpoint_fingerprint(const struct checkpoint *c);
/* Hashes names, sizes and modification times of the files: what was made from them is valid while this stays the
 * same. */
uint64_t checkpoint_identity(const struct checkpoint *c);

/* Reads rows [row, row + rows) and columns [col, col + cols) of a tensor seen as (shape[0], product of the rest), in
 * its own type, to dst (rows, cols), contiguous. A scalar is (1, 1). Reads only those bytes. Any thread. */
int checkpoint_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		    int64_t cols, void *dst, struct why *why);
uint64_t checkpoint_bytes_read(const struct checkpoint *c); /* bytes that checkpoint_read() has read so far */
/* Starts a thread that reads part `rank` of `size` of all files ahead, in file order, within a bounded window before
 * checkpoint_read(). It is a hint: call it once, before reading. checkpoint_close() ends it. */
/* Where ranks are on several machines: this process is `reader` of `readers` that read the files from one; 0 readers:
 * nothing is read ahead. Instead of what checkpoint_prefetch() is called with. */
void checkpoint_share(struct checkpoint *c, int reader, int readers);
void checkpoint_prefetch(struct checkpoint *c, int rank, int size);

/* Writes a shape such as "[13824, 5120]", for messages. Returns out. */
const char *ck_shape_text(const struct ck_tensor *t, char *out, size_t size);

#endif
