/* inspect.h - prints what a checkpoint has and what is wrong with it. */
#ifndef ENGINE_CHECKPOINT_INSPECT_H
#define ENGINE_CHECKPOINT_INSPECT_H

#include <stdio.h>

#include "base/base.h"

/* path: a model's directory, one checkpoint file, or an index. Prints tensors (name, type, shape, file, bytes) and
 * totals by type; for a directory also the model's family, parameters and tokenizer. Prints every error, continues, and
 * returns the code of the first. */
int inspect_checkpoint(FILE *out, const char *path, struct why *why);
/* The same as one JSON object: path, bytes, fingerprint, files, tensors, model, tokenizer (as far as they can be read)
 * and "wrong", a list of texts that is empty where nothing is. */
int inspect_json(FILE *out, const char *path, struct why *why);

#endif
