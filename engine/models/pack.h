/* pack.h - packed weights of one rank in a file (--pack-cache), whose pages the next start maps to where they are
 * used: nothing is copied, and no fresh memory is taken. A file names what it was made from by a key in its header
 * and its name; every piece carries a checksum. What is truncated, damaged or made from something else is refused,
 * and made again, and so is one that another user made or may write to. The mapping is shared with the file: one that
 * is cut short while it is mapped ends the job with a reason that says so (a private copy would take the memory that
 * mapping saves). */
#ifndef ENGINE_MODELS_PACK_H
#define ENGINE_MODELS_PACK_H

#include "engine/models/options.h"

struct weight;

/* Memory to be filled or kept, in a fixed order. */
struct pack_entry {
	void *data;
	size_t bytes;
	struct weight *w; /* whose memory it is: to be mapped, where that can be; NULL: to be read */
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
/* 0: all entries are filled or mapped, progress counts their bytes. ERR_UNKNOWN: no such file; ERR_FORMAT or ERR_IO
 * with a text that names it: entries hold anything. */
int pack_read(const struct pack_file *f, struct load_progress *progress, struct why *why);
/* Written beside and renamed. ERR_IO. */
int pack_write(const struct pack_file *f, struct why *why);

#endif
