/* For check_json: documents on standard input (4 bytes of size, little end first, then the text); for each one line,
 * "V" and the value written again, or "R" and why it is refused. --strict: by rules without duplicates, specials and
 * halves of pairs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"

static bool take(void *to, size_t n)
{
	return fread(to, 1, n, stdin) == n;
}

int main(int argc, char **argv)
{
	static const struct json_rules bare = {.depth = 1000, .values = SIZE_MAX, .bytes = 1 << 30};
	const struct json_rules *rules = argc > 1 && !strcmp(argv[1], "--strict") ? &bare : &json_of_files;
	uint8_t size[4];

	while (take(size, 4)) {
		size_t n = size[0] | size[1] << 8 | size[2] << 16 | (size_t)size[3] << 24;
		char *text = xalloc(n + 1, 1); /* of this size, so that a sanitizer sees a read beyond it */
		struct json_error e;
		struct json_doc *doc = take(text, n) ? json_read(text, n, rules, &e) : NULL;
		char *out = doc ? json_write(json_root(doc), NULL, NULL) : NULL;

		if (out)
			printf("V%s\n", out);
		else
			printf("R%d:%d %s: %s\n", e.line, e.column, e.path, e.text);
		free(out);
		free(text);
		json_close(doc);
	}
	return 0;
}
