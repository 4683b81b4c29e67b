/* tensor.h - a row-major matrix in the backend's memory. A view: it never owns `data`. */
#ifndef ENGINE_BACKEND_TENSOR_H
#define ENGINE_BACKEND_TENSOR_H

#include "base/base.h"

/* How weights are held: as stored; as integers with a scale for 32 columns of a row, without or (UINT) with a zero
 * point; as e4m3 with a scale for a row (FP8); as e4m3 with the scales of its files, one for 128 columns (E4M3); or as
 * the blocks of a GGUF file, whose types these are. */
enum quant {
	QUANT_NONE,
	QUANT_INT8,
	QUANT_INT4,
	QUANT_FP8,
	QUANT_UINT8,
	QUANT_UINT4,
	QUANT_E4M3,
	QUANT_BLOCKS,
	QUANT_Q4_K = QUANT_BLOCKS,
	QUANT_Q5_K,
	QUANT_Q6_K,
	QUANT_Q4_1,
	QUANT_IQ4_NL,
	QUANT_Q5_0,
	QUANT_Q5_1,
	QUANT_IQ4_XS,
	QUANT_COUNT
};
static inline bool quant_is_blocks(enum quant q)
{
	return q >= QUANT_BLOCKS;
}
const char *quant_name(enum quant q); /* "int8", ...; "none" */

struct tensor {
	void *data; /* (rows, cols), rows contiguous */
	enum dtype type;
	int rows, cols;
};

static inline struct tensor tensor_of(void *data, enum dtype type, int rows, int cols)
{
	return (struct tensor){.data = data, .type = type, .rows = rows, .cols = cols};
}

#endif
