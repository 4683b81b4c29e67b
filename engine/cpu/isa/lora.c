/* lora.c - the inner loop of low-rank updates: four chains at a time, which hide each other's latency. */
#include "engine/cpu/isa/inside.h"

void ISA_NAME(lora)(float *out, const float *const *a, const float *const *x, int n)
{
	v16 s0 = v_zero(), s1 = v_zero(), s2 = v_zero(), s3 = v_zero();

	for (int i = 0; i < n; i++) {
		s0 = v_fma(v_load(a[0] + 16 * i), v_set1(x[0][i]), s0);
		s1 = v_fma(v_load(a[1] + 16 * i), v_set1(x[1][i]), s1);
		s2 = v_fma(v_load(a[2] + 16 * i), v_set1(x[2][i]), s2);
		s3 = v_fma(v_load(a[3] + 16 * i), v_set1(x[3][i]), s3);
	}
	v_store(out, s0);
	v_store(out + 16, s1);
	v_store(out + 32, s2);
	v_store(out + 48, s3);
}
