#include "engine/tokenizer/unicode.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/base.h"

#include "engine/tokenizer/unicode_tables.inc"

#define COUNT(table) (sizeof(table) / sizeof *(table))

uint8_t uc_flags[0x110000];

/* Maps cp to up to 18 code points. Entries follow each other as cp, n, code points...; `at` finds them. */
struct mapping {
	const uint32_t *table;
	uint32_t *at; /* (n) offsets in ascending order of cp */
	size_t n;
};
static struct mapping nfd, nfkd, lower;

enum {
	HANGUL = 0xAC00,
	HANGUL_COUNT = 11172,
	LEAD = 0x1100,
	VOWEL = 0x1161,
	TRAIL = 0x11A7,
	TRAILS = 28,
	PER_LEAD = 588
};

static void mark(const uint32_t *ranges, size_t n, int flag)
{
	for (size_t i = 0; i < n; i += 2)
		for (uint32_t c = ranges[i]; c <= ranges[i + 1]; c++)
			uc_flags[c] |= (uint8_t)flag;
}

static void index_mapping(struct mapping *m, const uint32_t *table, size_t len, int flag)
{
	m->table = table;
	m->at = xalloc(len / 3 + 1, sizeof *m->at);
	for (size_t i = 0; i < len; i += 2 + table[i + 1]) {
		m->at[m->n++] = (uint32_t)i;
		uc_flags[table[i]] |= (uint8_t)flag;
	}
}

static void build(void)
{
	mark(table_punct, COUNT(table_punct), UC_PUNCT);
	mark(table_numeric, COUNT(table_numeric), UC_NUMERIC);
	mark(table_letter, COUNT(table_letter), UC_LETTER);
	mark(table_number, COUNT(table_number), UC_NUMBER);
	mark(table_space, COUNT(table_space), UC_SPACE);
	mark(table_word, COUNT(table_word), UC_WORD);
	mark(table_mark, COUNT(table_mark), UC_MARK);
	index_mapping(&nfd, table_nfd, COUNT(table_nfd), UC_ACTIVE);
	index_mapping(&nfkd, table_nfkd, COUNT(table_nfkd), UC_ACTIVE);
	index_mapping(&lower, table_lower, COUNT(table_lower), 0);
	for (size_t i = 0; i < COUNT(table_ccc); i += 3)
		for (uint32_t c = table_ccc[i]; c <= table_ccc[i + 1]; c++)
			uc_flags[c] |= UC_ACTIVE;
	for (size_t i = 0; i < COUNT(table_compose); i += 3)
		uc_flags[table_compose[i + 1]] |= UC_ACTIVE;
	for (uint32_t c = HANGUL; c < HANGUL + HANGUL_COUNT; c++)
		uc_flags[c] |= UC_ACTIVE;
	for (uint32_t c = LEAD; c < TRAIL + TRAILS; c++)
		uc_flags[c] |= UC_ACTIVE;
}

void uc_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, build);
}

void uc_push(struct uc_chars *list, uint32_t cp, int change)
{
	size_t max = list->max + list->max / 2 + 64;
	void *c;

	if (list->n == list->max) {
		c = heap_grow(list->c, max, sizeof *list->c);
		if (!c)
			return;
		list->c = c;
		list->max = max;
	}
	list->c[list->n++] = (struct uc_char){cp, change};
}

static const uint32_t *find(const struct mapping *m, uint32_t cp, int *n)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const uint32_t *entry = m->table + m->at[mid];

		if (entry[0] == cp)
			return *n = (int)entry[1], entry + 2;
		if (entry[0] < cp)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

int uc_lower(uint32_t cp, uint32_t out[3])
{
	int n;
	const uint32_t *to = find(&lower, cp, &n);

	if (!to)
		return out[0] = cp, 1;
	memcpy(out, to, (size_t)n * sizeof *out);
	return n;
}

static int combining_class(uint32_t cp)
{
	size_t low = 0, high = COUNT(table_ccc) / 3;

	if (!uc_is(cp, UC_ACTIVE))
		return 0;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const uint32_t *r = table_ccc + 3 * mid;

		if (cp < r[0])
			high = mid;
		else if (cp > r[1])
			low = mid + 1;
		else
			return (int)r[2];
	}
	return 0;
}

