/* open.c - opens a directory's tokenizer, from the first kind of files found. */
#include <stdlib.h>

#include "engine/tokenizer/inside.h"
#include "engine/tokenizer/tokenizer.h"

static int tokenizer_ready(struct tokenizer *t, struct why *why)
{
	bpe_ready(&t->bpe);
	t->special = xalloc((size_t)t->vocab.n + 1, 1);
	for (int i = 0; i < t->added.n; i++) {
		t->special[t->added.t[i].id] = t->added.t[i].special;
		bpe_never_whole(&t->bpe, t->added.t[i].id);
	}
	for (int i = 0; t->spm && i < t->spm->n; i++)
		if (t->spm->type[i] != SPM_NORMAL)
			bpe_never_whole(&t->bpe, i);
	return added_match(t, t->vocab.n, why);
}

/* What the library converts a Llama class's model to keeps every space. Where the model itself keeps one between words,
 * as OpenLLaMA's, such a tokenizer.json gives other ids than the model was trained with. */
static bool model_first(const char *dir, const struct token_config *c)
{
	struct why unused;
	char *bytes;
	size_t len;
	bool first;

	if (!config_is(c, "LlamaTokenizer") || tokenizer_file(dir, "tokenizer.model", &bytes, &len, &unused))
		return false;
	first = spm_removes_spaces(bytes, len);
	free(bytes);
	return first;
}

static int open_any(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why)
{
	int err = model_first(dir, c) ? ERR_UNKNOWN : hf_open(t, dir, c, why);

	if (err == ERR_UNKNOWN)
		err = spm_open(t, dir, c, why);
	if (err == ERR_UNKNOWN)
		err = gpt2_open(t, dir, c, why);
	if (err == ERR_UNKNOWN)
		return fail(why, ERR_UNKNOWN, "no tokenizer.json, tokenizer.model or vocab.json in %.300s", dir);
	return err ? err : tokenizer_ready(t, why);
}

bool tokenizer_exists(const char *dir)
{
	static const char *const names[] = {"tokenizer.json", "tokenizer.model", "vocab.json"};
	struct why unused;
	char *bytes;
	size_t len;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int err = tokenizer_file(dir, names[i], &bytes, &len, &unused);
		if (!err)
			free(bytes);
		if (err != ERR_UNKNOWN)
			return true;
	}
	return false;
}

int tokenizer_open(struct tokenizer **out, const char *dir, struct why *why)
{
	struct tokenizer *t = xalloc(1, sizeof *t);
	struct token_config c;
	int err;

	*out = NULL;
	uc_init();
	t->bos = t->eos = -1;
	err = config_open(&c, dir, &t->fingerprint, why);
	if (!err)
		err = open_any(t, dir, &c, why);
	config_close(&c);
	if (err)
		tokenizer_close(t);
	else
		*out = t;
	return err;
}
