/* vocab.h - maps the ids of a vocabulary to their tokens, and tokens to ids. */
#ifndef ENGINE_TOKENIZER_VOCAB_H
#define ENGINE_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t bytes_hash(const char *s, size_t len, uint64_t seed);

enum { VOCAB_MAX = 1 << 22 }; /* ids; four million is 16 times the largest vocabulary known */

struct vocab_token {
	uint32_t at, len; /* in `bytes` */
	bool present;
};
struct vocab {
	char *bytes;
	size_t n_bytes, max_bytes;
	struct vocab_token *token; /* (n) */
	int n, max;                /* n: largest id + 1 */
	int32_t *slot;             /* open addressing, by hash of the bytes: id or -1 */
	uint32_t n_slots, used;
	struct vocab_alias {
		char *s; /* (len) */
		size_t len;
		int id;
	} * alias; /* (n_aliases) further tokens of an id: text becomes the id, whose text stays the first token */
	int n_aliases;
};

void vocab_finish(struct vocab *v);
/* Sets the token of an id, once. A second id with the same bytes keeps its token, and lookups find the last. */
void vocab_set(struct vocab *v, int id, const char *s, size_t len);
void vocab_add_alias(struct vocab *v, int id, const char *s, size_t len);
/* Sets the token of an id, or adds one to it with a warning that names the file. */
void vocab_put(struct vocab *v, int id, const char *s, size_t len, const char *file);
int vocab_find(const struct vocab *v, const char *s, size_t len);  /* -1: none */
const char *vocab_get(const struct vocab *v, int id, size_t *len); /* NULL: no such id */

/* Maps (a, b) to (rank, id): which two neighbours become one. */
struct pairs {
	struct pair_slot {
		uint32_t a, b;
		int32_t rank, id; /* id -1: free */
	} * slot;
	uint32_t n_slots, used;
};
void pairs_finish(struct pairs *p);
void pairs_set(struct pairs *p, uint32_t a, uint32_t b, int rank, int id); /* a later pair replaces an earlier one */
const struct pair_slot *pairs_find(const struct pairs *p, uint32_t a, uint32_t b); /* NULL: none */

#endif
