/* Sample against the written rules of vLLM V1, in doubles with full sorts; draws against exact probabilities.
 */
#include "engine/sample/sample.h"

#include <math.h>

#include "engine/sample/math.h"
#include "tests/check.h"

enum { SMALL = 40 };

static uint64_t random_state = 1;
static double uniform(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (double)(random_state >> 11) * 0x1p-53;
}

static struct sample row(const struct sampling *how, int32_t pos)
{
	return (struct sample){.pos = pos, .given = -1, .n_top = -1, .how = how};
}

static int32_t sample_of(struct sampler *p, const float *logits, int n, const struct sample *what, struct sampled *out)
{
	float *x = xalloc((size_t)n, sizeof *x);

	memcpy(x, logits, (size_t)n * sizeof *x);
	sample_token(p, x, what, out);
	free(x);
	return out->id;
}

/* ---- own exp and log ---- */

TEST(exp_and_log_are_exact_to_1e14)
{
	for (double t = -600; t <= 0; t += 0.0137)
		CHECK(fabs(sample_exp(t) / exp(t) - 1) < 1e-14);
	for (double x = 1e-12; x < 1e12; x *= 1.00137)
		CHECK(fabs(sample_log(x) - log(x)) < 1e-14 * fmax(1, fabs(log(x))));
	for (uint64_t h = 0; h <= UINT32_MAX; h += 65521)
		CHECK(sample_gumbel((uint32_t)h) <= sample_gumbel_bound((uint32_t)h));
	for (uint32_t h = UINT32_MAX; h > UINT32_MAX - 70000; h--)
		CHECK(sample_gumbel(h) <= sample_gumbel_bound(h));
	CHECK(sample_gumbel(0) > -3.2 && sample_gumbel(UINT32_MAX) < 22.9);
}

#ifdef __SANITIZE_ADDRESS__
enum { FEWER = 50 }; /* the same code again and again: what is drawn is counted without sanitizers */
#else
enum { FEWER = 10 };
#endif

/* ---- the reference ---- */

struct ref {
	double p[SMALL]; /* probability of being drawn */
};

static const int32_t list[] = {0, 3, 4, 5, 6, 9};
static uint32_t only_list[2], without_list[2]; /* masks of it */

