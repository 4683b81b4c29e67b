/* limit.c - limits a vocabulary to its model's rows: text never becomes a token beyond them. */
#include "engine/tokenizer/inside.h"
#include "engine/tokenizer/tokenizer.h"

/* SentencePiece's single characters have symbols from VOCAB_MAX on, which are no tokens. */
static bool beyond(int id, int n)
{
	return id >= n && id < VOCAB_MAX;
}

static void limit_pairs(struct pairs *p, int n)
{
	struct pairs old = *p;

	*p = (struct pairs){0};
	for (uint32_t i = 0; i < old.n_slots; i++)
		if (old.slot[i].id >= 0 && !beyond(old.slot[i].id, n))
			pairs_set(p, old.slot[i].a, old.slot[i].b, old.slot[i].rank, old.slot[i].id);
	pairs_finish(&old);
}

static void limit_bpe(struct bpe *b, int n)
{
	limit_pairs(&b->pairs, n);
	for (uint32_t c = 0; c < 0x110000; c++)
		if (beyond(b->char_id[c] - 1, n))
			b->char_id[c] = 0;
	b->all_bytes = true;
	for (int i = 0; i < 256; i++) {
		if (beyond(b->byte_id[i], n))
			b->byte_id[i] = -1;
		b->all_bytes &= b->byte_id[i] >= 0;
	}
	if (beyond(b->unk, n))
		b->unk = -1;
	for (int id = n; id < b->vocab->n; id++)
		bpe_never_whole(b, id);
}

int tokenizer_limit(struct tokenizer *t, int n, struct why *why)
{
	struct matcher user = {0};
	size_t len;

	if (t->vocab.n <= n)
		return 0;
	limit_bpe(&t->bpe, n);
	for (int id = 0; t->spm && id < n && id < t->spm->n; id++) {
		const char *s = vocab_get(&t->vocab, id, &len);

		if (t->spm->type[id] == SPM_USER)
			matcher_put(&user, s, len, id);
	}
	if (t->spm) {
		matcher_finish(&t->spm->user);
		t->spm->user = user;
	}
	matcher_finish(&t->added.raw);
	matcher_finish(&t->added.normalized);
	return added_match(t, n, why);
}
