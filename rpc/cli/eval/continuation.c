/* continuation.c - a walk over the letters, of each over its tokens. */
#include "rpc/cli/eval/continuation.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"

struct eval_continuation {
	int letters, known; /* known: texts whose ids are known: the prompt, then the prompt with each letter */
	int letter, token;  /* that are asked; token: from the first one that is not the prompt's */
	struct list ids[1 + EVAL_LETTERS];
	double sum[EVAL_LETTERS];
	struct text text;
	int32_t target;
};

struct eval_continuation *eval_continuation_open(int letters)
{
	struct eval_continuation *k = xalloc(1, sizeof *k);

	k->letters = letters;
	return k;
}

void eval_continuation_close(struct eval_continuation *k)
{
	if (!k)
		return;
	for (int i = 0; i <= EVAL_LETTERS; i++)
		free(k->ids[i].id);
	text_finish(&k->text);
	free(k);
}

/* Tokens that the prompt and the prompt with a letter begin with. */
static int common(const struct eval_continuation *k, int letter)
{
	const struct list *a = &k->ids[0], *b = &k->ids[1 + letter];
	int n = 0;

	while (n < a->n && n < b->n && a->id[n] == b->id[n])
		n++;
	return n;
}

void eval_continuation_make(struct eval_continuation *k, const struct text *prompt, const char *delimiter, int most,
			    struct xv_request *x)
{
	const struct list *whole = &k->ids[1 + k->letter];
	int end;

	if (k->known <= k->letters) {
		k->text.len = 0;
		text_put(&k->text, prompt->data, prompt->len);
		if (k->known)
			text_fmt(&k->text, "%s%c", delimiter, 'A' + k->known - 1);
		x->kind = XV_TOKENIZE;
		x->tokenize.text = k->text.data;
		x->tokenize.text_len = k->text.len;
		x->tokenize.add_special = true;
		return;
	}
	end = common(k, k->letter) + k->token;
	k->target = whole->id[end];
	x->kind = XV_SCORE;
	x->score.prompt = (struct xv_prompt){.ids = whole->id + max_int(0, end - most), .n_ids = min_int(end, most)};
	x->score.targets = &k->target;
	x->score.n_targets = 1;
	x->score.target_logprobs = true;
}

static int take_ids(struct eval_continuation *k, const struct xv_tokens *t, struct why *why)
{
	struct list *ids = &k->ids[k->known];

	ids->n = t->n_ids;
	ids->id = xalloc((size_t)ids->n + 1, sizeof *ids->id);
	if (ids->n)
		memcpy(ids->id, t->ids, (size_t)ids->n * sizeof *ids->id);
	if (k->known && (common(k, k->known - 1) == ids->n || !common(k, k->known - 1)))
		return fail(why, ERR_FORMAT, "the tokenizer makes no token of its own of a letter behind a prompt");
	k->known++;
	return 1;
}

int eval_continuation_take(struct eval_continuation *k, const struct xv_reply *r, struct why *why)
{
	if (r->kind == XV_R_TOKENS && k->known <= k->letters)
		return take_ids(k, &r->tokens, why);
	if (r->kind != XV_R_FINISHED || r->finished.n_target_logprobs != 1)
		return fail(why, ERR_FORMAT, "the server returned no logprob of a letter");
	k->sum[k->letter] += r->finished.target_logprobs[0];
	k->token++;
	if (common(k, k->letter) + k->token == k->ids[1 + k->letter].n) {
		k->letter++;
		k->token = 0;
	}
	return k->letter < k->letters;
}

void eval_continuation_sums(const struct eval_continuation *k, float sum[EVAL_LETTERS])
{
	for (int i = 0; i < k->letters; i++)
		sum[i] = (float)k->sum[i];
}
