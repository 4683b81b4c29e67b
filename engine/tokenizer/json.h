/* json.h - the JSON files of a tokenizer. */
#ifndef ENGINE_TOKENIZER_JSON_H
#define ENGINE_TOKENIZER_JSON_H

#include "base/json/json.h"

/* Reads all of dir/name: malloced, NUL after the end. ERR_UNKNOWN: there is no such file; the errors of file_read(). */
int tokenizer_file(const char *dir, const char *name, char **bytes, size_t *len, struct why *why);
/* An object. ERR_UNKNOWN: there is no such file. The caller ends *out with json_close(). The bytes are mixed into
 * *fingerprint. */
int tokenizer_json(struct json_doc **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why);

/* Text of a string value, malloced. */
char *json_copy_text(const struct json *v, size_t *len);

bool json_flag(const struct json *object, const char *key, bool otherwise);
const char *json_word(const struct json *object, const char *key); /* NULL: absent, null or not a string */

#endif
