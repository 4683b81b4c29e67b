/* The archive around a PyTorch file. */
#include "engine/checkpoint/zip.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source s = source_memory("f", data, size);
	struct why why = {""};
	struct zip z;
	int err = zip_open(&z, &s, &why);

	fuzz_quiet();
	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < z.n; i++) {
		const struct zip_entry *e = zip_find(&z, z.e[i].name);
		uint64_t at;
		int bad = zip_data(&z, e, &at, &why);
		MUST(e == &z.e[i]);
		MUST(bad ? why.text[0] : at <= size && e->size <= size - at);
	}
	if (!err)
		zip_close(&z);
	source_close(&s);
	return 0;
}
