/* The pickle of a PyTorch file, in an archive with one storage. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/archive.h"

enum { MOST = 32 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct archive a;
	struct table t = {0};
	struct why why = {""};
	struct source s;
	int err;

	if (size > MOST)
		return 0;
	fuzz_quiet();
	make(&a, data, size);
	s = source_memory("f", a.file.b, a.file.n);
	err = torch_parse(&s, 0, &t, &why);
	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; i < t.n; i++)
		fuzz_read(&s, &t.t[i]);
	table_finish(&t);
	source_close(&s);
	return 0;
}
