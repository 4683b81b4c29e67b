/* rope.c - logarithm, exponential, sine and cosine by their series, then the tables. */
#include "engine/models/rope.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ln2_high = 0x1.62e42fefa39efp-1, ln2_low = 0x1.abc9e3b39803fp-56;

/* x = 2^k * m with m in [sqrt(1/2), sqrt(2)]; log m = 2 atanh((m-1)/(m+1)) by its series. */
double rope_log(double x)
{
	uint64_t u;
	int k;
	double m, s, s2, sum = 0;

	memcpy(&u, &x, sizeof u);
	k = (int)(u >> 52 & 0x7ff) - 1023;
	u = (u & 0xfffffffffffffu) | 0x3ff0000000000000u;
	memcpy(&m, &u, sizeof m);
	if (m > 1.4142135623730951) {
		m *= 0.5;
		k++;
	}
	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (int i = 25; i >= 3; i -= 2)
		sum = fma(sum, s2, 1.0 / i);
	return fma((double)k, ln2_high, fma(2 * s * s2, sum, 2 * s) + (double)k * ln2_low);
}

/* x = n ln2 + r; Taylor series of exp(r), scaled by 2^n. */
static double exp_of(double x)
{
	double n = rint(x * 1.4426950408889634), r = fma(-n, ln2_low, fma(-n, ln2_high, x)), sum = 1, scale;
	uint64_t u = (uint64_t)((int64_t)n + 1023) << 52;

	memcpy(&scale, &u, sizeof scale);
	for (int i = 18; i >= 1; i--)
		sum = fma(sum, r / i, 1);
	return sum * scale;
}

double rope_pow(double base, double exponent)
{
	return exp_of(exponent * rope_log(base));
}

void rope_sincos(double x, double *sin, double *cos)
{
	static const double p1 = 0x1.921fb54442d18p0, p2 = 0x1.1a62633145c07p-54; /* pi/2 in two parts */
	double n = rint(x * 0.6366197723675814), r = fma(-n, p2, fma(-n, p1, x)), r2 = r * r, s = 1, c = 1;

	for (int i = 21; i >= 3; i -= 2) /* sin r = r (1 - r^2/(2*3) (1 - r^2/(4*5) (...))) */
		s = fma(s, -r2 / (i * (i - 1)), 1);
	s *= r;
	for (int i = 22; i >= 2; i -= 2)
		c = fma(c, -r2 / (i * (i - 1)), 1);
	switch ((int64_t)n & 3) {
	case 0:
		*sin = s, *cos = c;
		break;
	case 1:
		*sin = c, *cos = -s;
		break;
	case 2:
		*sin = -s, *cos = -c;
		break;
	default:
		*sin = -c, *cos = s;
	}
}

/* Llama 3.1 stretches long waves by `factor`, keeps short ones and blends those between. f32, as in the reference. */
static float llama3(const struct model_config *c, float f)
{
	float factor = (float)c->rope_factor, low = (float)c->rope_low, high = (float)c->rope_high;
	float original = (float)c->rope_original, wave = 6.283185307179586f / f, smooth;

	if (wave > original / low)
		return f / factor;
	if (wave < original / high)
		return f;
	smooth = (original / wave - low) / (high - low);
	return (1 - smooth) * f / factor + smooth * f;
}

/* The dimension, of n, that turns so often over the first trained length. */
static double yarn_dimension(const struct model_config *c, double turns, int n)
{
	return n * rope_log(c->rope_original / (turns * 6.283185307179586)) / (2 * rope_log(c->rope_theta));
}

/* YaRN divides the frequencies of slow dimensions by the factor, leaves fast ones, and blends those between. f32, as in
 * the reference. */
static void yarn(const struct model_config *c, float *f, int n)
{
	double low = yarn_dimension(c, c->rope_high, n), high = yarn_dimension(c, c->rope_low, n);

	if (c->rope_truncate)
		low = floor(low), high = ceil(high);
	low = low < 0 ? 0 : low;
	high = high > n - 1 ? n - 1 : high;
	high += high == low ? 0.001 : 0; /* no division by 0 */
	for (int i = 0; i < n / 2; i++) {
		float power = (float)rope_pow(c->rope_theta, (float)(2 * i) / (float)n);
		float slow = 1.0f / ((float)c->rope_factor * power),
		      ramp = ((float)i - (float)low) / (float)(high - low);
		float keep = 1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp);
		f[i] = slow * (1 - keep) + 1.0f / power * keep;
	}
}

/* Dynamic scaling raises the base with the length, here that of the tables. */
static double base_of(const struct model_config *c, int positions)
{
	double n = model_n_rot(c), more = (double)positions / c->max_pos;

	if (c->scaling != ROPE_DYNAMIC || more <= 1)
		return c->rope_theta;
	return c->rope_theta * rope_pow(c->rope_factor * more - (c->rope_factor - 1), n / (n - 2));
}

void rope_frequencies(const struct model_config *c, int positions, float *inv_freq)
{
	const double base = base_of(c, positions);
	const float *each = positions > c->rope_original ? c->rope_long : c->rope_short; /* of longrope */
	int n_rot = model_n_rot(c);

	for (int i = 0; i < n_rot / 2; i++) {
		float exponent = (float)(2 * i) / (float)n_rot, power = (float)rope_pow(base, exponent);
		float f = 1.0f / (c->scaling == ROPE_LONGROPE ? each[i] * power : power);

		if (c->scaling == ROPE_LINEAR)
			f /= (float)c->rope_factor;
		else if (c->scaling == ROPE_LLAMA3)
			f = llama3(c, f);
		inv_freq[i] = f;
	}
	if (c->scaling == ROPE_YARN)
		yarn(c, inv_freq, n_rot);
}

void rope_tables(const struct model_config *c, int positions, float *cos, float *sin)
{
	size_t half = (size_t)model_n_rot(c) / 2;
	float *inv_freq = xalloc(half, sizeof *inv_freq),
	      scale = c->scaling == ROPE_YARN || c->scaling == ROPE_LONGROPE ? (float)c->rope_attention : 1;

	rope_frequencies(c, positions, inv_freq);
	for (int p = 0; p < positions; p++)
		for (size_t i = 0; i < half; i++) {
			double s, co;

			rope_sincos((float)p * inv_freq[i], &s, &co);
			cos[(size_t)p * half + i] = (float)co * scale;
			sin[(size_t)p * half + i] = (float)s * scale;
		}
	free(inv_freq);
}
