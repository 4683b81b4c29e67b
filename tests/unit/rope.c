/* Rotary tables against libm in long double, and the two scalings against the reference's formulas in double.
 */
#include "engine/models/rope.h"

#include <math.h>
#include <stdlib.h>

#include "tests/check.h"

TEST(sincos_is_exact_to_the_last_bit_or_so)
{
	uint64_t state = 1;

	for (int i = 0; i < 1000000; i++) {
		double x, s, c;
		state = state * 6364136223846793005u + 1442695040888963407u;
		x = (double)(state >> 11) / 9007199254740992.0 * (i % 3 == 0 ? 10 : i % 3 == 1 ? 1e4 : 1e7);
		rope_sincos(x, &s, &c);
		CHECK(fabsl((long double)s - sinl(x)) < 3e-16L);
		CHECK(fabsl((long double)c - cosl(x)) < 3e-16L);
	}
}

TEST(pow_is_exact_to_some_bits)
{
	for (int i = 0; i <= 1000; i++) {
		double e = i / 1000.0;
		CHECK(fabsl(rope_pow(10000, e) / powl(10000, e) - 1) < 1e-14L);
		CHECK(fabsl(rope_pow(500000, e) / powl(500000, e) - 1) < 1e-14L);
	}
}

TEST(tables_hold_f32_angles)
{
	struct model_config c = {.head_dim = 128, .rope_theta = 10000};
	float *cos_t = xalloc(4096 * 64, 4), *sin_t = xalloc(4096 * 64, 4), f[64];

	rope_frequencies(&c, f);
	rope_tables(&c, 4096, cos_t, sin_t);
	CHECK(f[0] == 1.0f);
	for (int i = 0; i < 64; i++)
		CHECK(fabs(f[i] / pow(10000, -2.0 * i / 128) - 1) < 2e-7);
	for (int p = 0; p < 4096; p += 7)
		for (int i = 0; i < 64; i++) {
			float angle = (float)p * f[i];
			CHECK(fabs(cos_t[p * 64 + i] - cos((double)angle)) < 7e-8);
			CHECK(fabs(sin_t[p * 64 + i] - sin((double)angle)) < 7e-8);
		}
	free(cos_t);
	free(sin_t);
}

TEST(scalings)
{
	struct model_config plain = {.head_dim = 64, .rope_theta = 500000}, linear = plain, llama = plain;
	float a[32], b[32], d[32];

	linear.scaling = ROPE_LINEAR;
	linear.rope_factor = 4;
	llama.scaling = ROPE_LLAMA3;
	llama.rope_factor = 8;
	llama.rope_low = 1;
	llama.rope_high = 4;
	llama.rope_original = 8192;
	rope_frequencies(&plain, a);
	rope_frequencies(&linear, b);
	rope_frequencies(&llama, d);
	for (int i = 0; i < 32; i++) {
		double wave = 2 * M_PI / a[i], smooth = (8192 / wave - 1) / 3, want = a[i];
		CHECK(b[i] == a[i] / 4);
		if (wave > 8192)
			want = a[i] / 8;
		else if (wave > 2048)
			want = (1 - smooth) * a[i] / 8 + smooth * a[i];
		CHECK(fabs(d[i] / want - 1) < 1e-6);
	}
	CHECK(d[0] == a[0] && d[31] == a[31] / 8);
}

CHECK_MAIN()
