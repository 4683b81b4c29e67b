#include "engine/checkpoint/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	END = 22,
	END64 = 56,
	LOCATOR = 20,
	CENTRAL = 46,
	LOCAL = 30, /* bytes of the records' fixed parts */
	MAX_COMMENT = 65535,
	MAX_NAME = 1024,
	MAX_DIRECTORY = 64 << 20, /* bytes; over 500000 entries */
};

/* What the end records say about the central directory. */
struct end {
	uint64_t entries, size, offset;
	uint64_t at; /* offset of the end records */
};

static uint64_t get(const uint8_t *p, int bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | p[bytes];
	return n;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)get(p, 2);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get(p, 4);
}

static bool is_record(const uint8_t *p, int a, int b)
{
	return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

/* torch always writes this record, and it is right where the older record's fields are too small. */
static int read_end64(const struct source *s, struct end *e, struct why *why)
{
	uint8_t locator[LOCATOR], r[END64];
	uint64_t at;
	int err;

	if (e->at < LOCATOR)
		return 0;
	if ((err = source_read(s, e->at - LOCATOR, locator, LOCATOR, why)))
		return err;
	if (!is_record(locator, 6, 7))
		return 0;
	at = get(locator + 8, 8);
	if (at > e->at - LOCATOR || e->at - LOCATOR - at < END64)
		return fail(why, ERR_FORMAT, "the zip64 end record is said to be at %" PRIu64 ", outside the file", at);
	if ((err = source_read(s, at, r, END64, why)))
		return err;
	if (!is_record(r, 6, 6))
		return fail(why, ERR_FORMAT, "no zip64 end record at %" PRIu64, at);
	if (get32(locator + 16) > 1 || get32(r + 16) || get32(r + 20) || get(r + 24, 8) != get(r + 32, 8))
		return fail(why, ERR_UNSUPPORTED, "a zip archive in several parts");
	*e = (struct end){.entries = get(r + 32, 8), .size = get(r + 40, 8), .offset = get(r + 48, 8), .at = at};
	return 0;
}

/* Finds the last record whose comment ends the file. */
static int find_end(const struct source *s, struct end *e, struct why *why)
{
	uint64_t n = s->size < END + MAX_COMMENT ? s->size : END + MAX_COMMENT;
	uint8_t *tail = xalloc((size_t)n, 1);
	int err = source_read(s, s->size - n, tail, (size_t)n, why);
	int64_t i = err ? -1 : (int64_t)n - END;

	for (; i >= 0; i--)
		if (is_record(tail + i, 5, 6) && get16(tail + i + 20) == n - END - (uint64_t)i)
			break;
	if (i >= 0) {
		const uint8_t *r = tail + i;
		*e = (struct end){get16(r + 10), get32(r + 12), get32(r + 16), s->size - n + (uint64_t)i};
		if (get16(r + 4) || get16(r + 6) || get16(r + 8) != get16(r + 10))
			err = fail(why, ERR_UNSUPPORTED, "a zip archive in several parts");
	} else if (!err) {
		err = fail(why, ERR_FORMAT,
			   "truncated, or no zip archive: no end record in the last %" PRIu64 " of %" PRIu64 " bytes",
			   n, s->size);
	}
	free(tail);
	return err;
}

static int check_end(const struct end *e, struct why *why)
{
	if (e->offset > e->at || e->size > e->at - e->offset)
		return fail(why, ERR_FORMAT, "the central directory [%" PRIu64 ", +%" PRIu64 ") is outside the file",
			    e->offset, e->size);
	if (e->size > MAX_DIRECTORY)
		return fail(why, ERR_FORMAT, "a central directory of %" PRIu64 " bytes; the most is %d", e->size,
			    MAX_DIRECTORY);
	if (e->entries > e->size / CENTRAL)
		return fail(why, ERR_FORMAT, "the central directory has no room for %" PRIu64 " entries", e->entries);
	return 0;
}

/* The zip64 part of the extra field has the sizes and the offset, in this order, whose 32-bit fields are all ones. */
static int take_zip64(struct zip_entry *e, uint64_t *stored, const uint8_t *extra, size_t n, struct why *why)
{
	uint64_t *field[] = {&e->size, stored, &e->local};

	while (n >= 4) {
		size_t len = get16(extra + 2), used = 4;
		if (len > n - 4)
			break;
		for (int i = 0; i < 3 && get16(extra) == 1; i++) {
			if (*field[i] != UINT32_MAX)
				continue;
			if (used + 8 > 4 + len)
				return fail(why, ERR_FORMAT, "entry %s: its zip64 field is too short", e->name);
			*field[i] = get(extra + used, 8);
			used += 8;
		}
		extra += 4 + len;
		n -= 4 + len;
	}
	return 0;
}

/* Names reach messages, so control characters are refused. */
static int take_name(struct zip_entry *e, const uint8_t *name, size_t n, struct why *why)
{
	if (!n || n > MAX_NAME)
		return fail(why, ERR_FORMAT, "an entry's name has %zu bytes; the most is %d", n, MAX_NAME);
	for (size_t i = 0; i < n; i++)
		if (name[i] < 0x20 || name[i] == 0x7f)
			return fail(why, ERR_FORMAT, "an entry's name holds the control character 0x%02x", name[i]);
	e->name = xprintf("%.*s", (int)n, (const char *)name);
	return 0;
}

/* Reads one record of the directory. *used: its length. */
static int take_entry(struct zip *z, const uint8_t *r, size_t n, size_t *used, struct why *why)
{
	struct zip_entry *e = &z->e[z->n];
	uint64_t stored;
	size_t name, extra;
	int err;

	if (n < CENTRAL || !is_record(r, 1, 2))
		return fail(why, ERR_FORMAT, "the central directory is damaged at entry %d", z->n);
	name = get16(r + 28);
	extra = get16(r + 30);
	*used = CENTRAL + name + extra + get16(r + 32);
	if (*used > n)
		return fail(why, ERR_FORMAT, "the central directory ends inside entry %d", z->n);
	if ((err = take_name(e, r + CENTRAL, name, why)))
		return err;
	z->n++;
	e->crc = get32(r + 16);
	stored = get32(r + 20);
	e->size = get32(r + 24);
	e->local = get32(r + 42);
	if (get16(r + 10) || get16(r + 8) & 1)
		return fail(why, ERR_UNSUPPORTED, "entry %s is %s; torch.save stores its entries as they are", e->name,
			    get16(r + 8) & 1 ? "encrypted" : "compressed");
	if ((err = take_zip64(e, &stored, r + CENTRAL + name, extra, why)))
		return err;
	if (stored != e->size)
		return fail(why, ERR_FORMAT, "entry %s: two sizes, %" PRIu64 " and %" PRIu64, e->name, stored, e->size);
	if (e->local > z->directory || e->size > z->directory - e->local)
		return fail(why, ERR_FORMAT, "entry %s: its %" PRIu64 " bytes at %" PRIu64 " are outside the file",
			    e->name, e->size, e->local);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct zip_entry *)a)->name, ((const struct zip_entry *)b)->name);
}

