/* gemm_fp8.h - weights of e4m3, whose first one creates what they share. */
#ifndef ENGINE_CUDA_GEMM_FP8_H
#define ENGINE_CUDA_GEMM_FP8_H

#include "engine/cuda/gemm_lt.h"

void gemm_fp8_create(struct gemm *g);
/* Where cuBLASLt scales: by the scales of rows of w and of x from now on. */
void gemm_fp8_scales(struct gemm *g, const float *w, const float *x);
/* Bytes of `room` that sums of w may wait in. */
size_t gemm_fp8_room(const struct cuda_weight *w);
/* As gemm_run(). */
bool gemm_fp8_run(struct cuda *c, void *out, bool narrow, const void *x, const struct cuda_weight *w, int m);

#endif
