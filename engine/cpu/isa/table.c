/* table.c - the table of this instruction set, in which the backend finds its kernels. */
#include "engine/cpu/isa/inside.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

const struct cpu_kernels ISA_NAME(cpu_kernels) = {
	.name = TEXT(ISA),
	.tile_rows = {LINEAR_ROWS, LINEAR_ROWS, LINEAR_ROWS, INT_ROWS, INT_ROWS, INT_ROWS, INT_ROWS},
	.linear = {ISA_NAME(linear_f32), ISA_NAME(linear_bf16), ISA_NAME(linear_f16), ISA_NAME(linear_int8),
		   ISA_NAME(linear_int4), ISA_NAME(linear_uint8), ISA_NAME(linear_uint4)},
	.dot_rows = LINEAR_ROWS,
#ifdef ISA_avx512_bf16
	.linear_dot = ISA_NAME(linear_dot),
#endif
	.pack_x = {ISA_NAME(pack_f32), ISA_NAME(pack_dot), ISA_NAME(pack_int)},
#define ENTRY(name) .name = ISA_NAME(name),
	CPU_KERNELS(ENTRY)
#undef ENTRY
};
