/* bpe.h - byte pair encoding of one word: adjacent symbols of the lowest rank merge, until none can.
 *
 * Sennrich et al., 2016 (arXiv:1508.07909). Of equal ranks the leftmost pair merges first. The time is linear in the
 * word's length except for a sort within a rank: no text makes it slow. A long word is cut between two characters that
 * no merge joins, which never changes the result. */
#ifndef ENGINE_TOKENIZER_BPE_H
#define ENGINE_TOKENIZER_BPE_H

#include "engine/tokenizer/bpe_merge.h"
#include "engine/tokenizer/text.h"
#include "engine/tokenizer/vocab.h"

struct bpe {
	const struct vocab *vocab; /* borrowed */
	struct pairs pairs;
	int n_ranks;
	int32_t *char_id; /* [0x110000] id + 1 of a character's symbol; 0: none */
	uint8_t *whole;   /* [vocab->n] whether a word of the vocabulary is encoded as itself: 0 untried, 1 yes, 2 no */
	uint64_t *joints; /* one bit, by hash, for each two characters that some merge joins; NULL: unknown */
	bool all_bytes;   /* byte_id has all bytes */
	bool odd_joints;  /* some merge involves a byte or the unknown token */
	int32_t byte_id[256]; /* <0x00>..<0xFF>; -1: not in the vocabulary */
	int unk;              /* -1: none; unknown characters vanish */
	bool byte_fallback, fuse_unk, ignore_merges;
	bool late_unknown; /* as in SentencePiece: unknown characters may still merge, and become bytes only afterwards
			    */
};

/* The pair becomes `id`, whose text is s: `left` bytes of the first, then those of the second. */
void bpe_pair_set(struct bpe *b, int first, int second, int rank, int id, const char *s, size_t left, size_t len);

void bpe_init(struct bpe *b, const struct vocab *vocab);
void bpe_finish(struct bpe *b);
/* Call once all words and pairs are set. */
void bpe_ready(struct bpe *b);
/* Call after that: only the files' own rules produce this word, such as a special token; text never does. */
void bpe_never_whole(struct bpe *b, int id);

/* Appends the ids of bytes [first, end) of the text. Ends early if ids->over is set or the thread's effort ends; the
 * caller checks both. */
void bpe_encode(const struct bpe *b, struct bpe_work *w, const struct tok_text *t, size_t first, size_t end,
		struct ids *out);

/* Appends an id that stands for bytes [first, end) of the text. */
void ids_add(struct ids *ids, int id, const struct tok_text *t, size_t first, size_t end);

#endif
