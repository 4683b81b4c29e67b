#include "engine/tokenizer/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/tokenizer/vocab.h"

enum { FILE_MAX = 256 << 20 }; /* bytes */

/* Stands for NUL while jansson has the text: a code point that is no character (U+10FFFE). */
static const char stand_in_escape[] = "\\uDBFF\\uDFFE", stand_in[] = "\xF4\x8F\xBF\xBE";

static int read_stream(FILE *f, const char *path, char **bytes, size_t *len, struct why *why)
{
	struct stat st;

	if (fstat(fileno(f), &st))
		return fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(why, ERR_IO, "%s: not a regular file", path);
	if (st.st_size > FILE_MAX)
		return fail(why, ERR_LIMIT, "%s: %lld bytes are more than the %d MiB that are read", path,
			    (long long)st.st_size, FILE_MAX >> 20);
	*bytes = xalloc((size_t)st.st_size + 1, 1);
	*len = fread(*bytes, 1, (size_t)st.st_size, f);
	if (*len == (size_t)st.st_size)
		return 0;
	free(*bytes);
	*bytes = NULL;
	return fail(why, ERR_IO, "%s: cannot read all of it", path);
}

int file_read(const char *dir, const char *name, char **bytes, size_t *len, struct why *why)
{
	char *path = xprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "rb");
	int err;

	*bytes = NULL;
	if (!f)
		err = fail(why, errno == ENOENT || errno == ENOTDIR ? ERR_UNKNOWN : ERR_IO, "%s: %s", path, strerror(errno));
	else
		err = read_stream(f, path, bytes, len, why);
	if (f)
		fclose(f);
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
	int err = file_read(dir, name, &bytes, &len, why);

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
