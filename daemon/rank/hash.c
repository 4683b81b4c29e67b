#include "daemon/rank/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"

struct hash_file {
	FILE *f;
};

struct hash_file *hash_open(const char *path)
{
	struct hash_file *h = xalloc(1, sizeof *h);

	h->f = fopen(path, "a");
	if (!h->f)
		die("--hash-rows: %s: %s", path, file_error(path, errno));
	return h;
}

uint64_t hash_floats(const float *f, size_t n)
{
	const unsigned char *bytes = (const unsigned char *)f;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n * sizeof *f; i++)
		h = (h ^ bytes[i]) * 0x100000001b3u;
	return h;
}

void hash_row(struct hash_file *h, const struct sample *what, const float *logits, int vocab)
{
	fprintf(h->f, "%" PRIu64 " %d %016" PRIx64 "\n", what->call, what->pos, hash_floats(logits, (size_t)vocab));
	fflush(h->f);
}

void hash_close(struct hash_file *h)
{
	if (!h)
		return;
	fclose(h->f);
	free(h);
}
