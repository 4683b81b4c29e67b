/* dummy.h - random weights of any shape (--load-format dummy). A value depends on seed, tensor name, row and column
 * alone, so that any number of ranks makes the same model. Values are about normal, with a rare outlier of 8 times the
 * size, as trained weights have. */
#ifndef ENGINE_MODELS_DUMMY_H
#define ENGINE_MODELS_DUMMY_H

#include "base/base.h"

/* Fills dst (rows, cols) with rows [row, row + rows) and columns [col, col + cols) of a tensor that is `width` columns
 * wide: mean + std * noise, rounded to `type`. */
void dummy_fill(void *dst, enum dtype type, uint64_t seed, const char *name, int64_t width, int64_t row, int64_t rows,
		int64_t col, int64_t cols, float mean, float std);

#endif
