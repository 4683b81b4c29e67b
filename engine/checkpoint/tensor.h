/* tensor.h - describes one tensor of a model's files: its type and shape, and where its bytes are. */
#ifndef ENGINE_CHECKPOINT_TENSOR_H
#define ENGINE_CHECKPOINT_TENSOR_H

#include "base/base.h"
#include "engine/gguf/translate.h"

enum { CK_MAX_DIMS = 8 };

struct ck_tensor {
	const char *name;
	enum dtype type;       /* DT_COUNT: a type that nothing here computes with (listed, not readable) */
	const char *type_name; /* the name that the file's format uses: "BF16", "HalfStorage" */
	int n_dims;
	int64_t shape[CK_MAX_DIMS];    /* row-major logical shape; n_dims 0: a scalar */
	int64_t stride[CK_MAX_DIMS];   /* in elements; contiguous for safetensors */
	int file;                      /* index of checkpoint_file() */
	uint64_t offset;               /* of element 0 in that file, bytes */
	uint64_t bytes;                /* of the whole tensor when contiguous, in the file */
	const struct gguf_type *block; /* the file has blocks, which read as f32 (`type`); NULL: elements of `type` */
	const struct ck_quant
		*quant;       /* integers or e4m3 with scales in other tensors (quant.h), which read as f32; or NULL */
	enum row_order order; /* of the file's rows, which belong to `heads`; read in transformers' order */
	int heads;
};

#endif
