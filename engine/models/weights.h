/* weights.h - private to engine/models: the weights that a rank holds. */
#ifndef ENGINE_MODELS_WEIGHTS_H
#define ENGINE_MODELS_WEIGHTS_H

#include "engine/models/inside.h"

struct checkpoint;

/* Fills all that the family's table names, from a checkpoint or (NULL) with dummy weights. After an error, too,
 * weights_free() must follow. */
int weights_load(struct model *m, struct checkpoint *ck, struct load_progress *progress, struct why *why);
void weights_free(struct model *m);
size_t weights_bytes(const struct model *m); /* of matrices, as packed */

#endif
