/* The index of a sharded checkpoint: which file holds which tensor. */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

static void check_index(const struct shard_index *x)
{
	const char *key;
	json_t *value;

	MUST(x->n_files > 0 && json_object_size(x->map) >= (size_t)x->n_files);
	for (int i = 0; i < x->n_files; i++) {
		MUST(*x->file[i] && !strchr(x->file[i], '/') && strcmp(x->file[i], ".."));
		MUST(!i || strcmp(x->file[i - 1], x->file[i]) < 0);
	}
	json_object_foreach(x->map, key, value)
		MUST(json_is_string(value));
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
