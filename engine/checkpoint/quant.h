/* quant.h - quantised checkpoints: what config.json says about them, and tensors of integers or e4m3 numbers whose
 * scales, zero points and groups are tensors of their own. They are listed as the matrix that they stand for, under its
 * name, and read as f32: exactly scale * (q - zero), with the sources' formulas.
 *
 * Sources: GPTQ: AutoGPTQ's qlinear_cuda_old.py and GPTQModel's gptq_v2; AWQ: AutoAWQ's packing_utils.py;
 * compressed-tensors: pack_quantized.py and naive_quantized.py of its compressors; FP8: transformers'
 * finegrained_fp8.py and vLLM's fp8.py. */
#ifndef ENGINE_CHECKPOINT_QUANT_H
#define ENGINE_CHECKPOINT_QUANT_H

#include "engine/checkpoint/tensor.h"

struct checkpoint;

/* How the numbers lie. */
enum quant_layout {
	LAYOUT_GPTQ,   /* qweight (cols/n, rows) int32, a word has n columns of a row, the first lowest */
	LAYOUT_AWQ,    /* qweight (cols, rows/8) int32, a word has rows 0 2 4 6 1 3 5 7, the first lowest */
	LAYOUT_PACKED, /* weight_packed (rows, cols/n) int32, a word has n columns */
	LAYOUT_INT8,   /* weight (rows, cols) int8 */
	LAYOUT_FP8     /* weight (rows, cols) e4m3 */
};

/* A matrix (rows, cols) as its files hold it. */
struct ck_quant {
	enum quant_layout layout;
	int bits; /* 4 or 8 */
	int64_t rows, cols;
	int64_t group, n_groups; /* columns of a group; groups of a row */
	int64_t group_rows;      /* rows that share a scale: e4m3, or all rows with one scale */
	int zero_more;           /* is added to a stored zero point */
	int zero_least, zero_most;
	const struct ck_tensor *codes, *scale, *zero; /* zero NULL: 8 or 128 */
	int32_t *group_of; /* (cols) where groups are no runs of columns (g_idx); else NULL */
	int32_t *order;    /* (cols) the columns sorted by group; NULL where group_of is */
	bool runs;         /* each 32 columns in that order, from the first on, are of one group */
};

bool quant_is_e4m3(const struct ck_quant *q);
/* Whether all zero points are the middle, so that the numbers are those of int4 or int8. */
bool quant_is_symmetric(const struct ck_quant *q);
/* Whether each 32 columns (in the order of its groups) have one scale and zero points fit: quant_codes() may be used.
 */
bool quant_has_codes(const struct ck_quant *q);
/* Where codes go: q (rows, places); the others (rows, groups) with one for each 32 places that are touched, counted
 * from place 0. */
struct quant_room {
	uint8_t *q, *zero;
	uint16_t *scale; /* f16, of integers, which holds those of GPTQ and AWQ exactly */
	float *wide;     /* of e4m3, in place of scale and zero */
};
/* Rows [row, row + rows) and places [place, place + places) of the columns' order: integers in [0, 15] or [0, 255], or
 * e4m3 numbers. ERR_IO, ERR_FORMAT, also where a scale is not finite or a number is NaN. Any thread. */
int quant_codes(const struct checkpoint *c, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t place,
		int64_t places, const struct quant_room *out, struct why *why);

#endif
