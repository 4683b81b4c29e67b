/* A safetensors file: two bytes say how many bytes of data follow the header, which is the rest. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t header = size < 2 ? 0 : size - 2, after = size < 2 ? 0 : data[0] | (size_t)data[1] << 8;
	uint8_t *file = malloc(8 + header + after);
	struct source s = source_memory("f", file, 8 + header + after);
	struct table t = {0};
	struct why why = {""};
	int err;

	fuzz_quiet();
	for (int i = 0; i < 8; i++)
		file[i] = (uint8_t)((uint64_t)header >> 8 * i);
	memcpy(file + 8, data + size - header, header);
	memset(file + 8 + header, 0, after);
	err = safetensors_parse(&s, 0, &t, &why);
	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < t.n; i++)
		fuzz_read(&s, &t.t[i]);
	table_finish(&t);
	source_close(&s);
	free(file);
	return 0;
}
