/* matrix.h - which tensors of a model's files are matrices that --quantization makes integers of. */
#ifndef ENGINE_MODELS_MATRIX_H
#define ENGINE_MODELS_MATRIX_H

#include "engine/models/config.h"

/* Whether a tensor of that name is a matrix of a layer, by itself or as a part, and every rank's groups of 32 columns
 * begin at multiples of 32. Embedding, head and positions are none. */
bool model_tensor_is_matrix(const struct model_config *c, const char *name);

#endif
