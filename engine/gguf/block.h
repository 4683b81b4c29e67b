/* block.h - ggml's element types: how many elements a block has, its bytes, and the numbers that it stands for
 * (ggml-common.h and ggml-quants.c of ggml, whose dequantize_row_* these equal to the bit). */
#ifndef ENGINE_GGUF_BLOCK_H
#define ENGINE_GGUF_BLOCK_H

#include "base/base.h"

enum { GGUF_BLOCK_MOST = 256 /* elements */ };

struct gguf_type {
	const char *name;
	int elements, bytes; /* of a block */
	enum dtype plain;    /* of a type whose blocks are single elements; DT_COUNT: a type of blocks */
	void (*unpack)(const uint8_t *block, float *out); /* out (elements); NULL: plain, or not readable */
};

/* NULL: no type of this number is known. */
const struct gguf_type *gguf_type(uint32_t id);

#endif
