#include "engine/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/base.h"

enum { WHOLE_YES = 1, WHOLE_NO = 2, JOINT_BITS = 22, PART = 4096 /* bytes of a word that are worth a cut */ };

static size_t joint_of(uint32_t left, uint32_t right)
{
	return (size_t)((left * 0x9e3779b97f4a7c15u ^ right) * 0xbf58476d1ce4e5b9u >> (64 - JOINT_BITS));
}

static bool joins(const struct bpe *b, uint32_t left, uint32_t right)
{
	size_t bit = joint_of(left, right);

	return b->joints[bit / 64] >> bit % 64 & 1;
}

static bool is_byte(const struct bpe *b, int id)
{
	for (int i = 0; i < 256; i++)
		if (b->byte_id[i] == id)
			return true;
	return false;
}

void bpe_pair_set(struct bpe *b, int first, int second, int rank, int id, const char *s, size_t left, size_t len)
{
	size_t last = left;
	size_t bit;
	int n;

	pairs_set(&b->pairs, (uint32_t)first, (uint32_t)second, rank, id);
	if (!left || left >= len || first == b->unk || second == b->unk ||
	    (s[0] == '<' && (is_byte(b, first) || is_byte(b, second)))) {
		b->odd_joints = true;
		return;
	}
	for (last--; last > 0 && (s[last] & 0xC0) == 0x80; last--)
		;
	bit = joint_of(utf8_get(s + last, &n), utf8_get(s + left, &n));
	b->joints[bit / 64] |= (uint64_t)1 << bit % 64;
}

void bpe_init(struct bpe *b, const struct vocab *vocab)
{
	*b = (struct bpe){.vocab = vocab, .unk = -1};
	memset(b->byte_id, -1, sizeof b->byte_id);
	b->char_id = xalloc(0x110000, sizeof *b->char_id);
	b->joints = xalloc((1 << JOINT_BITS) / 64, sizeof *b->joints);
}

void bpe_finish(struct bpe *b)
{
	pairs_finish(&b->pairs);
	free(b->char_id);
	free(b->joints);
	free(b->whole);
	*b = (struct bpe){0};
}

void bpe_ready(struct bpe *b)
{
	b->all_bytes = true;
	for (int i = 0; i < 256; i++)
		b->all_bytes &= b->byte_id[i] >= 0;
	b->whole = xalloc((size_t)b->vocab->n + 1, 1);
}

void bpe_never_whole(struct bpe *b, int id)
{
	if (id >= 0 && id < b->vocab->n)
		b->whole[id] = WHOLE_NO;
}

static bool ids_room(struct ids *ids)
{
	int max = ids->max > INT32_MAX / 2 - 64 ? INT32_MAX - 1 : ids->max + ids->max / 2 + 64;
	void *id, *offset;

	if (ids->n < ids->max)
		return true;
	id = ids->n < INT32_MAX - 1 ? heap_grow(ids->id, (size_t)max, sizeof *ids->id) : NULL;
	if (!id)
		return false;
	ids->id = id;
	offset = ids->want_offsets ? heap_grow(ids->offset, (size_t)max, sizeof *ids->offset) : NULL;
	if (ids->want_offsets && !offset)
		return false;
	ids->offset = offset;
	ids->max = max;
	return true;
}

void ids_add(struct ids *ids, int id, const struct tok_text *t, size_t first, size_t end)
{
	ids->over |= ids->most && ids->n >= ids->most;
	if (ids->over || !ids_room(ids))
		return;
	if (ids->want_offsets) {
		struct span_bytes *o = &ids->offset[ids->n];

		*o = (struct span_bytes){0, 0};
		if (t && first < t->n)
			o->first = tok_text_from(t, first).first, o->end = o->first;
		if (t && end > first && end <= t->n)
			o->end = tok_text_from(t, end - 1).end;
	}
	ids->id[ids->n++] = id;
}

static void add_symbol(struct bpe_work *w, int id, uint32_t len)
{
	int max = w->max + w->max / 2 + 64;
	void *to;

	if (w->n == w->max) {
		to = heap_grow(w->symbol, (size_t)max, sizeof *w->symbol);
		if (!to) {
			w->failed = true;
			return;
		}
		w->symbol = to;
		w->max = max;
	}
	w->symbol[w->n++] = (struct bpe_symbol){id, len, -1, -1};
}

