/* Drives a tokenizer for the scripts beside it: tok DIR, then records on standard input.
 *
 * A record: u8 flags, u32 length, bytes. Answer to an encode: u32 n, n x i32 ids, and with offsets n x 2 x u32.
 * To a decode (the bytes are i32 ids): u32 length, bytes of the stream of single tokens; to a decode behind a text, the
 * bytes are i32 number of ids of the text, i32 ids of both, and the answer is what the stream of the rest gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gguf/documents.h"
#include "engine/tokenizer/tokenizer.h"

enum { ADD_SPECIAL = 1, PARSE_SPECIAL = 2, OFFSETS = 4, DECODE = 8, SKIP_SPECIAL = 16, BEHIND = 32 };

static void put_u32(uint32_t v)
{
	fwrite(&v, sizeof v, 1, stdout);
}

static void encode(const struct tokenizer *t, int flags, const char *s, size_t len)
{
	struct encode_options how = {flags & ADD_SPECIAL, flags & PARSE_SPECIAL};
	struct ids ids = {.want_offsets = flags & OFFSETS};
	struct why why;

	if (tokenizer_encode(t, s, len, &how, &ids, &why)) {
		fprintf(stderr, "tok: %s\n", why.text);
		exit(1);
	}
	put_u32((uint32_t)ids.n);
	fwrite(ids.id, sizeof *ids.id, (size_t)ids.n, stdout);
	if (flags & OFFSETS)
		fwrite(ids.offset, sizeof *ids.offset, (size_t)ids.n, stdout);
	ids_finish(&ids);
}

static void decode(const struct tokenizer *t, int flags, const char *s, size_t len)
{
	size_t n;
	int32_t *ids = xalloc(len + 1, 1);
	char *text;

	memcpy(ids, s, len);
	text = tokenizer_decode(t, ids, (int)(len / sizeof *ids), flags & SKIP_SPECIAL, &n);
	put_u32((uint32_t)n);
	fwrite(text, 1, n, stdout);
	free(text);
	free(ids);
}

static void behind(const struct tokenizer *t, int flags, const char *s, size_t len)
{
	struct detok *d = detok_create(t, flags & SKIP_SPECIAL);
	int32_t *ids = xalloc(len + 1, 1);
	int n = (int)(len / sizeof *ids);
	char *all = NULL;
	size_t size = 0, part;
	FILE *f = open_memstream(&all, &size);

	memcpy(ids, s, len);
	detok_follow(d, ids + 1, ids[0]);
	for (int i = 1 + ids[0]; i <= n; i++) {
		const char *text = i < n ? detok_next(d, ids[i], &part) : detok_end(d, &part);

		fwrite(text, 1, part, f);
	}
	fclose(f);
	put_u32((uint32_t)size);
	fwrite(all, 1, size, stdout);
	free(all);
	free(ids);
	detok_destroy(d);
}

int main(int argc, char **argv)
{
	struct tokenizer *t;
	struct why why;
	uint32_t len;
	int flags;

	gguf_serve_documents();
	if (argc != 2 || tokenizer_open(&t, argv[1], &why)) {
		fprintf(stderr, "tok: %s\n", argc == 2 ? why.text : "usage: tok DIR");
		return 1;
	}
	while ((flags = getchar()) != EOF && fread(&len, sizeof len, 1, stdin) == 1) {
		char *s = xalloc((size_t)len + 1, 1);

		if (fread(s, 1, len, stdin) != len)
			return 1;
		(flags & BEHIND ? behind : flags & DECODE ? decode : encode)(t, flags, s, len);
		fflush(stdout);
		free(s);
	}
	tokenizer_close(t);
	return 0;
}
