/* zip.h - reads the archives that torch.save writes: stored entries, found through the central directory alone.
 *
 * Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3 (zip64). */
#ifndef ENGINE_CHECKPOINT_ZIP_H
#define ENGINE_CHECKPOINT_ZIP_H

#include "engine/checkpoint/inside.h"

struct zip_entry {
	char *name;
	uint64_t local; /* offset of its local header, bytes */
	uint64_t size;  /* size of its data, bytes */
	uint32_t crc;
};

struct zip {
	const struct source *s; /* borrowed */
	struct zip_entry *e;    /* (n) sorted by name */
	int n;
	uint64_t directory; /* where the central directory begins; all data ends before it */
};

/* ERR_FORMAT, ERR_UNSUPPORTED (compressed, encrypted, in several parts), ERR_IO; the text names the entry. After an
 * error there is nothing to close. */
int zip_open(struct zip *z, const struct source *s, struct why *why);
void zip_close(struct zip *z);
const struct zip_entry *zip_find(const struct zip *z, const char *name); /* NULL: none */
/* Finds where the data of an entry begins in the file, and checks that the file has all of it. */
int zip_data(const struct zip *z, const struct zip_entry *e, uint64_t *offset, struct why *why);
uint32_t zip_crc(const void *data, size_t n);

#endif
