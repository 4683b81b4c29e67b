/* bpe.h - byte pair encoding of one word: characters, then the neighbours of lowest rank become one, until none can.
 *
 * Sennrich et al., 2016 (arXiv:1508.07909). Of equal ranks the leftmost pair goes first. Linear in the length of the
 * word but for a sort within a rank: no text makes it slow. A long word is taken in parts, cut between two characters
 * that no merge joins: nothing ever passes such a place. */
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
	uint8_t *whole; /* [vocab->n] whether a word of the vocabulary is encoded as itself: 0 not tried, 1 yes, 2 no */
	uint64_t *joints;     /* a bit for each two characters that some merge joins, by hash; NULL: not known */
	bool all_bytes;       /* byte_id has them all */
	bool odd_joints;      /* some merge is of a byte or unknown token */
	int32_t byte_id[256]; /* <0x00>..<0xFF>; -1: not in the vocabulary */
	int unk;              /* -1: none: unknown characters vanish */
	bool byte_fallback, fuse_unk, ignore_merges;
	bool late_unknown; /* as SentencePiece has it: unknown characters may still merge, and become bytes only
			      afterwards */
};

/* The pair becomes `id`, whose text is s: `left` bytes of the one, then the other's. */
void bpe_pair_set(struct bpe *b, int first, int second, int rank, int id, const char *s, size_t left, size_t len);

void bpe_init(struct bpe *b, const struct vocab *vocab);
void bpe_finish(struct bpe *b);
/* Once all words and pairs are known. */
void bpe_ready(struct bpe *b);
/* After that: a word that only the files' own rules may produce, such as a special token; the text never does. */
void bpe_never_whole(struct bpe *b, int id);

/* Appends the ids of bytes [first, end) of the text; ends early where ids->over is set or the thread's effort is to
 * end, which the caller looks at. */
void bpe_encode(const struct bpe *b, struct bpe_work *w, const struct text *t, size_t first, size_t end,
		struct ids *out);

/* Appends an id that stands for bytes [first, end) of the text. */
void ids_add(struct ids *ids, int id, const struct text *t, size_t first, size_t end);

#endif