static int take_directory(struct zip *z, const uint8_t *data, const struct end *e, struct why *why)
{
	size_t at = 0, used = 0;
	int err;

	z->e = xalloc((size_t)e->entries, sizeof *z->e);
	z->directory = e->offset;
	for (uint64_t i = 0; i < e->entries; i++, at += used)
		if ((err = take_entry(z, data + at, (size_t)e->size - at, &used, why)))
			return err;
	qsort(z->e, (size_t)z->n, sizeof *z->e, by_name);
	for (int i = 1; i < z->n; i++)
		if (!strcmp(z->e[i - 1].name, z->e[i].name))
			return fail(why, ERR_FORMAT, "entry %s occurs twice", z->e[i].name);
	return 0;
}

int zip_open(struct zip *z, const struct source *s, struct why *why)
{
	struct end e = {0};
	uint8_t *data;
	int err;

	*z = (struct zip){.s = s};
	if ((err = find_end(s, &e, why)) || (err = read_end64(s, &e, why)) || (err = check_end(&e, why)))
		return err;
	data = xalloc((size_t)e.size, 1);
	err = source_read(s, e.offset, data, (size_t)e.size, why);
	if (!err)
		err = take_directory(z, data, &e, why);
	free(data);
	if (err)
		zip_close(z);
	return err;
}

void zip_close(struct zip *z)
{
	for (int i = 0; i < z->n; i++)
		free(z->e[i].name);
	free(z->e);
	*z = (struct zip){0};
}

const struct zip_entry *zip_find(const struct zip *z, const char *name)
{
	struct zip_entry key = {.name = (char *)name};

	return z->n ? bsearch(&key, z->e, (size_t)z->n, sizeof *z->e, by_name) : NULL;
}

int zip_data(const struct zip *z, const struct zip_entry *e, uint64_t *offset, struct why *why)
{
	uint8_t r[LOCAL + MAX_NAME];
	size_t name = strlen(e->name);
	int err;

	if (z->directory - e->local < LOCAL + name)
		return fail(why, ERR_FORMAT, "entry %s: its header is outside the file", e->name);
	if ((err = source_read(z->s, e->local, r, LOCAL + name, why)))
		return err;
	/* Sizes and checksum may be 0 here, and the extra field (padding) may differ from the directory's. */
	if (!is_record(r, 3, 4) || get16(r + 26) != name || memcmp(r + LOCAL, e->name, name))
		return fail(why, ERR_FORMAT, "entry %s: no header of this entry at %" PRIu64, e->name, e->local);
	*offset = e->local + LOCAL + name + get16(r + 28);
	if (*offset > z->directory || e->size > z->directory - *offset)
		return fail(why, ERR_FORMAT, "entry %s: its %" PRIu64 " bytes at %" PRIu64 " are outside the file",
			    e->name, e->size, *offset);
	return 0;
}

/* Computes the CRC-32 of ISO 3309, half a byte at a time. */
uint32_t zip_crc(const void *data, size_t n)
{
	static const uint32_t step[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ step[crc & 15];
		crc = crc >> 4 ^ step[crc & 15];
	}
	return ~crc;
}
