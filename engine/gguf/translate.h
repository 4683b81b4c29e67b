/* translate.h - GGUF's architectures in the terms of transformers: classes, names of tensors, order of rows
 * (gguf-py/gguf/constants.py and convert_hf_to_gguf.py of llama.cpp, read backwards). */
#ifndef ENGINE_GGUF_TRANSLATE_H
#define ENGINE_GGUF_TRANSLATE_H

#include "engine/gguf/gguf.h"

/* The converter changes the order of some rows, for its own form of rotary embeddings or of joined tensors. */
enum row_order {
	ROWS_SAME,
	ROWS_ROTARY, /* of each head: pairs (j, j + half) lie next to each other, as 2j and 2j + 1 */
	ROWS_THIRDS  /* all heads' q, k, v below each other; transformers has q, k, v head by head */
};

struct gguf_arch {
	const char *name;               /* general.architecture */
	const char *class, *model_type; /* of transformers */
	const char *layer;              /* what stands before a layer's number */
	const char *const (*names)[2];  /* GGUF's, transformers'; those of a layer begin with '.'; ends with NULL */
	bool rotary_rows;               /* rows of q and k have ROWS_ROTARY */
	bool thirds;                    /* those of joined q, k and v have ROWS_THIRDS */
};

/* NULL, with ERR_FORMAT or ERR_UNSUPPORTED in *err: none is named, or it is not one that is served. */
const struct gguf_arch *gguf_arch(const struct gguf *g, int *err, struct why *why);

struct gguf_place {
	char name[288]; /* of the tensor in transformers; GGUF's own where the table does not know it */
	enum row_order order;
	int heads; /* that the rows belong to */
};
/* False: the tensor is no weight of the model (rope_freqs.weight, rope_factors_long.weight). */
bool gguf_place(const struct gguf *g, const struct gguf_arch *a, const char *tensor, struct gguf_place *out);
/* The row of the file that is row `row` of `rows` in transformers' order. */
int64_t gguf_row(enum row_order order, int heads, int64_t rows, int64_t row);

#endif
