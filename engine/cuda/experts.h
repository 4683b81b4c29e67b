/* experts.h - a routed FFN of the CUDA backend. Private to engine/cuda. */
#ifndef ENGINE_CUDA_EXPERTS_H
#define ENGINE_CUDA_EXPERTS_H

#include "engine/cuda/cuda.h"

op_route cuda_route;
op_experts cuda_experts;
/* Takes the memory for the rows of such layers' tokens; nothing where there is enough. */
void cuda_experts_reserve(struct cuda *c, const struct routing *r, const struct expert_weights *w);
/* Kernels of one call for so many tokens, with `shared` of the experts that all share. */
int cuda_experts_kernels(const struct cuda *c, int rows, const struct routing *r, const struct expert_weights *w,
			 int shared);

#endif