static bool among(const int32_t *ids, int n, int32_t id)
{
	for (int i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static int count(const int32_t *ids, int first, int end, int32_t id)
{
	int n = 0;

	for (int i = first; i < end; i++)
		n += ids[i] == id;
	return n;
}

/* Allowed, bad, bias, min_tokens; then repetition over all, frequency and presence over the output. */
static void ref_logits(double *x, const float *logits, const struct sample *w)
{
	const struct sampling *h = w->how;

	for (int i = 0; i < SMALL; i++) {
		int out = count(w->tokens, w->n_prompt, w->n_tokens, i);
		x[i] = (double)logits[i];
		if (h->mask == only_list && !among(list, 6, i))
			x[i] = -INFINITY;
		if (h->mask == without_list && among(list, 6, i))
			x[i] = -INFINITY;
		if (w->allow && !(w->allow[i / 32] >> i % 32 & 1))
			x[i] = -INFINITY;
		for (int b = 0; b < h->n_bias; b++)
			x[i] += h->bias[b].id == i ? (double)h->bias[b].value : 0;
		if (w->n_tokens - w->n_prompt < h->min_tokens && among(h->stop, h->n_stop, i))
			x[i] = -INFINITY;
		if (count(w->tokens, 0, w->n_tokens, i))
			x[i] = x[i] > 0 ? x[i] / (double)h->repetition_penalty : x[i] * (double)h->repetition_penalty;
		x[i] -= (double)h->frequency_penalty * out + (out ? (double)h->presence_penalty : 0);
	}
}

static int order[SMALL];
static const double *order_by;
static int compare(const void *a, const void *b)
{
	double x = order_by[*(const int *)a], y = order_by[*(const int *)b];

	return x != y ? (x < y ? 1 : -1) : *(const int *)a - *(const int *)b;
}

static void normalize(double *p)
{
	double total = 0;

	for (int i = 0; i < SMALL; i++)
		total += p[i];
	for (int i = 0; i < SMALL; i++)
		p[i] /= total;
}

static void sort_by(const double *x)
{
	for (int i = 0; i < SMALL; i++)
		order[i] = i;
	order_by = x;
	qsort(order, SMALL, sizeof *order, compare);
}

/* Of the logits that are left. */
static double ref_deviation(const double *x)
{
	double n = 0, mean = 0, squares = 0;

	for (int i = 0; i < SMALL; i++)
		if (x[i] > -INFINITY)
			n++, mean += x[i];
	mean /= n;
	for (int i = 0; i < SMALL; i++)
		if (x[i] > -INFINITY)
			squares += (x[i] - mean) * (x[i] - mean);
	return sqrt(squares / n);
}

static void ref_probabilities(struct ref *r, const float *logits, const struct sample *w)
{
	const struct sampling *h = w->how;
	double x[SMALL], kth, sum = 0, reach;

	ref_logits(x, logits, w);
	reach = h->top_n_sigma > 0 ? (double)h->top_n_sigma * ref_deviation(x) : INFINITY;
	sort_by(x);
	if (h->temperature == 0) {
		memset(r, 0, sizeof *r);
		r->p[order[0]] = 1;
		return;
	}
	for (int i = 0; i < SMALL; i++)
		r->p[i] = exp((x[i] - x[order[0]]) / (double)h->temperature);
	for (int i = 0; i < SMALL; i++)
		r->p[i] = r->p[i] < (double)h->min_p || x[i] < x[order[0]] - reach ? 0 : r->p[i];
	kth = h->top_k > 0 && h->top_k < SMALL ? x[order[h->top_k - 1]] : -INFINITY;
	for (int i = 0; i < SMALL; i++)
		r->p[i] = x[i] < kth ? 0 : r->p[i];
	normalize(r->p);
	for (int i = 0; i < SMALL; i++) {
		double before = sum;
		sum += r->p[order[i]];
		if (i && before >= (double)h->top_p)
			r->p[order[i]] = 0;
	}
	normalize(r->p);
}

/* Chi-square of draws over positions and seeds; bound: mean + 6 deviations. */
static void check_draws(const char *name, const float *logits, struct sample *w, struct sampling *how, int n)
{
	struct sampler *p = sampler_create(SMALL);
	struct sampled out;
	struct ref r;
	int seen[SMALL] = {0}, freedom = -1;
	double chi = 0;

	ref_probabilities(&r, logits, w);
	for (int i = 0; i < n; i++) {
		how->seed = (uint64_t)(i / 100);
		w->pos = i % 100;
		seen[sample_of(p, logits, SMALL, w, &out)]++;
	}
	sampler_destroy(p);
	for (int i = 0; i < SMALL; i++) {
		if (r.p[i] == 0 && seen[i])
			CHECK_FAIL("%s: word %d was drawn %d times and cannot be", name, i, seen[i]);
		if (r.p[i] * n < 5)
			continue;
		chi += (seen[i] - r.p[i] * n) * (seen[i] - r.p[i] * n) / (r.p[i] * n);
		freedom++;
	}
	if (chi > freedom + 6 * sqrt(2 * freedom + 1))
		CHECK_FAIL("%s: chi-square %.1f with %d degrees of freedom", name, chi, freedom);
}

static const int32_t history[] = {1, 2, 3, 3, 5, 3, 5, 8}; /* 4 of the prompt */
static const struct bias biases[] = {{3, 2}, {7, -100}, {3, 1}};
static const uint32_t half[] = {0x55555555, 0x55};

struct rule {
	const char *name;
	struct sampling how;
	bool mask;
};
/* clang-format off */
#define HOW(...)                                                                                     \
	{                                                                                            \
		.temperature = 1, .top_p = 1, .repetition_penalty = 1, .n_logprobs = -1, __VA_ARGS__ \
	}
/* clang-format on */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct rule rules[] = {
	{"greedy", HOW(.temperature = 0), false},
	{"plain", HOW(.top_k = 0), false},
	{"hot", HOW(.temperature = 2.5f), false},
	{"cold", HOW(.temperature = 0.3f), false},
	{"top_k", HOW(.top_k = 5), false},
	{"top_k 1", HOW(.top_k = 1), false},
	{"top_k above the vocabulary", HOW(.top_k = 1000), false},
	{"top_p", HOW(.top_p = 0.7f), false},
	{"top_p tiny", HOW(.top_p = 1e-6f), false},
	{"top_p 0: the likeliest alone", HOW(.top_p = 0), false},
	{"top_p after temperature", HOW(.temperature = 2, .top_p = 0.5f), false},
	{"top_p of what top_k leaves", HOW(.top_k = 6, .top_p = 0.8f), false},
	{"min_p", HOW(.min_p = 0.1f), false},
	{"min_p after temperature", HOW(.min_p = 0.1f, .temperature = 3), false},
	{"min_p, top_k, top_p", HOW(.min_p = 0.05f, .top_k = 10, .top_p = 0.9f, .temperature = 1.5f), false},
	{"top_n_sigma", HOW(.top_n_sigma = 1), false},
	{"top_n_sigma small", HOW(.top_n_sigma = 0.01f), false},
	{"top_n_sigma off", HOW(.top_n_sigma = -1), false},
	{"top_n_sigma after temperature", HOW(.top_n_sigma = 0.8f, .temperature = 2.5f), false},
	{"top_n_sigma of what masks leave", HOW(.top_n_sigma = 0.7f, .mask = without_list, .bias = biases, .n_bias = 3),
	 false},
	{"top_n_sigma after penalties", HOW(.top_n_sigma = 1, .repetition_penalty = 1.8f, .presence_penalty = 1),
	 false},
	{"top_n_sigma, top_k, top_p", HOW(.top_n_sigma = 1.2f, .top_k = 10, .top_p = 0.8f), false},
	{"repetition", HOW(.repetition_penalty = 1.8f), false},
	{"repetition below 1", HOW(.repetition_penalty = 0.5f), false},
	{"frequency", HOW(.frequency_penalty = 0.9f), false},
	{"presence", HOW(.presence_penalty = 1.5f), false},
	{"presence below 0", HOW(.presence_penalty = -1.5f), false},
	{"all penalties", HOW(.repetition_penalty = 1.1f, .frequency_penalty = 0.4f, .presence_penalty = 0.3f), false},
	{"greedy after penalties", HOW(.temperature = 0, .repetition_penalty = 9, .frequency_penalty = 2), false},
	{"bias", HOW(.bias = biases, .n_bias = 3), false},
	{"bias before repetition", HOW(.bias = biases, .n_bias = 3, .repetition_penalty = 1.8f), false},
	{"allowed", HOW(.mask = only_list), false},
	{"bad", HOW(.mask = without_list), false},
	{"min_tokens reached", HOW(.stop = list, .n_stop = 6, .min_tokens = 4), false},
	{"min_tokens not reached", HOW(.stop = list, .n_stop = 6, .min_tokens = 5), false},
	{"a late mask", HOW(.top_k = 0), true},
	{"a late mask, greedy", HOW(.temperature = 0), true},
	{"XVERSE's example", HOW(.temperature = 0.5f, .top_k = 30, .top_p = 0.85f, .repetition_penalty = 1.1f), false},
};
#pragma GCC diagnostic pop

TEST(every_rule_draws_by_its_probabilities)
{
	float logits[SMALL];

	CHECK_EQ(sampling_mask(only_list, list, 6, NULL, 0, SMALL, NULL), 0);
	CHECK_EQ(sampling_mask(without_list, NULL, 0, list, 6, SMALL, NULL), 0);

	for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
		struct sampling how = rules[k].how;
		struct sample w = row(&how, 0);
		for (int i = 0; i < SMALL; i++)
			logits[i] = (float)(uniform() * 8 - 4);
		w.tokens = history;
		w.n_prompt = 4;
		w.n_tokens = 8;
		w.allow = rules[k].mask ? half : NULL;
		check_draws(rules[k].name, logits, &w, &how, check_full ? 1000000 : 100000);
	}
}

/* 100,000 words in 1,000 classes of the same probability, high ids among them. */
TEST(draws_of_a_large_vocabulary)
{
	enum { VOCAB = 100000, CLASSES = 1000 };
	const int draws = 100000 / (check_full ? 1 : FEWER);
	struct sampler *p = sampler_create(VOCAB);
	struct sampling how = sampling_default();
	struct sample w = row(&how, 0);
	struct sampled out;
	static int seen[CLASSES];
	double total = 0, chi = 0, *share = xalloc(CLASSES, sizeof *share);
	float *logits = xalloc(VOCAB, sizeof *logits);

	for (int i = 0; i < VOCAB; i++) {
		logits[i] = (float)(uniform() * 6);
		share[i / (VOCAB / CLASSES)] += exp((double)logits[i]);
		total += exp((double)logits[i]);
	}
	for (int i = 0; i < draws; i++) {
		how.seed = (uint64_t)(i / 1000) << 32;
		w.pos = i % 1000;
		seen[sample_of(p, logits, VOCAB, &w, &out) / (VOCAB / CLASSES)]++;
	}
	for (int c = 0; c < CLASSES; c++) {
		double want = share[c] / total * draws;
		chi += (seen[c] - want) * (seen[c] - want) / want;
	}
	printf("  chi-square %.0f of %d\n", chi, CLASSES - 1);
	CHECK(fabs(chi - (CLASSES - 1)) < 6 * sqrt(2.0 * (CLASSES - 1)));
	sampler_destroy(p);
	free(logits);
	free(share);
}

/* ---- top_p keeps exactly what a full sort keeps, on sizes where the select has to work ---- */

TEST(top_p_and_top_k_of_a_large_vocabulary)
{
	enum { VOCAB = 5000 };
	struct sampler *p = sampler_create(VOCAB);
	float *logits = xalloc(VOCAB, sizeof *logits);

	for (int round = 0; round < 40; round++) {
		struct sampling how = sampling_default();
		struct sample w = row(&how, round);
		struct sampled out;
		double total = 0, above = 0;
		how.top_p = 0.5f;
		how.temperature = 1000; /* nearly flat: the border is found, whatever is drawn */
		how.seed = (uint64_t)round;
		for (int i = 0; i < VOCAB; i++)
			logits[i] = (float)(int)(uniform() * 1000); /* many are equal */
		sample_of(p, logits, VOCAB, &w, &out);
		for (int i = 0; i < VOCAB; i++) {
			double m = exp((double)logits[i] / 1000);
			total += m;
			if (logits[i] > logits[out.id] || (logits[i] == logits[out.id] && i < out.id))
				above += m;
		}
		CHECK(above / total < 0.5 + 1e-9);
	}
	sampler_destroy(p);
	free(logits);
}

TEST(logprobs_are_raw_and_ranks_count)
{
	float logits[SMALL];
	struct sampler *p = sampler_create(SMALL);
	struct sampling how = sampling_default();
	struct sample w = row(&how, 3);
	struct sampled out;
	uint32_t mask[2];
	double x[SMALL], total = 0;
	int rank = 1;

	for (int i = 0; i < SMALL; i++) {
		logits[i] = (float)(uniform() * 20 - 10);
		x[i] = (double)logits[i];
		total += exp(x[i]);
	}
	sort_by(x);
	how.temperature = 0;
	sampling_mask(mask, NULL, 0, order, 1, SMALL, NULL);
	how.mask = mask; /* the best is forbidden: raw numbers do not care */
	w.n_top = 7;
	sample_of(p, logits, SMALL, &w, &out);
	CHECK_EQ(out.id, order[1]);
	CHECK_EQ(out.rank, 2);
	CHECK(!out.greedy);
	CHECK_EQ(out.n_top, 7);
	CHECK(fabs((double)out.logprob - (x[order[1]] - log(total))) < 2e-6);
	for (int i = 0; i < 7; i++) {
		CHECK_EQ(out.top_id[i], order[i]);
		CHECK(fabs((double)out.top_logprob[i] - (x[order[i]] - log(total))) < 2e-6);
	}
	w.given = 17;
	sample_of(p, logits, SMALL, &w, &out);
	for (int i = 0; i < SMALL; i++)
		rank += logits[i] > logits[17];
	CHECK_EQ(out.id, 17);
	CHECK_EQ(out.rank, rank);
	sampler_destroy(p);
}

TEST(equal_logits_go_to_the_lowest_id)
{
	float logits[SMALL] = {0};
	struct sampler *p = sampler_create(SMALL);
	struct sampling how = sampling_default();
	struct sample w = row(&how, 0);
	struct sampled out;

	how.temperature = 0;
	w.n_top = 3;
	logits[30] = logits[9] = logits[12] = 1;
	CHECK_EQ(sample_of(p, logits, SMALL, &w, &out), 9);
	CHECK_EQ(out.top_id[1], 12);
	CHECK_EQ(out.top_id[2], 30);
	CHECK_EQ(out.rank, 1);
	CHECK(out.greedy);
	sampler_destroy(p);
}

TEST(a_row_that_is_not_finite_is_broken)
{
	static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
	uint32_t mask[2];
	static const int32_t all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
	float logits[SMALL];
	struct sampler *p = sampler_create(SMALL);
	struct sampling how = sampling_default();
	struct sample w = row(&how, 0);
	struct sampled out;

	for (int at = 0; at < SMALL; at++)
		for (int k = 0; k < 16; k++) {
			for (int i = 0; i < SMALL; i++)
				logits[i] = i == at ? bad[k % 4] : (float)(i % 7) * 3e37f;
			w.n_top = k / 4 % 2 ? 5 : -1;
			w.given = k / 8 ? 3 : -1;
			sample_of(p, logits, SMALL, &w, &out);
			CHECK(out.broken && out.id >= 0 && out.id < SMALL);
			CHECK_EQ(out.n_top, 0);
		}
	w.given = w.n_top = -1;
	for (int i = 0; i < SMALL; i++)
		logits[i] = i ? -3e38f : 3e38f; /* as large as can be, and masks that leave one or none */
	how.mask = mask;
	for (int n = 0; n <= 21; n++) {
		sampling_mask(mask, NULL, 0, all, n, SMALL, NULL);
		sample_of(p, logits, SMALL, &w, &out);
		CHECK(!out.broken);
	}
	sampler_destroy(p);
}

TEST(lists_of_ids_become_a_mask)
{
	static const int32_t some[] = {0, 5, 5, 39}, high[] = {40}, below[] = {-1};
	int32_t many[SMALL + 1] = {0};
	uint32_t mask[2];
	struct why why;

	CHECK_EQ(sampling_mask(mask, some, 4, some + 1, 1, SMALL, &why), 0);
	CHECK(mask[0] == 1 && (mask[1] & 0xff) == 0x80);
	CHECK_EQ(sampling_mask(mask, NULL, 0, some, 4, SMALL, &why), 0);
	CHECK(mask[0] == ~0x21u && (mask[1] & 0xff) == 0x7f);
	CHECK_EQ(sampling_mask(mask, high, 1, NULL, 0, SMALL, &why), ERR_INVALID);
	CHECK_HAS(why.text, "allowed_token_ids: id 40 is outside the vocabulary of 40");
	CHECK_EQ(sampling_mask(mask, NULL, 0, below, 1, SMALL, &why), ERR_INVALID);
	CHECK_HAS(why.text, "bad_token_ids");
	CHECK_EQ(sampling_mask(mask, many, SMALL, NULL, 0, SMALL, &why), 0);
	CHECK_EQ(sampling_mask(mask, many, SMALL + 1, NULL, 0, SMALL, &why), ERR_LIMIT);
	CHECK_EQ(sampling_mask(mask, NULL, 0, many, SMALL + 1, SMALL, &why), ERR_LIMIT);
}

/* What the rule says, in other words: the draw without the late mask, and where that is not allowed the draw of a call
 * that has the same mask from the start. */
TEST(a_late_mask_counts_only_where_it_is_needed)
{
	float logits[SMALL];
	uint32_t mask[2] = {0x0f0f0f0f, 0x0f};
	struct sampler *p = sampler_create(SMALL);
	struct sampling how = sampling_default(), masked;
	int needed = 0;

	how.top_p = 0.8f, how.top_k = 9, how.temperature = 1.5f, how.repetition_penalty = 1.2f;
	masked = how;
	masked.mask = mask;
	for (int pos = 0; pos < 400; pos++) {
		struct sampled free_out, held_out, out;
		for (int i = 0; i < SMALL; i++)
			logits[i] = (float)((i * 37 + pos * 11) % 17) * 0.4f;
		struct sample w = row(&how, pos), h = row(&masked, pos);
		int32_t was = sample_of(p, logits, SMALL, &w, &free_out),
			held = sample_of(p, logits, SMALL, &h, &held_out);
		w.allow = mask;
		w.n_top = pos % 2 ? 2 : -1;
		sample_of(p, logits, SMALL, &w, &out);
		CHECK_EQ(out.id, sample_allows(mask, was) ? was : held);
		needed += !sample_allows(mask, was);
		w.only = 6;
		CHECK_EQ(sample_of(p, logits, SMALL, &w, &out), 5);
	}
	CHECK(needed > 100 && needed < 300);
	sampler_destroy(p);
}

TEST(checks_name_the_field)
{
	static const int32_t high[] = {40};
	static const struct bias far[] = {{1, 101}};
	struct {
		struct sampling how;
		const char *text;
	} cases[] = {
		{HOW(.top_k = -2), "top_k"},
		{HOW(.min_p = 2), "min_p"},
		{HOW(.presence_penalty = 3), "presence_penalty"},
		{HOW(.frequency_penalty = -3), "frequency_penalty"},
		{HOW(.min_tokens = -1), "min_tokens"},
		{HOW(.stop = high, .n_stop = 1), "stop_token_ids"},
		{HOW(.bias = far, .n_bias = 1), "logit_bias"},
	};
	struct sampling how = sampling_default();
	struct why why;

	CHECK_EQ(sampling_check(&how, SMALL, &why), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK_EQ(sampling_check(&cases[i].how, SMALL, &why), ERR_INVALID);
		CHECK_HAS(why.text, cases[i].text);
	}
	how.temperature = -1;
	CHECK_EQ(sampling_check(&how, SMALL, &why), ERR_INVALID);
	how = sampling_default();
	how.top_p = -0.1f;
	CHECK_EQ(sampling_check(&how, SMALL, &why), ERR_INVALID);
	how = sampling_default();
	how.repetition_penalty = 0;
	CHECK_EQ(sampling_check(&how, SMALL, &why), ERR_INVALID);
	how = sampling_default();
	how.n_logprobs = SAMPLE_MAX_TOP + 1;
	CHECK_EQ(sampling_check(&how, SMALL, &why), ERR_INVALID);
}

CHECK_MAIN()
