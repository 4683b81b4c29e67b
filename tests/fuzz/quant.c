/* A quantised checkpoint: a line of JSON, as config.json has it under quantization_config, then a safetensors file. */
#include "base/json/json.h"
#include "engine/checkpoint/inside.h"
#include "engine/checkpoint/quant_config.h"
#include "tests/fuzz/fuzz.h"

static bool read_config(struct quant_config *out, const char *text, size_t size)
{
	struct json_error e;
	struct json_doc *doc = json_read(text, size, &json_of_files, &e);
	struct why why = {""};
	int err = doc ? quant_config_read(out, json_root(doc), true, "config.json", &why) : ERR_FORMAT;

	if (doc && err)
		fuzz_refused(err, &why);
	json_close(doc);
	return !err;
}

/* The first rows, and a piece in the middle. */
static void read_matrix(const struct checkpoint *c, const struct ck_tensor *t)
{
	const struct ck_quant *q = t->quant;
	int64_t rows = q->rows < 9 ? q->rows : 9, cols = q->cols < 99 ? q->cols : 99, first = q->cols - cols;
	float *numbers = xalloc((size_t)(rows * cols), sizeof *numbers);
	uint8_t *codes = xalloc((size_t)(rows * cols), 1), *zero = xalloc((size_t)rows * 8, 1);
	uint16_t *scale = xalloc((size_t)rows * 8, sizeof *scale);
	float *wide = xalloc((size_t)rows * 8, sizeof *wide);
	const struct quant_room to = {codes, zero, scale, wide};
	struct why why = {""};
	int err = quant_read(c, t, q->rows - rows, rows, 0, cols, numbers, &why);

	if (err)
		fuzz_refused(err, &why);
	if (quant_has_codes(q) && (err = quant_codes(c, t, 0, rows, first, cols, &to, &why)))
		fuzz_refused(err, &why);
	free(numbers), free(codes), free(zero), free(scale), free(wide);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = memchr(data, '\n', size);
	struct checkpoint c = {.n_files = 1, .bytes_read = xalloc(1, sizeof *c.bytes_read)};
	struct quant_config cfg = {.method = METHOD_NONE};
	struct why why = {""};
	int err;

	fuzz_quiet();
	if (line && read_config(&cfg, (const char *)data, (size_t)(line - data))) {
		c.file = xalloc(1, sizeof *c.file);
		c.file[0] = source_memory("f", line + 1, size - (size_t)(line + 1 - data));
		err = safetensors_parse(&c.file[0], 0, &c.table, &why);
		err = err ? err : quant_list(&c, &cfg, &why);
		if (err)
			fuzz_refused(err, &why);
		for (int i = 0; !err && i < c.table.n; i++)
			if (c.table.t[i].quant)
				read_matrix(&c, &c.table.t[i]);
		source_close(&c.file[0]);
		free(c.file);
	}
	quant_finish(&c);
	table_finish(&c.table);
	free(c.bytes_read);
	return 0;
}
