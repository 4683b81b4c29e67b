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

static int open_any(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why)
{
	int err = hf_open(t, dir, c, why);

	if (err == ERR_UNKNOWN)
		err = spm_open(t, dir, c, why);
	if (err == ERR_UNKNOWN)
		err = gpt2_open(t, dir, c, why);
	if (err == ERR_UNKNOWN)
		return fail(why, ERR_UNKNOWN, "no tokenizer.json, tokenizer.model or vocab.json in %.300s", dir);
	return err ? err : tokenizer_ready(t, why);
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
