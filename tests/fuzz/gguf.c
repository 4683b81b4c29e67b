/* A GGUF file: its header, the documents that are made of its metadata, and its tensors. */
#include "engine/gguf/inside.h"
#include "tests/fuzz/fuzz.h"

static int read_memory(const void *arg, uint64_t at, void *dst, size_t n, struct why *why)
{
	return source_read(arg, at, dst, n, why);
}

static void make_documents(const struct source *s)
{
	static int (*const make[])(const struct gguf *g, struct text *out, struct why *why) = {
		gguf_config, gguf_generation, gguf_tokenizer_config, gguf_tokenizer_json, gguf_sentencepiece};
	struct gguf_bytes in = {.read = read_memory, .arg = s, .size = s->size};
	struct why why = {""};
	struct gguf g;
	int err = gguf_read(&g, &in, &why);

	if (err) {
		fuzz_refused(err, &why);
		return;
	}
	for (size_t i = 0; i < sizeof make / sizeof *make; i++) {
		struct text text = {0};
		err = make[i](&g, &text, &why);
		if (err && err != ERR_UNKNOWN)
			fuzz_refused(err, &why);
		text_finish(&text);
	}
	gguf_finish(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint c = {.n_files = 1};
	struct why why = {""};
	int err;

	fuzz_quiet();
	c.file = xalloc(1, sizeof *c.file);
	c.file[0] = source_memory("f.gguf", data, size);
	make_documents(&c.file[0]);
	err = gguf_open_parts(&c, ".", "f.gguf", &why);
	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < c.table.n; i++)
		fuzz_read(&c.file[c.table.t[i].file], &c.table.t[i]);
	table_finish(&c.table);
	for (int i = 0; i < c.n_files; i++)
		source_close(&c.file[i]);
	free(c.file);
	return 0;
}
