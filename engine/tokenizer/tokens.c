/* tokens.c - gives added tokens their ids, and matches them in texts. */
#include "engine/tokenizer/inside.h"

/* The reference numbers added tokens from the model's last token on. */
static int free_id(const struct tokenizer *t)
{
	int id = t->n_tokens;
	size_t len;

	while (vocab_get(&t->vocab, id, &len))
		id++;
	return id;
}

/* An added token has the id of another word. Classes on SentencePiece then take it in place of the piece, as InternLM 2
 * does with what its model has spare; the library of tokenizer.json numbers it anew. */
static void settle_id(struct tokenizer *t, struct added_token *token, const char *file)
{
	if (t->spm) {
		if (token->id < t->spm->n)
			t->spm->type[token->id] = SPM_NORMAL;
		return;
	}
	log_at(LOG_WARN, "%s: added token %.60s has the id %d of another token; it gets %d, the next free id", file,
	       token->content, token->id, free_id(t));
	token->id = free_id(t);
}

int token_add(struct tokenizer *t, struct added_token *token, const char *file, struct why *why)
{
	int known = vocab_find(&t->vocab, token->content, token->len);
	size_t len;

	if (!token->len)
		return 0; /* the reference skips empty tokens */
	if (known >= 0) {
		token->id = known;
	} else if (token->id < 0 || token->id >= VOCAB_MAX) {
		return fail(why, ERR_FORMAT, "%s: added token %.60s has no id from 0 to %d", file, token->content,
			    VOCAB_MAX - 1);
	} else {
		if (vocab_get(&t->vocab, token->id, &len))
			settle_id(t, token, file);
		vocab_set(&t->vocab, token->id, token->content, token->len);
	}
	added_put(&t->added, token);
	return 0;
}

/* A token that is matched in normalized text is normalized itself. SentencePiece normalizes stretches between tokens,
 * so there all are matched in the text as it came. */
static int match_token(struct tokenizer *t, int index, struct normalizer_work *work, struct why *why)
{
	const struct added_token *a = &t->added.t[index];
	struct tok_text text = {0};
	int err = 0;

	if (!a->normalized || t->spm) {
		matcher_put(&t->added.raw, a->content, a->len, index);
		return 0;
	}
	tok_text_add(&text, a->content, a->len, NULL);
	err = normalizers_apply(&t->normalizers, &text, work, why);
	matcher_put(&t->added.normalized, text.s, text.n, index);
	tok_text_finish(&text);
	return err;
}

int added_match(struct tokenizer *t, int n, struct why *why)
{
	struct normalizer_work work = {0};
	int err = 0;

	for (int i = 0; i < t->added.n && !err; i++)
		if (t->added.t[i].id < n)
			err = match_token(t, i, &work, why);
	normalizer_work_finish(&work);
	return err;
}
