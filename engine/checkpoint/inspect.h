/* inspect.h - what a checkpoint holds and what is wrong with it, for a person. */
#ifndef ENGINE_CHECKPOINT_INSPECT_H
#define ENGINE_CHECKPOINT_INSPECT_H

#include <stdio.h>

#include "base/base.h"

/* path: a model's directory, one checkpoint file, or an index. Prints tensors (name, type, shape, file, bytes), totals
 * by type, and in a directory the model's family, parameters and tokenizer. Goes on past what is wrong and prints it;
 * returns the first code. */
int inspect_checkpoint(FILE *out, const char *path, struct why *why);

#endif
