/* json.h - the JSON files of a tokenizer. NUL characters, which jansson does not take in keys, come through. */
#ifndef ENGINE_TOKENIZER_JSON_H
#define ENGINE_TOKENIZER_JSON_H

#include <jansson.h>

#include "parallel/base.h"

/* Reads all of dir/name: malloced, NUL after the end. ERR_UNKNOWN: there is no such file; the errors of file_read(). */
int tokenizer_file(const char *dir, const char *name, char **bytes, size_t *len, struct why *why);
/* ERR_UNKNOWN: there is no such file. The caller ends *out with json_decref(). The bytes are mixed into *fingerprint. */
int json_open(json_t **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why);

/* Text of a key or a string value, NUL characters in place; malloced. */
char *json_text(const char *s, size_t n, size_t *len);

bool json_flag(const json_t *object, const char *key, bool otherwise);
const char *json_word(const json_t *object, const char *key); /* NULL: absent, null or not a string */

#endif
