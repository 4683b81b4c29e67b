/* A JSON text by the rules of files and of bodies; what is read is written and read again. */
#include "base/json/json.h"
#include "tests/fuzz/fuzz.h"

static const struct json_rules body = {.depth = 16, .values = 500, .bytes = 1 << 16};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

static void check_error(const struct json_error *e, size_t size)
{
	MUST(e->err == ERR_FORMAT || e->err == ERR_LIMIT);
	MUST(e->line >= 1 && e->column >= 1 && (size_t)e->line <= size + 1 && (size_t)e->column <= size + 1);
	MUST(*e->text && strnlen(e->text, sizeof e->text) < sizeof e->text &&
	     strnlen(e->path, sizeof e->path) < sizeof e->path);
	for (const char *s = e->path; *s; s++)
		MUST((unsigned char)*s >= 0x20);
}

static void read_as(const char *data, size_t size, const struct json_rules *rules)
{
	struct json_error e;
	struct json_doc *doc = json_read(data, size, rules, &e), *again;
	char *text, *second;
	size_t n, m;

	if (!doc) {
		check_error(&e, size);
		return;
	}
	MUST(json_bytes(doc) <= rules->bytes);
	text = json_write(json_root(doc), NULL, &n);
	again = json_read(text, n, &json_of_files, &e);
	MUST(again);
	second = json_write(json_root(again), NULL, &m);
	MUST(n == m && !memcmp(text, second, n));
	free(text);
	free(second);
	json_close(doc);
	json_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_as((const char *)data, size, &json_of_files);
	read_as((const char *)data, size, &body);
	return 0;
}
