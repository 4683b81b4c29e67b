/* pack.h - packed weights of one rank in a file (--pack-cache). The next start maps its pages to where the weights are
 * used, without a copy or fresh memory. A key in the file's header and name identifies what it was made from; every
 * chunk has a checksum. A file that is truncated, damaged, made from something else, or made or writable by another
 * user is refused and written again. The mapping is shared with the file: truncating a mapped file ends the job with a
 * reason that says so (a private copy would take the memory that mapping saves). */
#ifndef ENGINE_MODELS_PACK_H
#define ENGINE_MODELS_PACK_H

#include "engine/models/options.h"

struct weight;

/* Memory to fill from the file, or to write to it, in a fixed order. */
struct pack_entry {
	void *data;
	size_t bytes;
	struct weight *w; /* owner of the memory, which is mapped if the backend can; NULL: memory that is read into */
	bool mapped;
};

struct pack_file {
	const char *dir;
	uint64_t key; /* of everything that decides the entries' bytes */
	int rank, size;
	struct pack_entry *entry; /* [n] */
	int n;
};

/* Mixes n bytes into a key. */
uint64_t pack_mix(uint64_t key, const void *data, size_t n);
/* Fills or maps all entries; progress counts their bytes. ERR_UNKNOWN: no such file. ERR_FORMAT, ERR_IO or ERR_DENIED,
 * naming the file: what entries hold is then undefined. */
int pack_read(const struct pack_file *f, struct load_progress *progress, struct why *why);
/* Writes a temporary file and renames it. ERR_IO. */
int pack_write(const struct pack_file *f, struct load_progress *progress, struct why *why);

#endif
