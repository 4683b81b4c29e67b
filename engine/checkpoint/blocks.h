/* blocks.h - rows of a GGUF file's blocks as integers and scales, in place of the numbers that they stand for. */
#ifndef ENGINE_CHECKPOINT_BLOCKS_H
#define ENGINE_CHECKPOINT_BLOCKS_H

#include "engine/checkpoint/checkpoint.h"

/* Memory of some rows; what a type lacks (gguf_type) is NULL. Numbers are those of struct gguf_codes. */
struct block_rows {
	uint8_t *q;            /* (rows, cols) */
	uint16_t *scale, *min; /* (rows, blocks): of each block that the columns touch */
	int8_t *part;     /* (rows, groups * per): of each 32 columns that are touched; per: 2 for 16 columns each */
	int8_t *part_min; /* (rows, groups) */
	size_t blocks, groups;
	int per;
};

/* For `rows` rows and columns [col, col + cols) of a tensor whose t->block->codes is not NULL. */
struct block_rows block_rows_make(const struct ck_tensor *t, int64_t rows, int64_t col, int64_t cols);
void block_rows_free(struct block_rows *b);
/* Reads rows [row, row + rows). ERR_IO; ERR_FORMAT: a scale is not finite. Any thread. */
int block_rows_read(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		    int64_t cols, const struct block_rows *out, struct why *why);

#endif