/* Adds the character as bytes; returns false if the vocabulary lacks one of them. */
static bool add_bytes(const struct bpe *b, struct bpe_work *w, const char *s, int len)
{
	for (int i = 0; i < len; i++)
		if (b->byte_id[(unsigned char)s[i]] < 0)
			return false;
	for (int i = 0; i < len; i++)
		add_symbol(w, b->byte_id[(unsigned char)s[i]], 1);
	return true;
}

/* Splits characters into symbols. An unknown token waits for a known character, so that its neighbours can join it;
 * bytes do not end the wait, as in the reference. */
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

/* As SentencePiece does: what no merge took becomes bytes, or one unknown token with its unknown neighbours. */
static void emit_late(const struct bpe *b, const struct bpe_work *w, const struct tok_text *t, size_t first,
		      struct ids *out)
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
		else if (after_unknown && out->want_offsets && out->n)
			out->offset[out->n - 1].end = tok_text_from(t, first + s->len - 1).end;
		else if (!after_unknown)
			ids_add(out, b->unk, t, first, first + s->len);
		after_unknown = unknown && !b->byte_fallback;
		first += s->len;
	}
}

/* Encodes bytes [first, end) of a word. *at: the offset of its next token. The reference adds up the tokens' lengths,
 * so after a character that vanished all tokens of the word have too small an offset. */
static void merge_part(const struct bpe *b, struct bpe_work *w, const struct tok_text *t, size_t first, size_t end,
		       size_t *at, struct ids *out)
{
	split(b, w, t->s + first, end - first);
	if (!w->failed)
		bpe_merge_all(&b->pairs, b->n_ranks, w);
	if (w->failed)
		return;
	if (b->late_unknown) {
		emit_late(b, w, t, first, out);
		return;
	}
	for (int i = 0; i < w->n; i++) {
		ids_add(out, w->symbol[i].id, t, *at, *at + w->symbol[i].len);
		*at += w->symbol[i].len;
	}
}

/* Says whether a character is a symbol or becomes bytes, whatever its neighbours are. */
static bool stands_alone(const struct bpe *b, uint32_t c)
{
	if (b->late_unknown)
		return b->byte_fallback;
	return b->char_id[c] || (b->byte_fallback && b->all_bytes);
}

/* Returns where a part of the word that begins at `at` may end. */
static size_t part_end(const struct bpe *b, const char *s, size_t at, size_t end)
{
	size_t i = at;
	uint32_t before = 0, c;
	int n;

	if (b->odd_joints)
		return end;
	for (; i < end; i += (size_t)n) {
		c = utf8_get(s + i, &n);
		if (i - at >= PART && !joins(b, before, c) && stands_alone(b, before) && stands_alone(b, c))
			return i;
		before = c;
	}
	return end;
}

void bpe_encode(const struct bpe *b, struct bpe_work *w, const struct tok_text *t, size_t first, size_t end,
		struct ids *out)
{
	int id = vocab_find(b->vocab, t->s + first, end - first);
	uint8_t *whole = id >= 0 ? &b->whole[id] : NULL;
	uint8_t state = whole ? __atomic_load_n(whole, __ATOMIC_RELAXED) : WHOLE_NO;
	size_t at = first;

	if (w->failed)
		return;
	if (state == WHOLE_YES || (b->ignore_merges && state != WHOLE_NO)) {
		ids_add(out, id, t, first, end);
		return;
	}
	if (end - first <= 2 * PART || whole) {
		merge_part(b, w, t, first, end, &at, out);
		if (whole && state != WHOLE_NO && !w->failed)
			__atomic_store_n(whole, w->n == 1 && w->symbol[0].id == id ? WHOLE_YES : WHOLE_NO,
					 __ATOMIC_RELAXED);
		return;
	}
	for (size_t i = first, next; i < end && !out->over && !w->failed && effort_goes_on(); i = next) {
		next = part_end(b, t->s, i, end);
		merge_part(b, w, t, i, next, &at, out);
	}
}
