/* archive.h - PyTorch files made byte by byte, for tests. */
#ifndef TESTS_UNIT_ARCHIVE_H
#define TESTS_UNIT_ARCHIVE_H

#include "engine/checkpoint/inside.h"
#include "engine/checkpoint/zip.h"

#include <string.h>

/* Bytes put together. */
struct bytes {
	uint8_t b[1 << 16];
	size_t n;
};

static inline void put(struct bytes *o, const void *p, size_t n)
{
	REQUIRE(o->n + n <= sizeof o->b);
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

static inline void put_int(struct bytes *o, uint64_t v, size_t bytes)
{
	put(o, &v, bytes);
}

static inline void put_text(struct bytes *o, const char *s)
{
	put(o, s, strlen(s));
}

/* An archive of a pickle and a storage of 96 bytes (0, 1, 2 ...), as torch lays it out; marks say where its parts are.
 */
struct archive {
	struct bytes file;
	size_t pickle_local, data_local, data, central, data_central, end64, locator, end;
};

static inline size_t put_local(struct bytes *o, const char *name, const void *data, size_t n)
{
	static const uint8_t pad[64];
	size_t at = o->n, fill;

	put_int(o, 0x04034b50, 4);
	put_int(o, 0x08080000, 6); /* version, bit 3: sizes follow */
	put_int(o, 0, 8);
	put_int(o, 0, 8);
	put_int(o, strlen(name), 2);
	fill = 64 - (o->n + 2 + strlen(name)) % 64;
	put_int(o, fill, 2);
	put_text(o, name);
	put(o, pad, fill);
	put(o, data, n);
	return at;
}

static inline void put_central(struct bytes *o, const char *name, size_t size, size_t local, uint32_t crc)
{
	put_int(o, 0x02014b50, 4);
	put_int(o, 0, 4);
	put_int(o, 0x0808, 2);
	put_int(o, 0, 6);
	put_int(o, crc, 4);
	put_int(o, size, 4);
	put_int(o, size, 4);
	put_int(o, strlen(name), 2);
	put_int(o, 0, 8);
	put_int(o, 0, 4);
	put_int(o, local, 4);
	put_text(o, name);
}

static inline void make(struct archive *a, const void *pickle, size_t n)
{
	uint8_t data[96];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)i;
	a->file.n = 0;
	a->pickle_local = put_local(&a->file, "a/data.pkl", pickle, n);
	a->data_local = put_local(&a->file, "a/data/0", data, sizeof data);
	a->data = a->file.n - sizeof data;
	a->central = a->file.n;
	put_central(&a->file, "a/data.pkl", n, a->pickle_local, zip_crc(pickle, n));
	a->data_central = a->file.n;
	put_central(&a->file, "a/data/0", sizeof data, a->data_local, zip_crc(data, sizeof data));
	a->end64 = a->file.n;
	put_int(&a->file, 0x06064b50, 4);
	put_int(&a->file, 44, 8);
	put_int(&a->file, 0, 4);
	put_int(&a->file, 0, 8);
	put_int(&a->file, 2, 8);
	put_int(&a->file, 2, 8);
	put_int(&a->file, a->end64 - a->central, 8);
	put_int(&a->file, a->central, 8);
	a->locator = a->file.n;
	put_int(&a->file, 0x07064b50, 4);
	put_int(&a->file, 0, 4);
	put_int(&a->file, a->end64, 8);
	put_int(&a->file, 1, 4);
	a->end = a->file.n;
	put_int(&a->file, 0x06054b50, 4);
	put_int(&a->file, 0, 4);
	put_int(&a->file, 2, 2);
	put_int(&a->file, 2, 2);
	put_int(&a->file, UINT32_MAX, 4);
	put_int(&a->file, UINT32_MAX, 4);
	put_int(&a->file, 0, 2);
}

static inline int parse(const struct archive *a, size_t n, struct table *t, struct why *why)
{
	struct source s = source_memory("made.bin", a->file.b, n);
	int err;

	memset(t, 0, sizeof *t);
	err = torch_parse(&s, 0, t, why);
	free(s.name);
	return err;
}

#define STORAGE \
	"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" \
	"0X\3\0\0\0cpuK\x18tQ"
#define HOOKS "ccollections\nOrderedDict\n)R"
/* {"w": tensor of [2, 3] at 1} */
#define DICT_OPEN "\x80\2}q\0(X\1\0\0\0w"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define GOOD DICT_OPEN REBUILD "(" STORAGE "K\1K\2K\3\x86K\3K\1\x86\x89" HOOKS "tRu."

#endif
