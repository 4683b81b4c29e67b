/* convert.h - a model of any format that is read becomes a folder of safetensors in another class of numbers. */
#ifndef ENGINE_CONVERT_H
#define ENGINE_CONVERT_H

#include "engine/convert/options.h"

struct convert_result {
	uint64_t bytes;          /* written */
	int files, quantised, n; /* of n tensors read, those that became integers or e4m3 */
	uint64_t fingerprint;    /* of what was read; also in the files' metadata */
};

/* Writes beside `out` under another name, which is renamed once all is on the disk, or removed. ERR_IO (also: `out`
 * exists, no space), ERR_FORMAT, ERR_UNSUPPORTED, ERR_LIMIT (a number that the class cannot hold), ERR_CANCELLED;
 * naming the file and the tensor. */
int convert_checkpoint(const struct convert_options *o, struct convert_result *result, struct why *why);

#endif
