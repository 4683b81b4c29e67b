/* tokenizer.h - text to ids, ids to text. Exact to the id against the engines that trained the vocabularies.
 *
 * Formats are files behind this header: sentencepiece (tokenizer.model), tokenizer.json, GPT-2 vocab.json + merges.txt.
 */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include "base/base.h"
#include "engine/tokenizer/ids.h"

struct tokenizer;

/* dir: a model directory. Takes tokenizer.json, tokenizer.model or vocab.json + merges.txt, as the reference library
 * would for the class named in tokenizer_config.json. ERR_UNKNOWN: none of them is there; ERR_IO, ERR_FORMAT,
 * ERR_LIMIT, ERR_UNSUPPORTED: the text names file and construct. */
int tokenizer_open(struct tokenizer **out, const char *dir, struct why *why);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* Ids from n on are no longer made of a text: those words are text like any other. For a vocabulary larger than its
 * model's. Before the first encode. */
int tokenizer_limit(struct tokenizer *t, int n, struct why *why);

const char *tokenizer_kind(const struct tokenizer *t);     /* "sentencepiece-bpe", "tokenizer.json", ... */
int tokenizer_vocab(const struct tokenizer *t);            /* largest id + 1 */
uint64_t tokenizer_fingerprint(const struct tokenizer *t); /* of the files read */
int tokenizer_bos(const struct tokenizer *t);              /* -1: none */
int tokenizer_eos(const struct tokenizer *t);
bool tokenizer_is_special(const struct tokenizer *t, int id);
int tokenizer_find(const struct tokenizer *t, const char *piece, size_t len); /* id of exactly this token, or -1 */
const char *tokenizer_piece(const struct tokenizer *t, int id,
			    size_t *len); /* as in the vocabulary; NULL: no such id */
/* The bytes that the token alone stands for inside a text, not always whole characters; a special token's own name.
 * Returns how many were written, at most max; 0: no such id. */
size_t tokenizer_token_text(const struct tokenizer *t, int id, char *out, size_t max);

struct encode_options {
	bool add_special;   /* bos and eos as the model's files say */
	bool parse_special; /* special tokens in the text become their ids; false: they are ordinary text */
};
/* Appends. Any bytes: invalid UTF-8 is taken as U+FFFD each (the reference takes no such input). Any thread. More than
 * out->most tokens end it with ERR_LIMIT, the thread's effort (base/base.h) with ERR_BUSY, ERR_LIMIT or ERR_CANCELLED;
 * out then holds some of the ids. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, const struct encode_options *how,
		     struct ids *out, struct why *why);

/* At most so many bytes of a text become one token, so a longer text has more than n tokens than n times this.
 * SIZE_MAX: there is no bound, since normalization, cutting or unknown characters may leave any amount of the text out.
 */
size_t tokenizer_reach(const struct tokenizer *t);

/* Text of one stream: whole characters only, no byte lost or repeated. Behind a text (detok_follow), all that the
 * stream gives is the decode of both without the decode of the first. Where the second's first bytes change how the
 * first ends (half a character that becomes one), the stream begins at the first character that differs. */
struct detok;
struct detok *detok_create(const struct tokenizer *t, bool skip_special);
void detok_destroy(struct detok *d);
/* The text before the stream: all of its tokens, before the first detok_next(). */
void detok_follow(struct detok *d, const int32_t *ids, int n);
/* Appends the text that is certain after `id`; returns it (valid until the next call), *len may be 0. */
const char *detok_next(struct detok *d, int id, size_t *len);
/* What is left: incomplete characters end as U+FFFD, as in the reference's decode of the whole. */
const char *detok_end(struct detok *d, size_t *len);
/* Whole decode at once; malloced, NUL after the end. Starved of memory (base/base.h): NULL. */
char *tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int n, bool skip_special, size_t *len);
/* The same with ERR_LIMIT for a text of more than `most` bytes, and the errors of the thread's effort. */
int tokenizer_decode_most(const struct tokenizer *t, const int32_t *ids, int n, bool skip_special, size_t most,
			  char **text, size_t *len, struct why *why);

#endif
