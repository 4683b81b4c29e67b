/* utf8.h - UTF-8 (RFC 3629): code points and bytes. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the character whose first byte is `lead`, in valid UTF-8. */
static inline int utf8_len(unsigned char lead)
{
	return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* The code point at s, in valid UTF-8; *len is its length. */
static inline uint32_t utf8_get(const char *s, int *len)
{
	const unsigned char *p = (const unsigned char *)s;

	*len = utf8_len(p[0]);
	switch (*len) {
	case 1:
		return p[0];
	case 2:
		return (uint32_t)(p[0] & 31) << 6 | (p[1] & 63);
	case 3:
		return (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
	default:
		return (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 |
		       (p[3] & 63);
	}
}

/* Writes cp; returns the length. */
static inline int utf8_put(char *s, uint32_t cp)
{
	if (cp < 0x80)
		return s[0] = (char)cp, 1;
	if (cp < 0x800)
		return s[0] = (char)(0xC0 | cp >> 6), s[1] = (char)(0x80 | (cp & 63)), 2;
	if (cp < 0x10000)
		return s[0] = (char)(0xE0 | cp >> 12), s[1] = (char)(0x80 | (cp >> 6 & 63)),
		       s[2] = (char)(0x80 | (cp & 63)), 3;
	s[0] = (char)(0xF0 | cp >> 18), s[1] = (char)(0x80 | (cp >> 12 & 63));
	return s[2] = (char)(0x80 | (cp >> 6 & 63)), s[3] = (char)(0x80 | (cp & 63)), 4;
}

/* Any bytes: the length (>= 1) of the character at s, or, negative, of the maximal part of an ill-formed one (Unicode
 * 15, section 3.9, "substitution of maximal subparts"). *more, where given: the bytes end inside a character that may
 * still become valid. */
int utf8_check(const char *s, size_t len, int *more);
/* Any bytes: the length (1 to 4) of the whole character at s, or 0. */
int utf8_char(const char *s, size_t len);
/* Whether all of s is UTF-8. Where it is not, *at (may be NULL) is the first byte of what is none. */
bool utf8_valid(const char *s, size_t len, size_t *at);
/* Makes any bytes UTF-8 in place: removes partial characters and replaces what is not UTF-8 by '?'. Returns the length.
 */
size_t utf8_clean(char *s);
/* The number of the first line, from 1, with bytes that are not UTF-8; 0: there is none. */
int utf8_wrong_line(const char *s, size_t len);

#endif
