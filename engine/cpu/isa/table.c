#include "engine/cpu/isa/local.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

const struct cpu_kernels ISA_NAME(cpu_kernels) = {
	.name = TEXT(ISA),
	.linear = {ISA_NAME(linear_bf16_bf16), ISA_NAME(linear_f32_f32), ISA_NAME(linear_f32_bf16),
		   ISA_NAME(linear_f32_f16)},
	.norm = ISA_NAME(norm),
	.rope = ISA_NAME(rope),
	.convert = ISA_NAME(convert),
	.attention = ISA_NAME(attention),
	.attention_join = ISA_NAME(attention_join),
	.silu_mul = ISA_NAME(silu_mul),
	.exp = ISA_NAME(exp),
};
