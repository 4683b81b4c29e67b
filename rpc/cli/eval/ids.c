/* ids.c - asks the server's tokenizer. */
#include "rpc/cli/eval/ids.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/prompt.h"

static int tokenize(struct xv_client *c, const char *text, size_t len, bool special, struct list *out, struct why *why)
{
	struct xv_request r = {.kind = XV_TOKENIZE};
	struct xv_reply reply;
	int err;

	r.tokenize.text = text;
	r.tokenize.text_len = len;
	r.tokenize.add_special = special;
	err = cli_ask(c, &r, &reply, why);
	*out = (struct list){0};
	if (err)
		return err;
	out->n = reply.tokens.n_ids;
	out->id = xalloc((size_t)out->n + 1, sizeof *out->id);
	if (out->n)
		memcpy(out->id, reply.tokens.ids, (size_t)out->n * sizeof *out->id);
	return 0;
}

int eval_ids_bare(struct xv_client *c, int32_t bare[EVAL_LETTERS], struct why *why)
{
	for (int i = 0; i < EVAL_LETTERS; i++) {
		char letter = (char)('A' + i);
		struct list ids;
		int err = tokenize(c, &letter, 1, false, &ids, why);

		if (!err && !ids.n)
			err = fail(why, ERR_FORMAT, "the tokenizer makes no token of \"%c\"", letter);
		if (!err)
			bare[i] = ids.id[ids.n - 1];
		free(ids.id);
		if (err)
			return err;
	}
	return 0;
}

static int one_letter(struct xv_client *c, const struct text *prompt, const char *delimiter, int letter,
		      const struct list *before, int32_t *id, struct why *why)
{
	struct text whole = {0};
	struct list ids;
	int err;

	text_put(&whole, prompt->data, prompt->len);
	text_fmt(&whole, "%s%c", delimiter, 'A' + letter);
	err = tokenize(c, whole.data, whole.len, true, &ids, why);
	*id = -1;
	if (!err && ids.n == before->n + 1 && !memcmp(ids.id, before->id, (size_t)before->n * sizeof *before->id))
		*id = ids.id[ids.n - 1];
	free(ids.id);
	text_finish(&whole);
	return err;
}

int eval_ids_ctx(struct xv_client *c, const struct eval_task *t, struct eval_ids *ids, struct why *why)
{
	struct text prompt = {0};
	struct list before = {0};
	int err;

	eval_prompt(&prompt, t, &t->item[0], 0);
	err = tokenize(c, prompt.data, prompt.len, true, &before, why);
	ids->has_ctx = true;
	for (int i = 0; !err && i < EVAL_LETTERS; i++) {
		err = one_letter(c, &prompt, eval_delimiter(t), i, &before, &ids->ctx[i], why);
		ids->has_ctx = ids->has_ctx && ids->ctx[i] >= 0;
	}
	free(before.id);
	text_finish(&prompt);
	return err;
}

int eval_tokenizer_hash(struct xv_client *c, char hex[65], struct why *why)
{
	static const char text[] =
		"A B C D E F G\nABCDEFG Answer: A\n\n答案：A 以下是中国关于（考试）的题。 café Привет 12345\t\xf0\x9f\x98\x80 x=y+1;";
	struct list ids;
	int err = tokenize(c, text, sizeof text - 1, true, &ids, why);

	if (!err)
		eval_sha256((const char *)ids.id, (size_t)ids.n * sizeof *ids.id, hex);
	free(ids.id);
	return err;
}
