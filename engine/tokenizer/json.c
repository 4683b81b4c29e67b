#include "engine/tokenizer/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "engine/tokenizer/vocab.h"

int tokenizer_file(const char *dir, const char *name, char **bytes, size_t *len, struct why *why)
{
	char *path = xprintf("%s/%s", dir, name);
	int err = file_read(path, FILE_TOKENIZER, bytes, len, why);

	free(path);
	return err;
}

int tokenizer_json(struct json_doc **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why)
{
	char *path = xprintf("%s/%s", dir, name), *bytes;
	size_t len;
	int err = file_read(path, FILE_TOKENIZER, &bytes, &len, why);

	*out = NULL;
	if (!err) {
		*fingerprint = bytes_hash(bytes, len, *fingerprint);
		err = json_read_object(out, bytes, len, &json_of_files, path, why);
	}
	free(bytes);
	free(path);
	return err;
}

char *json_copy_text(const struct json *v, size_t *len)
{
	char *s;

	*len = json_len(v);
	s = xalloc(*len + 1, 1);
	if (*len)
		memcpy(s, json_str(v), *len);
	return s;
}

bool json_flag(const struct json *object, const char *key, bool otherwise)
{
	const struct json *v = json_get(object, key);

	return json_is(v, JSON_IS_BOOL) ? v->yes : otherwise;
}

const char *json_word(const struct json *object, const char *key)
{
	return json_str(json_get(object, key));
}
