/* tokenizer.h - encodes text to ids and decodes ids to text, exactly as the engines that trained the vocabularies.
 *
 * Formats are files behind this header: SentencePiece (tokenizer.model), tokenizer.json, GPT-2's vocab.json and
 * merges.txt. */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include "base/base.h"
#include "engine/tokenizer/ids.h"

struct tokenizer;

/* dir: a model directory. Reads tokenizer.json, tokenizer.model, or vocab.json and merges.txt, as the reference library
 * does for the class named in tokenizer_config.json. ERR_UNKNOWN: none of them exists. ERR_IO, ERR_FORMAT, ERR_LIMIT,
 * ERR_UNSUPPORTED: the text names file and construct. */
int tokenizer_open(struct tokenizer **out, const char *dir, struct why *why);
bool tokenizer_exists(const char *dir);    /* tokenizer_open() would not say ERR_UNKNOWN */
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* Text no longer becomes ids from n on; such tokens are ordinary text. Serves a vocabulary larger than its model's.
 * Call it before the first encode. */
int tokenizer_limit(struct tokenizer *t, int n, struct why *why);

const char *tokenizer_kind(const struct tokenizer *t);     /* "sentencepiece-bpe", "tokenizer.json", ... */
int tokenizer_vocab(const struct tokenizer *t);            /* largest id + 1 */
uint64_t tokenizer_fingerprint(const struct tokenizer *t); /* hash of the files read */
int tokenizer_bos(const struct tokenizer *t);              /* -1: none */
int tokenizer_eos(const struct tokenizer *t);
bool tokenizer_is_special(const struct tokenizer *t, int id);
int tokenizer_find(const struct tokenizer *t, const char *piece, size_t len); /* the id of exactly this token, or -1 */
const char *tokenizer_piece(const struct tokenizer *t, int id,
			    size_t *len); /* as in the vocabulary; NULL: no such id */
/* Writes the bytes that the token alone stands for inside a text, which may be no whole characters, or the name of a
 * special token. Returns how many were written, at most max; 0: no such id. */
size_t tokenizer_token_text(const struct tokenizer *t, int id, char *out, size_t max);

struct encode_options {
	bool add_special;   /* add bos and eos as the model's files say */
	bool parse_special; /* names of special tokens in the text become their ids; false: they are ordinary text */
};
/* Appends the ids of a text. Each byte of invalid UTF-8 counts as U+FFFD (the reference accepts no such input). Any
 * thread. ERR_LIMIT: more than out->most tokens. ERR_BUSY, ERR_LIMIT or ERR_CANCELLED of the thread's effort
 * (base/base.h). On errors `out` has some of the ids. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, const struct encode_options *how,
		     struct ids *out, struct why *why);

/* Returns the most bytes of a text that become one token: a text of more than n times this has more than n tokens.
 * SIZE_MAX: there is no bound, because normalization, cutting or unknown characters may drop any amount of the text. */
size_t tokenizer_reach(const struct tokenizer *t);

/* Decodes one stream: whole characters only, no byte lost or repeated. After detok_follow(), the stream gives the
 * decode of both texts without the decode of the first. If the second's first bytes change the end of the first (half a
 * character becomes a whole one), the stream begins at the first character that differs. */
struct detok;
struct detok *detok_create(const struct tokenizer *t, bool skip_special);
/* These special tokens have their text all the same; at most DETOK_SHOWN. Call it at the start. */
enum { DETOK_SHOWN = 16 };
void detok_show(struct detok *d, const int32_t *ids, int n);
void detok_destroy(struct detok *d);
/* Sets the tokens of the text before the stream; call it before the first detok_next(). */
void detok_follow(struct detok *d, const int32_t *ids, int n);
/* Returns the text that is certain after `id`, valid until the next call; *len may be 0. */
const char *detok_next(struct detok *d, int id, size_t *len);
/* Returns the rest: incomplete characters become U+FFFD, as when the reference decodes the whole. */
const char *detok_end(struct detok *d, size_t *len);
/* Decodes all ids at once; the caller frees the NUL-terminated result. NULL: starved of memory (base/base.h). */
char *tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int n, bool skip_special, size_t *len);
/* Does the same with ERR_LIMIT for a text of more than `most` bytes, and the errors of the thread's effort. */
int tokenizer_decode_most(const struct tokenizer *t, const int32_t *ids, int n, bool skip_special, size_t most,
			  char **text, size_t *len, struct why *why);

#endif
