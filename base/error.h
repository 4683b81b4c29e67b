/* error.h - codes and reasons for what clients, files and the system can get wrong.
 *
 * 0 is success, codes are negative, and none changes its number: the RPC sends them (enum Code of proto/xverse.proto
 * has the same names, the sign turned). */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum {
#define ERROR(name, value, text) name = value,
#include "base/error.def"
};
const char *err_text(int err); /* never NULL */
const char *err_name(int err); /* "ERR_BUSY" */

/* The reason of a refusal, written for a person, in whole characters of UTF-8. fail() fills it and returns `err`, as in
 * `return fail(why, ERR_FORMAT, ...)`. */
struct why {
	char text[512];
};
int fail(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* why may be NULL */

#endif
