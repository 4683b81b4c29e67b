/* unicode.h - classes and normal forms of code points, as the reference engine has them (unicode_make.py). */
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
	UC_MARK = 64,   /* what StripAccents removes */
	UC_ACTIVE = 128 /* takes part in normalization: maps, reorders or composes */
};

void uc_init(void); /* any thread, any number of times; before any other call */
extern uint8_t uc_flags[0x110000];

static inline bool uc_is(uint32_t cp, int class)
{
	return uc_flags[cp] & class;
}

/* The lower case of cp: up to 3 code points; returns how many. */
int uc_lower(uint32_t cp, uint32_t out[3]);

/* A character of a changed text. change: how it relates to the text before: 0 stands for one character there, 1 was
 * inserted, -k stands for one and k more after it were removed. */
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
/* Appends the normal form (Unicode annex 15) of the characters of valid UTF-8. out->c is the caller's to free. */
void uc_normalize(enum uc_form form, const char *s, size_t len, struct uc_chars *out);

/* Characters with this property of regular expressions (a general category, "Han", "w" or "d") that came after Unicode
 * 14: n/2 ranges of first and last. NULL: none, or no such property. */
const uint32_t *uc_later(const char *name, size_t len, size_t *n);

#endif
