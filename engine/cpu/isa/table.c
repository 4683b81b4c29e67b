/* table.c - the table of this instruction set, in which the backend finds its kernels. */
#include "engine/cpu/isa/inside.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

const struct cpu_kernels ISA_NAME(cpu_kernels) = {
	.name = TEXT(ISA),
	.tile_rows = {LINEAR_ROWS, LINEAR_ROWS, LINEAR_ROWS, INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS,
		      INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS},
	.linear = {ISA_NAME(linear_f32), ISA_NAME(linear_bf16), ISA_NAME(linear_f16), ISA_NAME(linear_int8),
		   ISA_NAME(linear_int4), ISA_NAME(linear_uint8), ISA_NAME(linear_uint4), ISA_NAME(linear_q4_k),
		   ISA_NAME(linear_q5_k), ISA_NAME(linear_q6_k), ISA_NAME(linear_q4_1), ISA_NAME(linear_iq4_nl),
		   ISA_NAME(linear_q5_0), ISA_NAME(linear_q5_1), ISA_NAME(linear_iq4_xs)},
	.dot_rows = LINEAR_ROWS,
#ifdef ISA_avx512_bf16
	.linear_dot = ISA_NAME(linear_dot),
#endif
	.pack_x = {ISA_NAME(pack_f32), ISA_NAME(pack_dot), ISA_NAME(pack_int), ISA_NAME(pack_block)},
#define ENTRY(name) .name = ISA_NAME(name),
	CPU_KERNELS(ENTRY)
#undef ENTRY
};
