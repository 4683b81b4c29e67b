/* added.h - tokens that are matched in the text before the model sees it.
 *
 * Semantics of the reference (huggingface/tokenizers 0.22, tokenizer/added_vocabulary.rs): the leftmost match counts,
 * and of several the longest. */
#ifndef ENGINE_TOKENIZER_ADDED_H
#define ENGINE_TOKENIZER_ADDED_H

#include "engine/tokenizer/pattern.h"
#include "engine/tokenizer/vocab.h"

struct added_token {
	int id;
	char *content; /* (len) */
	size_t len;
	bool single_word;    /* matches no part of a word */
	bool lstrip, rstrip; /* the match takes the white space beside it */
	bool normalized;     /* matched in the normalized text */
	bool special;
};
/* A trie of the byte strings of some tokens. */
struct matcher {
	struct pairs edges; /* (node, byte) -> node */
	int *token;         /* [n_nodes] index of the token that ends here, or -1 */
	int n_nodes, max_nodes;
	bool first[256];
};
struct added_tokens {
	struct added_token *t;
	int n;
	struct matcher raw, normalized;
};

void added_finish(struct added_tokens *a);
/* Copies the content. A second token of the same content replaces the first. */
void added_put(struct added_tokens *a, const struct added_token *token);
const struct added_token *added_find(const struct added_tokens *a, const char *s, size_t len);

void matcher_finish(struct matcher *m);
void matcher_put(struct matcher *m, const char *s, size_t len, int token);
/* Returns the longest token at s; -1: none. */
int matcher_longest(const struct matcher *m, const char *s, size_t len, size_t *token_len);

struct added_segment {
	size_t first, end;
	int token; /* index; -1: text */
};
struct added_segments {
	struct added_segment *s;
	size_t n, max;
};
void added_segment_add(struct added_segments *list, size_t first, size_t end, int token);
/* Cuts s at the tokens of m, one of a's. parse_special: also at special tokens. */
void added_cut(const struct added_tokens *a, const struct matcher *m, const char *s, size_t len, bool parse_special,
	       struct added_segments *out);

#endif
