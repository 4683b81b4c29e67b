/* dot.h - what products of int8 activations share. */
#ifndef ENGINE_CPU_ISA_DOT_H
#define ENGINE_CPU_ISA_DOT_H

#include "engine/cpu/isa/vec.h"

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
#pragma GCC target("avx512vnni")
#endif

INLINE int32_t word_at(const char *p)
{
	int32_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

#if defined(ISA_avx512) || defined(ISA_avx512_bf16)
/* acc += the four products of each lane. As assembly for the reason given at v_fma_to(). */
INLINE void dot_to(__m512i *acc, __m512i w, __m512i x)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(*acc) : "v"(w), "v"(x));
}

/* Loads into a register of its own for each sum: the compiler would otherwise copy one register, and the copies compete
 * with products for issue slots. */
INLINE __m512i start_of(const char *p)
{
	__m512i v;

	__asm__ volatile("vpbroadcastd %1, %0" : "=v"(v) : "m"(*(const char(*)[4])p));
	return v;
}
#endif

#endif
