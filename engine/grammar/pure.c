/* pure.c - kinds of pure characters, and which of them may follow a state of a table. */
#include "engine/grammar/inside.h"

#define FOUR(c) c, c, c, c
#define SIXTEEN(c) FOUR(c), FOUR(c), FOUR(c), FOUR(c)
#define LETTERS_26(c) SIXTEEN(c), FOUR(c), FOUR(c), c, c
enum { O = PURE_OTHER, N = PURE_CLASSES };
/* No pure characters are control characters, the quote, the backslash and DEL, nor any of U+0080 to U+009F, U+2028 and
 * U+2029, which "." leaves out. */
const uint8_t pure_class[256] = {SIXTEEN(N),
				 SIXTEEN(N),
				 PURE_BLANK,
				 O,
				 N,
				 O,
				 FOUR(O),
				 FOUR(O),
				 FOUR(O),
				 SIXTEEN(O),
				 O,
				 LETTERS_26(PURE_LETTERS),
				 O,
				 N,
				 O,
				 O,
				 O,
				 O,
				 LETTERS_26(PURE_SMALL),
				 FOUR(O),
				 N,
				 SIXTEEN(N),
				 SIXTEEN(N),
				 SIXTEEN(N),
				 SIXTEEN(N),
				 SIXTEEN(N),
				 SIXTEEN(N),
				 SIXTEEN(N),
				 SIXTEEN(N)};

uint64_t pure_bit(unsigned byte)
{
	enum { SIGNS = 5 };
	unsigned sign = byte - '!' - (byte > '9' ? 10 : 0) - (byte > 'Z' ? 26 : 0) - (byte > 'z' ? 26 : 0);

	if (byte >= 0x80)
		return PURE_WIDE_BIT;
	if (pure_class[byte] < PURE_OTHER)
		return (uint64_t)1 << pure_class[byte];
	if (pure_class[byte] > PURE_OTHER)
		return 0;
	return (uint64_t)1 << (byte >= '0' && byte <= '9' ? SIGNS - 1 : SIGNS + sign);
}

/* One round over all states, the last first, since most ways lead to later ones. True: something changed. */
static bool spread(const struct table *t, const uint8_t *accept, const uint64_t *bits, uint64_t *out)
{
	bool changed = false;

	for (int i = t->n - 1; i >= 0; i--) {
		uint64_t may = out[i] | (accept[i] ? PURE_LEAVES : 0);
		for (int c = 0; c < t->classes; c++) {
			int32_t to = t->to[(size_t)i * (size_t)t->classes + (size_t)c];
			if (to >= 0 && bits[c])
				may |= bits[c] | out[to];
		}
		changed |= may != out[i];
		out[i] = may;
	}
	return changed;
}

uint64_t *pure_follow(const struct table *t, const uint8_t *accept)
{
	enum { WORK = 1 << 19 }; /* steps, beyond which everything is taken to be possible */
	uint64_t bits[256] = {0}, *out = heap_take((size_t)t->n + 1, sizeof *out);
	int64_t work = 0, round = (int64_t)t->n * t->classes;
	bool changed = true;

	for (unsigned b = 0; b < 256; b++)
		bits[t->class_of[b]] |= pure_bit(b);
	for (; out && changed && work + round <= WORK; work += round)
		changed = spread(t, accept, bits, out);
	for (int i = 0; out && changed && i < t->n; i++)
		out[i] = UINT64_MAX;
	return out;
}
