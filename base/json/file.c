/* file.c - an object from a file. */
#include <stdlib.h>

#include "base/file/file.h"
#include "base/json/json.h"

int json_read_object(struct json_doc **out, const char *text, size_t len, const struct json_rules *rules,
		     const char *name, struct why *why)
{
	struct json_error e;
	int err = 0;

	*out = json_read(text, len, rules, &e);
	if (!*out)
		return len ? json_why(why, &e, name)
			   : fail(why, ERR_FORMAT, "%.300s: empty; a JSON object is needed", name);
	if (!json_is(json_root(*out), JSON_IS_OBJECT)) {
		err = fail(why, ERR_FORMAT, "%.300s: it is %s; a JSON object is needed", name,
			   json_kind_name(json_root(*out)));
		json_close(*out);
		*out = NULL;
	}
	return err;
}

int json_read_file(struct json_doc **out, const char *path, uint64_t most, struct why *why)
{
	char *bytes;
	size_t len;
	int err = file_read(path, most, &bytes, &len, why);

	*out = NULL;
	if (!err)
		err = json_read_object(out, bytes, len, &json_of_files, path, why);
	free(bytes);
	return err;
}
