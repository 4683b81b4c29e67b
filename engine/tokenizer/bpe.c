#include "engine/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/bpe_inside.h"
#include "engine/tokenizer/utf8.h"
#include "parallel/base.h"

enum { WHOLE_YES = 1, WHOLE_NO = 2 };

void bpe_init(struct bpe *b, const struct vocab *vocab)
{
	*b = (struct bpe){.vocab = vocab, .unk = -1};
	memset(b->byte_id, -1, sizeof b->byte_id);
	b->char_id = xalloc(0x110000, sizeof *b->char_id);
}

void bpe_finish(struct bpe *b)
{
	pairs_finish(&b->pairs);
	free(b->char_id);
	free(b->whole);
	*b = (struct bpe){0};
}

void bpe_ready(struct bpe *b)
{
	b->whole = xalloc((size_t)b->vocab->n + 1, 1);
}

void bpe_never_whole(struct bpe *b, int id)
{
	if (id >= 0 && id < b->vocab->n)
		b->whole[id] = WHOLE_NO;
}

void ids_add(struct ids *ids, int id, const struct text *t, size_t first, size_t end)
{
	if (ids->n == ids->max) {
		ids->max = ids->max * 2 + 64;
		ids->id = xgrow(ids->id, (size_t)ids->max, sizeof *ids->id);
		if (ids->want_offsets)
			ids->offset = xgrow(ids->offset, (size_t)ids->max, sizeof *ids->offset);
	}
	if (ids->want_offsets) {
		struct span_bytes *o = &ids->offset[ids->n];

		*o = (struct span_bytes){0, 0};
		if (t && first < t->n)
			o->first = text_from(t, first).first, o->end = o->first;
		if (t && end > first && end <= t->n)
			o->end = text_from(t, end - 1).end;
	}
	ids->id[ids->n++] = id;
}

static void add_symbol(struct bpe_work *w, int id, uint32_t len)
{
	if (w->n == w->max)
		w->symbol = xgrow(w->symbol, (size_t)(w->max = w->max * 2 + 64), sizeof *w->symbol);
	w->symbol[w->n++] = (struct bpe_symbol){id, len, -1, -1};
}

/* The character as bytes; false: not all of them are in the vocabulary. */
static bool add_bytes(const struct bpe *b, struct bpe_work *w, const char *s, int len)
{
	for (int i = 0; i < len; i++)
		if (b->byte_id[(unsigned char)s[i]] < 0)
			return false;
	for (int i = 0; i < len; i++)
		add_symbol(w, b->byte_id[(unsigned char)s[i]], 1);
	return true;
}

/* Characters to symbols. An unknown token waits until a known character comes, so that its neighbours can join it; bytes do
 * not end the wait (the reference has it so). */
static void split(const struct bpe *b, struct bpe_work *w, const char *s, size_t len)
{
	uint32_t unknown = 0; /* bytes waiting */
	int n;

	w->n = 0;
	for (size_t i = 0; i < len; i += (size_t)n) {
		int id = b->char_id[utf8_get(s + i, &n)] - 1;

		if (id >= 0 || b->late_unknown) {
			if (unknown)
				add_symbol(w, b->unk, unknown);
			unknown = 0;
			add_symbol(w, id, (uint32_t)n);
			continue;
		}
		if ((b->byte_fallback && add_bytes(b, w, s + i, n)) || b->unk < 0)
			continue;
		if (unknown && !b->fuse_unk) {
			add_symbol(w, b->unk, unknown);
			unknown = 0;
		}
		unknown += (uint32_t)n;
	}
	if (unknown)
		add_symbol(w, b->unk, unknown);
}

/* SentencePiece: what no merge took up becomes bytes, or one unknown token with its unknown neighbours. */
static void emit_late(const struct bpe *b, const struct bpe_work *w, const struct text *t, size_t first, struct ids *out)
{
	bool after_unknown = false;

	for (int i = 0; i < w->n; i++) {
		const struct bpe_symbol *s = &w->symbol[i];
		bool unknown = s->id < 0 || s->id >= b->vocab->n;

		if (!unknown)
			ids_add(out, s->id, t, first, first + s->len);
		else if (b->byte_fallback)
			for (uint32_t k = 0; k < s->len; k++)
				ids_add(out, b->byte_id[(unsigned char)t->s[first + k]], t, first, first + s->len);
		else if (after_unknown && out->want_offsets)
			out->offset[out->n - 1].end = text_from(t, first + s->len - 1).end;
		else if (!after_unknown)
			ids_add(out, b->unk, t, first, first + s->len);
		after_unknown = unknown && !b->byte_fallback;
		first += s->len;
	}
}

void bpe_encode(const struct bpe *b, struct bpe_work *w, const struct text *t, size_t first, size_t end, struct ids *out)
{
	const char *s = t->s + first;
	int id = vocab_find(b->vocab, s, end - first);
	uint8_t *whole = id >= 0 ? &b->whole[id] : NULL;
	uint8_t state = whole ? __atomic_load_n(whole, __ATOMIC_RELAXED) : WHOLE_NO;

	if (state == WHOLE_YES || (b->ignore_merges && state != WHOLE_NO)) {
		ids_add(out, id, t, first, end);
		return;
	}
	split(b, w, s, end - first);
	bpe_merge_all(b, w);
	if (whole && state != WHOLE_NO)
		__atomic_store_n(whole, w->n == 1 && w->symbol[0].id == id ? WHOLE_YES : WHOLE_NO, __ATOMIC_RELAXED);
	if (b->late_unknown) {
		emit_late(b, w, t, first, out);
		return;
	}
	for (int i = 0; i < w->n; i++) {
		ids_add(out, w->symbol[i].id, t, first, first + w->symbol[i].len);
		first += w->symbol[i].len;
	}
}
