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

	rope_frequencies(&c, 4096, f);
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
	rope_frequencies(&plain, 9, a);
	rope_frequencies(&linear, 9, b);
	rope_frequencies(&llama, 9, d);
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

/* The formulas of arXiv:2309.00071 in double precision. */
TEST(yarn)
{
	struct model_config plain = {.head_dim = 128, .rope_theta = 1e6}, yarn = plain;
	float a[64], b[64], *cos_t = xalloc(40 * 64, 4), *sin_t = xalloc(40 * 64, 4);
	double low, high;

	yarn.scaling = ROPE_YARN;
	yarn.rope_factor = 4, yarn.rope_original = 32768, yarn.rope_low = 1, yarn.rope_high = 32;
	yarn.rope_attention = 1.25;
	for (int truncate = 0; truncate < 2; truncate++) {
		yarn.rope_truncate = truncate;
		rope_frequencies(&plain, 9, a);
		rope_frequencies(&yarn, 9, b);
		low = 128 * log(32768 / (32 * 2 * M_PI)) / (2 * log(1e6));
		high = 128 * log(32768 / (2 * M_PI)) / (2 * log(1e6));
		if (truncate)
			low = floor(low), high = ceil(high);
		for (int i = 0; i < 64; i++) {
			double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
			CHECK(fabs(b[i] / ((double)a[i] * (1 - ramp) + (double)a[i] / 4 * ramp) - 1) < 1e-6);
		}
		CHECK(b[0] == a[0] && b[63] == a[63] / 4);
	}
	rope_tables(&yarn, 40, cos_t, sin_t);
	for (int p = 0; p < 40; p++)
		for (int i = 0; i < 64; i++)
			CHECK(fabs(cos_t[p * 64 + i] - 1.25 * cos((double)((float)p * b[i]))) < 2e-7);
	free(cos_t);
	free(sin_t);
}

/* Each pair has a factor, one up to the first trained length and another beyond it; f32 as in the reference. */
TEST(longrope)
{
	struct model_config plain = {.head_dim = 8, .rope_theta = 10000, .max_pos = 4096}, c = plain;
	float a[4], b[4], cos_t[16], sin_t[16];

	c.scaling = ROPE_LONGROPE, c.rope_original = 1024, c.rope_attention = 1.25;
	for (int i = 0; i < 4; i++)
		c.rope_short[i] = 1 + 0.5f * (float)i, c.rope_long[i] = 3 + (float)i;
	rope_frequencies(&plain, 9, a);
	rope_frequencies(&c, 1024, b);
	for (int i = 0; i < 4; i++)
		CHECK(fabs((double)(b[i] * c.rope_short[i] / a[i]) - 1) < 2e-7);
	rope_frequencies(&c, 1025, b);
	for (int i = 0; i < 4; i++)
		CHECK(fabs((double)(b[i] * c.rope_long[i] / a[i]) - 1) < 2e-7);
	rope_tables(&c, 4, cos_t, sin_t);
	rope_frequencies(&c, 4, b);
	for (int i = 0; i < 16; i++) {
		CHECK(fabs((double)cos_t[i] - 1.25 * cos((double)((float)(i / 4) * b[i % 4]))) < 2e-7);
		CHECK(fabs((double)sin_t[i] - 1.25 * sin((double)((float)(i / 4) * b[i % 4]))) < 2e-7);
	}
}

/* The base is fixed by the length of the tables, and the same up to the trained one. */
TEST(dynamic_and_partial)
{
	struct model_config plain = {.head_dim = 64, .rope_theta = 10000, .max_pos = 4096}, dynamic = plain,
			    part = plain;
	float a[32], b[32];

	dynamic.scaling = ROPE_DYNAMIC, dynamic.rope_factor = 2;
	rope_frequencies(&plain, 9, a);
	rope_frequencies(&dynamic, 4096, b);
	CHECK(!memcmp(a, b, sizeof a));
	rope_frequencies(&dynamic, 16384, b);
	for (int i = 0; i < 32; i++)
		CHECK(fabs(b[i] / pow(10000 * pow(2 * 4 - 1, 64.0 / 62), -2.0 * i / 64) - 1) < 1e-6);
	part.n_rot = 16;
	rope_frequencies(&part, 9, b);
	for (int i = 0; i < 8; i++)
		CHECK(fabs(b[i] / pow(10000, -2.0 * i / 16) - 1) < 2e-7);
}

CHECK_MAIN()
