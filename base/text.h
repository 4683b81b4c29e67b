/* text.h - a growing text, and JSON written into it. Not for secrets: memory is not wiped. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* (len) bytes, always with a NUL after them once something was put */
	size_t len, max;
};

void text_put(struct text *t, const char *bytes, size_t len);
void text_str(struct text *t, const char *s);
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes (RFC 8259); bytes that are not UTF-8 become U+FFFD. */
void text_json(struct text *t, const char *bytes, size_t len);
void text_json_str(struct text *t, const char *s);
/* A float as the shortest JSON number that reads back as the same float; NaN and what lies beyond is limited to +-9999.
 */
void text_number(struct text *t, float x);
/* ", 1:05 left" or ", 2:01:05 left", for a line of progress. */
void text_left(struct text *t, double seconds);
void text_finish(struct text *t); /* frees; can be used again */

#endif
