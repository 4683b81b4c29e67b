/* The index of a sharded checkpoint: which file holds which tensor. */
#include "tests/fuzz/fuzz.h"

static void check_index(const struct shard_index *x)
{
	const struct json_member *m;

	MUST(x->n_files > 0 && json_size(x->map) >= (size_t)x->n_files);
	for (int i = 0; i < x->n_files; i++) {
		MUST(*x->file[i] && !strchr(x->file[i], '/') && strcmp(x->file[i], ".."));
		MUST(!i || strcmp(x->file[i - 1], x->file[i]) < 0);
	}
	for (size_t i = 0; (m = json_member(x->map, i)); i++)
		MUST(json_is(&m->value, JSON_IS_TEXT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shard_index x = {0};
	struct why why = {""};
	int err = shard_index_parse(&x, (const char *)data, size, &why);

	fuzz_quiet();
	if (err)
		fuzz_refused(err, &why);
	else
		check_index(&x);
	shard_index_finish(&x);
	return 0;
}
