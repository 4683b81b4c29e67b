/* reach.c - bounds how many bytes of a text one token can stand for.
 *
 * Each stage maps a text to a text, or to words. A part of the output comes from a bounded part of the input, or from
 * any amount of it. The bound of the whole is the product of the stages' bounds and of the longest token's bytes. */
#include "engine/tokenizer/inside.h"
#include "engine/tokenizer/tokenizer.h"

/* Returns the bytes of a normalizer's input for one byte of its output; SIZE_MAX: any number.
 *
 * Normal forms: a character of the output comes from at most four characters of the decomposed text, each of which
 * comes from one character of at most four bytes. A character composed from several has two bytes or more, so at most
 * 16 bytes become 2; one that comes from a single character has at most 4 bytes become 1. Lower case: one character of
 * at most 4 bytes becomes 1 byte or more. */
static size_t shrink_of(const struct normalizer *op)
{
	switch (op->kind) {
	case NORM_FORM:
		return 8;
	case NORM_LOWERCASE:
		return 4;
	case NORM_PREPEND:
		return 1;
	case NORM_REPLACE:
		if (op->pattern.kind != PATTERN_STRING || !op->len)
			return SIZE_MAX;
		return op->pattern.len / op->len + 1;
	default:
		return SIZE_MAX; /* Strip, StripAccents and Nmt may remove any amount */
	}
}

static bool drops_text(const struct tokenizer *t)
{
	for (int i = 0; i < t->pretokenizers.n; i++)
		if (t->pretokenizers.op[i].kind == PRE_SPLIT && t->pretokenizers.op[i].behavior == SPLIT_REMOVED)
			return true;
	for (int i = 0; i < t->added.n; i++)
		if (t->added.t[i].lstrip || t->added.t[i].rstrip)
			return true;
	return t->spm && t->spm->remove_extra;
}

/* Says whether no character vanishes, and no unknown neighbours join in one token. */
static bool knows_all(const struct tokenizer *t)
{
	const struct bpe *b = &t->bpe;
	bool letters = false;

	for (int i = 0; i < t->pretokenizers.n; i++)
		letters |= t->pretokenizers.op[i].kind == PRE_BYTES;
	for (int i = 0; i < 256 && letters; i++)
		letters = b->char_id[byte_letter((unsigned char)i)] > 0;
	if (letters || (b->byte_fallback && b->all_bytes))
		return true;
	return b->unk >= 0 && !b->fuse_unk && !b->late_unknown;
}

enum { EXPANSION = 16 }; /* a normalized added token may grow: U+FDFA of 3 bytes becomes 33 in NFKD */

static size_t times(size_t a, size_t b)
{
	size_t c;

	return a == SIZE_MAX || b == SIZE_MAX || __builtin_mul_overflow(a, b, &c) ? SIZE_MAX : c;
}

size_t tokenizer_reach(const struct tokenizer *t)
{
	size_t reach = 4, len; /* the token of an unknown character stands for up to 4 bytes */

	if (drops_text(t) || !knows_all(t))
		return SIZE_MAX;
	for (int i = 0; i < t->vocab.n; i++)
		if (vocab_get(&t->vocab, i, &len) && len > reach)
			reach = len;
	for (int i = 0; i < t->added.n && t->normalizers.n; i++)
		if (t->added.t[i].normalized && EXPANSION * t->added.t[i].len > reach)
			reach = EXPANSION * t->added.t[i].len;
	for (int i = 0; i < t->normalizers.n; i++)
		reach = times(reach, shrink_of(&t->normalizers.op[i]));
	return reach;
}
