#include "engine/tokenizer/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "engine/tokenizer/vocab.h"

/* Stands for NUL while jansson has the text: a code point that is no character (U+10FFFE). */
static const char stand_in_escape[] = "\\uDBFF\\uDFFE", stand_in[] = "\xF4\x8F\xBF\xBE";

int tokenizer_file(const char *dir, const char *name, char **bytes, size_t *len, struct why *why)
{
	char *path = xprintf("%s/%s", dir, name);
	int err = file_read(path, FILE_TOKENIZER, bytes, len, why);

	free(path);
	return err;
}

/* Every \u0000 becomes the stand-in; malloced. */
static char *hide_nul(const char *s, size_t len, size_t *out_len)
{
	size_t n = 0, count = 0;
	char *out;

	for (const char *p = s; (p = memmem(p, (size_t)(s + len - p), "\\u0000", 6)); p += 6)
		count++;
	out = xalloc(len + count * sizeof stand_in_escape + 1, 1);
	for (size_t i = 0; i < len;) {
		if (s[i] != '\\' || i + 1 == len) {
			out[n++] = s[i++];
		} else if (len - i >= 6 && memcmp(s + i, "\\u0000", 6) == 0) {
			memcpy(out + n, stand_in_escape, sizeof stand_in_escape - 1);
			n += sizeof stand_in_escape - 1;
			i += 6;
		} else {
			out[n++] = s[i++];
			out[n++] = s[i++];
		}
	}
	*out_len = n;
	return out;
}

int json_open(json_t **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why)
{
	size_t len, n;
	char *bytes, *text;
	json_error_t e;
	int err = tokenizer_file(dir, name, &bytes, &len, why);

	*out = NULL;
	if (err)
		return err;
	*fingerprint = bytes_hash(bytes, len, *fingerprint);
	text = hide_nul(bytes, len, &n);
	free(bytes);
	*out = json_loadb(text, n, 0, &e);
	free(text);
	if (!*out)
		return fail(why, ERR_FORMAT, "%s/%s: line %d: %s", dir, name, e.line, e.text);
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return fail(why, ERR_FORMAT, "%s/%s: not a JSON object", dir, name);
}

char *json_text(const char *s, size_t n, size_t *len)
{
	char *out = xalloc(n + 1, 1), *p = out;

	for (size_t i = 0; i < n;) {
		if (n - i >= 4 && memcmp(s + i, stand_in, 4) == 0) {
			*p++ = '\0';
			i += 4;
		} else {
			*p++ = s[i++];
		}
	}
	*len = (size_t)(p - out);
	return out;
}

bool json_flag(const json_t *object, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(object, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

const char *json_word(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}
