/* json.h - reads the JSON files of a tokenizer. */
#ifndef ENGINE_TOKENIZER_JSON_H
#define ENGINE_TOKENIZER_JSON_H

#include "base/json/json.h"

/* Reads all of dir/name into *bytes: NUL-terminated, freed by the caller. ERR_UNKNOWN: no such file; else the errors of
 * file_read(). */
int tokenizer_file(const char *dir, const char *name, char **bytes, size_t *len, struct why *why);
/* Reads a JSON object. ERR_UNKNOWN: no such file. The caller closes *out with json_close(). *fingerprint includes the
 * bytes. */
int tokenizer_json(struct json_doc **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why);

/* Copies the text of a string value; the caller frees it. */
char *json_copy_text(const struct json *v, size_t *len);

bool json_flag(const struct json *object, const char *key, bool otherwise);
const char *json_word(const struct json *object, const char *key); /* NULL: absent, null or not a string */

#endif
