/* options.h - what is to be made of a model. */
#ifndef ENGINE_CONVERT_OPTIONS_H
#define ENGINE_CONVERT_OPTIONS_H

#include "base/base.h"

/* NONE: as they are; what is quantised becomes f32, which holds each of its numbers exactly. INT8, INT4 and FP8 are for
 * the matrices of layers; all other tensors stay as in NONE. Integers are those of the contract in
 * engine/backend/backend.h, in the layout "pack-quantized" of compressed-tensors, e4m3 in its "float-quantized". */
enum convert_class {
	CONVERT_NONE,
	CONVERT_BF16,
	CONVERT_F16,
	CONVERT_F32,
	CONVERT_INT8,
	CONVERT_INT4,
	CONVERT_FP8,
	CONVERT_COUNT
};
extern const char *const convert_names[CONVERT_COUNT + 1]; /* "none", "bf16", ...; ends with NULL */

struct convert_options {
	const char *in;  /* what checkpoint_open() takes, with config.json in it or made of it */
	const char *out; /* a folder that does not exist yet */
	enum convert_class to;
	uint64_t max_shard; /* bytes of a file's tensors, at most, unless one tensor alone has more */
	/* Called often. done: of `total` bytes of the files that are read. False: stop. */
	bool (*go_on)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

#endif