/* Returns the composition of a and b, or 0. */
static uint32_t compose(uint32_t a, uint32_t b)
{
	size_t low = 0, high = COUNT(table_compose) / 3;

	if (a >= LEAD && a < LEAD + 19 && b >= VOWEL && b < VOWEL + 21)
		return HANGUL + (a - LEAD) * PER_LEAD + (b - VOWEL) * TRAILS;
	if (a >= HANGUL && a < HANGUL + HANGUL_COUNT && (a - HANGUL) % TRAILS == 0 && b > TRAIL && b < TRAIL + TRAILS)
		return a + (b - TRAIL);
	while (low < high) {
		size_t mid = (low + high) / 2;
		const uint32_t *r = table_compose + 3 * mid;

		if (r[0] == a && r[1] == b)
			return r[2];
		if (r[0] < a || (r[0] == a && r[1] < b))
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

/* Does the same for many marks: one pass counts the classes, one moves. */
static void sort_many_marks(struct uc_chars *list, size_t first)
{
	size_t n = list->n - first, at[257] = {0};
	struct uc_char *old = heap_grow(NULL, n, sizeof *old);

	if (!old)
		return;
	memcpy(old, list->c + first, n * sizeof *old);
	for (size_t i = 0; i < n; i++)
		at[combining_class(old[i].cp) + 1]++;
	for (int c = 0; c < 256; c++)
		at[c + 1] += at[c];
	for (size_t i = 0; i < n; i++)
		list->c[first + at[combining_class(old[i].cp)]++] = old[i];
	heap_free(old);
}

/* Sorts marks from `first` on by class; equal classes keep their order. */
static void sort_marks(struct uc_chars *list, size_t first)
{
	if (list->n - first > 24) {
		sort_many_marks(list, first);
		return;
	}
	for (size_t i = first + 1; i < list->n; i++) {
		struct uc_char c = list->c[i];
		int class = combining_class(c.cp);
		size_t j = i;

		for (; j > first && combining_class(list->c[j - 1].cp) > class; j--)
			list->c[j] = list->c[j - 1];
		list->c[j] = c;
	}
}

static void decompose(struct uc_chars *out, size_t *marks, uint32_t cp, int change)
{
	if (combining_class(cp)) {
		uc_push(out, cp, change);
		return;
	}
	sort_marks(out, *marks);
	uc_push(out, cp, change);
	*marks = out->n;
}

static void decompose_one(struct uc_chars *out, size_t *marks, uint32_t cp, bool compatibly)
{
	const uint32_t *to = NULL;
	int n = 0;

	if (cp >= HANGUL && cp < HANGUL + HANGUL_COUNT) {
		uint32_t s = cp - HANGUL;

		decompose(out, marks, LEAD + s / PER_LEAD, 0);
		decompose(out, marks, VOWEL + s % PER_LEAD / TRAILS, 1);
		if (s % TRAILS)
			decompose(out, marks, TRAIL + s % TRAILS, 1);
		return;
	}
	if (uc_is(cp, UC_ACTIVE) && (!compatibly || !(to = find(&nfkd, cp, &n))))
		to = find(&nfd, cp, &n);
	if (!to) {
		decompose(out, marks, cp, 0);
		return;
	}
	for (int i = 0; i < n; i++)
		decompose(out, marks, to[i], i > 0);
}

/* Annex 15, composition: a character joins the last starter unless a character of no lower class is between them. */
static void compose_all(struct uc_chars *list)
{
	size_t starter = SIZE_MAX, n = 0;
	int last = -1; /* class of the last character kept since the starter; -1: none */

	for (size_t i = 0; i < list->n; i++) {
		struct uc_char c = list->c[i];
		int class = combining_class(c.cp);
		uint32_t joined =
			starter != SIZE_MAX && (last < 0 || last < class) ? compose(list->c[starter].cp, c.cp) : 0;

		if (joined) {
			list->c[starter].cp = joined;
			list->c[starter].change += c.change - 1;
			continue;
		}
		if (class == 0) {
			starter = n;
			last = -1;
		} else if (starter != SIZE_MAX) {
			last = class;
		}
		list->c[n++] = c;
	}
	list->n = n;
}

void uc_normalize(enum uc_form form, const char *s, size_t len, struct uc_chars *out)
{
	bool compatibly = form == UC_NFKD || form == UC_NFKC;
	size_t marks = out->n;
	int n;

	for (size_t i = 0; i < len; i += (size_t)n)
		decompose_one(out, &marks, utf8_get(s + i, &n), compatibly);
	sort_marks(out, marks);
	if (form == UC_NFC || form == UC_NFKC)
		compose_all(out);
}

const uint32_t *uc_later(const char *name, size_t len, size_t *n)
{
	for (size_t i = 0; i < COUNT(later); i++)
		if (strlen(later[i].name) == len && memcmp(later[i].name, name, len) == 0)
			return *n = later[i].n, later[i].n ? later[i].ranges : NULL;
	return NULL;
}
