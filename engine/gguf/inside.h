/* inside.h - private to engine/gguf: the documents, and what their makers share. */
#ifndef ENGINE_GGUF_INSIDE_H
#define ENGINE_GGUF_INSIDE_H

#include "base/text.h"
#include "engine/gguf/translate.h"

/* The text of a document. ERR_FORMAT, ERR_UNSUPPORTED: the metadata does not say what it needs. */
int gguf_config(const struct gguf *g, struct text *out, struct why *why);           /* config.json */
int gguf_generation(const struct gguf *g, struct text *out, struct why *why);       /* generation_config.json */
int gguf_tokenizer_config(const struct gguf *g, struct text *out, struct why *why); /* tokenizer_config.json */
/* ERR_UNKNOWN: the vocabulary is not of this kind. */
int gguf_tokenizer_json(const struct gguf *g, struct text *out, struct why *why); /* byte-level BPE, and XVERSE's */
int gguf_sentencepiece(const struct gguf *g, struct text *out, struct why *why);  /* tokenizer.model */

/* acting.c. head_dim: of a network whose heads are rotated whole; 0: of another. longrope: the factor that goes with
 * its tensors is read. ERR_UNSUPPORTED. */
int gguf_check_acting(const struct gguf *g, const char *arch, int64_t head_dim, bool longrope, struct why *why);

/* codes.c: blocks as integers. */
void gguf_codes_q4_1(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_q4_k(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_q5_k(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_q6_k(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_iq4_nl(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_q5_0(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_q5_1(const uint8_t *block, struct gguf_codes *out);
void gguf_codes_iq4_xs(const uint8_t *block, struct gguf_codes *out);
static inline uint16_t gguf_half(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
/* The integers of a block of Q5_0 or Q5_1: bit i of `fifths` (4 bytes) is the fifth one of number i. */
void gguf_five_bits(const uint8_t *fifths, const uint8_t *nibbles, uint8_t q[32]);
/* By what the scale of a block of IQ4_XS is multiplied in group j of 8. */
int gguf_scale_iq4_xs(const uint8_t *block, int j);
/* Scale and minimum j of 8, of 6 bits each, in the 12 bytes of a block of Q4_K or Q5_K (get_scale_min_k4). */
void gguf_scale_min(const uint8_t *s, int j, int *scale, int *min);

/* The token of an id in the metadata, malloced; NULL: none. */
char *gguf_token(const struct gguf *g, const char *key, size_t *len);
/* The kinds of tokens, (n) malloced, as SentencePiece numbers them; all normal where the file has no list. */
enum gguf_token_kind { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER, TOKEN_UNUSED, TOKEN_BYTE };
uint8_t *gguf_token_kinds(const struct gguf *g, uint64_t n, int *err, struct why *why);
bool gguf_is_xverse(const struct gguf *g);

/* Parts of tokenizer.json: "added_tokens": [...], and "vocab": {...}. `kind` is that of gguf_token_kinds(). */
int gguf_put_added(const struct gguf *g, struct text *out, const struct gguf_value *tokens, const uint8_t *kind,
		   struct why *why);
int gguf_put_vocab(const struct gguf *g, struct text *out, const struct gguf_value *tokens, struct why *why);
/* The whole tokenizer.json of XVERSE's vocabularies. */
int gguf_xverse_json(const struct gguf *g, struct text *out, const struct gguf_value *tokens, const uint8_t *kind,
		     struct why *why);

#endif
