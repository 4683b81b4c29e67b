/* block.h - ggml's element types: how many elements a block has, its bytes, and the numbers that it stands for
 * (ggml-common.h and ggml-quants.c of ggml, whose dequantize_row_* these equal to the bit). */
#ifndef ENGINE_GGUF_BLOCK_H
#define ENGINE_GGUF_BLOCK_H

#include "base/base.h"

enum { GGUF_BLOCK_MOST = 256 /* elements */ };

/* A block as integers: number = (scale * part) * (q - offset) + min * part_min, rounded once, at the sum. The offset is
 * 32 in Q6_K, 16 in Q5_0, else 0; q of IQ4_NL and IQ4_XS are numbers of levels (base/iq4.h). */
struct gguf_codes {
	uint8_t q[GGUF_BLOCK_MOST];
	uint16_t scale, min; /* f16 */
	/* Blocks of 256: for 32 numbers each, in Q6_K for 16. Minima are held negated. */
	int8_t part[GGUF_BLOCK_MOST / 16], part_min[GGUF_BLOCK_MOST / 32];
};

struct gguf_type {
	const char *name;
	int elements, bytes; /* of a block */
	enum dtype plain;    /* of a type whose blocks are single elements; DT_COUNT: a type of blocks */
	void (*unpack)(const uint8_t *block, float *out);            /* out (elements); NULL: plain, or not readable */
	void (*codes)(const uint8_t *block, struct gguf_codes *out); /* NULL: no such form */
	int parts;   /* of such a block: how many numbers its scale is multiplied by; 0: none */
	bool minima; /* whether it has a minimum, with parts of its own for 32 numbers each where there are parts */
};

/* NULL: no type of this number is known. */
const struct gguf_type *gguf_type(uint32_t id);

#endif
