/* inside.h - the kernels of this instruction set, which table.c collects. Private to engine/cpu/isa. */
#ifndef ENGINE_CPU_ISA_INSIDE_H
#define ENGINE_CPU_ISA_INSIDE_H

#include "engine/cpu/isa/kernels.h"
#include "engine/cpu/isa/vec.h"

kernel_linear ISA_NAME(linear_f32), ISA_NAME(linear_bf16), ISA_NAME(linear_f16), ISA_NAME(linear_dot);
kernel_linear ISA_NAME(linear_int8), ISA_NAME(linear_int4), ISA_NAME(linear_uint8), ISA_NAME(linear_uint4);
kernel_linear ISA_NAME(linear_q4_k), ISA_NAME(linear_q5_k), ISA_NAME(linear_q6_k), ISA_NAME(linear_q4_1);
kernel_linear ISA_NAME(linear_iq4_nl), ISA_NAME(linear_q5_0), ISA_NAME(linear_q5_1), ISA_NAME(linear_iq4_xs);
kernel_pack_x ISA_NAME(pack_f32), ISA_NAME(pack_dot), ISA_NAME(pack_int), ISA_NAME(pack_block);
#define DECLARE(name) kernel_##name ISA_NAME(name);
CPU_KERNELS(DECLARE)
#undef DECLARE

#endif
