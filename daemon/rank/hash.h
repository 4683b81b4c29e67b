/* hash.h - for tests of the numbers contract: appends a line "call position hash" for every row of logits to a file. */
#ifndef DAEMON_RANK_HASH_H
#define DAEMON_RANK_HASH_H

#include "engine/sample/sample.h"

struct hash_file;
struct hash_file *hash_open(const char *path);
void hash_row(struct hash_file *h, const struct sample *what, const float *logits, int vocab);
void hash_close(struct hash_file *h); /* NULL is fine */
/* FNV-1a over the bits of n floats. */
uint64_t hash_floats(const float *f, size_t n);

#endif
