/* draw.c - temperature, top_n_sigma, min_p, top_k, top_p, and the draw. */
#include <math.h>
#include <string.h>

#include "engine/sample/inside.h"
#include "engine/sample/math.h"

int32_t sample_argmax(const float *logits, int n)
{
	float best = -INFINITY;
	int32_t id = -1;

	for (int i = 0; i < n; i++)
		if (logits[i] > best) {
			best = logits[i];
			id = i;
		}
	return id;
}

/* ---- the k-th largest value ---- */

static void swap_float(float *a, float *b)
{
	float t = *a;

	*a = *b;
	*b = t;
}

/* Hoare's quickselect (1961) with the median of three: v[k] is then the k-th largest, counted from 0. */
static float kth_largest(float *v, int n, int k)
{
	int lo = 0, hi = n - 1;

	while (lo < hi) {
		int i = lo, j = hi, mid = lo + (hi - lo) / 2;
		float pivot = fmaxf(fminf(v[lo], v[mid]), fminf(fmaxf(v[lo], v[mid]), v[hi]));
		while (i <= j) {
			while (v[i] > pivot)
				i++;
			while (v[j] < pivot)
				j--;
			if (i <= j)
				swap_float(&v[i++], &v[j--]);
		}
		if (k <= j)
			hi = j;
		else if (k >= i)
			lo = i;
		else
			break;
	}
	return v[k];
}

/* ---- the kept set ---- */

/* Tokens equal to the k-th are all kept. */
static float top_k_floor(struct sampler *p, const float *x, int k)
{
	int n = 0;

	for (int i = 0; i < p->vocab; i++)
		if (x[i] > -INFINITY)
			p->values[n++] = x[i];
	return k > 0 && k < n ? kth_largest(p->values, n, k - 1) : -INFINITY;
}

static int collect(struct sampler *p, const float *x, float max, float floor, uint64_t least)
{
	int n = 0;

	for (int i = 0; i < p->vocab; i++) {
		uint64_t mass;
		if (!(x[i] >= floor && x[i] > -INFINITY))
			continue;
		mass = sample_mass(x[i], max);
		if (mass >= least)
			p->cand[n++] = (struct candidate){x[i], i, mass};
	}
	return n;
}

/* Likelier ones are first; of equal ones the lower id is. */
static bool before(const struct candidate *a, const struct candidate *b)
{
	return a->x > b->x || (a->x == b->x && a->id < b->id);
}

static void swap_candidate(struct candidate *a, struct candidate *b)
{
	struct candidate t = *a;

	*a = *b;
	*b = t;
}

/* Moves those before the pivot to the front and the pivot behind them; returns the index of the pivot. */
static int partition(struct candidate *c, int n, uint64_t *mass)
{
	int at = 0;

	swap_candidate(&c[n / 2], &c[n - 1]);
	*mass = 0;
	for (int i = 0; i < n - 1; i++)
		if (before(&c[i], &c[n - 1])) {
			*mass += c[i].mass;
			swap_candidate(&c[i], &c[at++]);
		}
	swap_candidate(&c[at], &c[n - 1]);
	return at;
}

/* How many of the first candidates, in order, hold at least `want` of the mass: a quickselect by mass. */
static int top_p_count(struct candidate *c, int n, uint64_t want)
{
	int kept = 0;

	while (n > 0) {
		uint64_t mass;
		int at = partition(c, n, &mass);
		if (mass >= want) {
			n = at;
			continue;
		}
		kept += at + 1;
		if (mass + c[at].mass >= want)
			return kept;
		want -= mass + c[at].mass;
		c += at + 1;
		n -= at + 1;
	}
	return kept;
}

static int apply_top_p(struct sampler *p, int n, float top_p)
{
	uint64_t total = 0, share = (uint64_t)((double)top_p * 0x1p32 + 0.5), want;

	if (top_p >= 1)
		return n;
	for (int i = 0; i < n; i++)
		total += p->cand[i].mass;
	want = (uint64_t)(((unsigned __int128)total * share) >> 32);
	return max_int(1, top_p_count(p->cand, n, want ? want : 1));
}

/* ---- the draw: the largest of x + Gumbel noise (Gumbel 1954; Maddison et al. 2014) ---- */

struct best {
	double key;
	int32_t id;
};

static void offer(struct best *b, uint64_t stream, float x, int32_t id)
{
	uint32_t h = sample_bits(stream, id);
	double key;

	if ((double)x + sample_gumbel_bound(h) < b->key)
		return;
	key = (double)x + sample_gumbel(h);
	if (key > b->key || (key == b->key && id < b->id))
		*b = (struct best){key, id};
}

static int32_t draw_all(const float *x, int n, uint64_t stream, int32_t likeliest)
{
	struct best b = {-INFINITY, -1};

	offer(&b, stream, x[likeliest], likeliest);
	for (int i = 0; i < n; i++)
		if (x[i] > -INFINITY)
			offer(&b, stream, x[i], i);
	return b.id;
}

static int32_t draw_candidates(const struct candidate *c, int n, uint64_t stream)
{
	struct best b = {-INFINITY, -1};

	for (int i = 0; i < n; i++)
		offer(&b, stream, c[i].x, c[i].id);
	return b.id;
}

/* The standard deviation of the logits that masks leave. */
static double deviation(const float *x, int n, float reference)
{
	struct sample_moments m = {0, 0, 0, 0};

	for (int i = 0; i < n; i++)
		if (x[i] > -INFINITY)
			sample_add_moments(&m, x[i], reference);
	return sample_deviation(m);
}

int32_t sample_draw(struct sampler *p, float *x, const struct sampling *how, int32_t pos, float reference)
{
	uint64_t stream = sample_stream(how->seed, pos), least;
	double sigma = how->top_n_sigma > 0 ? deviation(x, p->vocab, reference) : 0;
	float floor = -INFINITY;
	int32_t likeliest;
	int n;

	for (int i = 0; i < p->vocab; i++)
		x[i] /= how->temperature;
	likeliest = sample_argmax(x, p->vocab);
	if (likeliest < 0 || how->top_k == 1)
		return likeliest;
	if (how->top_k <= 0 && how->top_p >= 1 && how->min_p <= 0 && how->top_n_sigma <= 0)
		return draw_all(x, p->vocab, stream, likeliest);
	least = (uint64_t)((double)how->min_p * (double)((uint64_t)1 << SAMPLE_MASS_BITS));
	if (how->top_k > 0)
		floor = top_k_floor(p, x, how->top_k);
	if (how->top_n_sigma > 0)
		floor = fmaxf(floor, sample_sigma_floor(x[likeliest], (double)how->top_n_sigma * sigma,
							1 / (double)how->temperature));
	n = collect(p, x, x[likeliest], floor, least);
	n = apply_top_p(p, n, how->top_p);
	return draw_candidates(p->cand, n, stream);
}
