/* A chat template and what it is rendered over: source, a NUL byte, a JSON object. */
#include "engine/template/template.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

static void check_output(const struct template_output *out)
{
	const char *at = out->text;

	MUST(out->len <= TEMPLATE_OUTPUT && out->text[out->len] == 0);
	for (int i = 0; i < out->n; i++) {
		MUST(out->piece[i].text == at && out->piece[i].len);
		MUST(!i || out->piece[i].user != out->piece[i - 1].user);
		at += out->piece[i].len;
	}
	MUST(at == out->text + out->len);
}

static void render(const struct template *t, const json_t *said)
{
	struct template_input in = {.said = said, .now = 1};
	struct template_output out;
	struct why why = {""};
	int err = template_render(t, &in, &out, &why);

	if (err) {
		MUST(err < 0 && (err == ERR_INVALID || why.text[0])); /* the words of raise_exception may be none */
		MUST(!out.text && !out.piece);
		return;
	}
	check_output(&out);
	template_output_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = strnlen((const char *)data, size);
	struct template *t;
	struct why why = {""};
	int err = template_compile(&t, (const char *)data, n, &why);

	if (err) {
		fuzz_refused(err, &why);
		MUST(!t);
		return 0;
	}
	json_t *said = n < size ? json_loadb((const char *)data + n + 1, size - n - 1, JSON_ALLOW_NUL, NULL) : NULL;
	render(t, said);
	if (said)
		render(t, NULL);
	json_decref(said);
	template_free(t);
	return 0;
}
