/* unicode.h - classes and normal forms of code points, as in the reference engine (unicode_make.py). */
#ifndef ENGINE_TOKENIZER_UNICODE_H
#define ENGINE_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UC_PUNCT = 1,
	UC_NUMERIC = 2, /* Nd, Nl, No */
	UC_LETTER = 4,  /* \p{L} */
	UC_NUMBER = 8,  /* \p{N} */
	UC_SPACE = 16,  /* \s */
	UC_WORD = 32,   /* \w of Whitespace and single_word */
	UC_MARK = 64,   /* StripAccents removes it */
	UC_ACTIVE = 128 /* normalization maps, reorders or composes it */
};

void uc_init(void); /* call it before all others; any thread, any number of times */
extern uint8_t uc_flags[0x110000];

static inline bool uc_is(uint32_t cp, int class)
{
	return uc_flags[cp] & class;
}

/* Writes the lower case of cp, up to 3 code points; returns how many. */
int uc_lower(uint32_t cp, uint32_t out[3]);

/* A character of a changed text. change: how it relates to the text before. 0: it stands for one character there; 1: it
 * was inserted; -k: it stands for one, and k more after it were removed. */
struct uc_char {
	uint32_t cp;
	int32_t change;
};
struct uc_chars {
	struct uc_char *c;
	size_t n, max;
};
void uc_push(struct uc_chars *list, uint32_t cp, int change);

enum uc_form { UC_NFD, UC_NFC, UC_NFKD, UC_NFKC };
/* Appends the normal form (Unicode annex 15) of valid UTF-8. The caller frees out->c. */
void uc_normalize(enum uc_form form, const char *s, size_t len, struct uc_chars *out);

/* Returns the n/2 ranges (first, last) of characters that have this property of regular expressions (a general
 * category, "Han", "w" or "d") since after Unicode 14. NULL: none, or no such property. */
const uint32_t *uc_later(const char *name, size_t len, size_t *n);

#endif
