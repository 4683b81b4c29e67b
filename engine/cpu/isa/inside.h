/* linear.h - inside engine/cpu/isa: the functions that table.c collects. */
#ifndef ENGINE_CPU_ISA_INSIDE_H
#define ENGINE_CPU_ISA_INSIDE_H

#include "engine/cpu/isa/kernels.h"
#include "engine/cpu/isa/vec.h"

void ISA_NAME(linear_f32)(const struct linear_job *job);
void ISA_NAME(linear_bf16)(const struct linear_job *job);
void ISA_NAME(linear_f16)(const struct linear_job *job);
void ISA_NAME(linear_dot)(const struct linear_job *job);
void ISA_NAME(linear_int8)(const struct linear_job *job);
void ISA_NAME(linear_int4)(const struct linear_job *job);
void ISA_NAME(pack_f32)(const struct pack_job *j);
void ISA_NAME(pack_dot)(const struct pack_job *j);
void ISA_NAME(pack_int)(const struct pack_job *j);
void ISA_NAME(pack_w)(const struct weight_job *j);
void ISA_NAME(quantise)(int8_t *q, float *scale, const float *x, int n);
void ISA_NAME(norm)(const struct norm_job *job);
void ISA_NAME(rope)(float *x, const float *cos, const float *sin, int half);
void ISA_NAME(convert)(void *out, const float *x, int n, enum dtype type);
void ISA_NAME(attention)(struct attn_job *jobs, int n, float *packed);
void ISA_NAME(attention_join)(const struct attn_job *job, size_t pitch, int group);
void ISA_NAME(silu_mul)(void *out, size_t at, const float *gate, const float *up, int n, enum dtype type);
void ISA_NAME(exp)(float *out, const float *x, int n);

#endif
