/* Sampling on the device gives what engine/sample/sample.c gives for the same logits, to the bit, whatever the
 * settings; logprobs against float64. */
#include "engine/cuda/cuda.h"
#include "engine/sample/sample.h"
#include "tests/cuda/device.h"

enum { ROWS = 6, HISTORY = 50, LIST = 12, MASK = 160, ROOM = ROWS * (HISTORY + 6 * LIST + MASK /* masks */) };

struct scene {
	struct rng r;
	int vocab;
	float *raw; /* (ROWS, vocab) */
	struct sampling how[ROWS];
	struct sample what[ROWS];
	int32_t history[ROWS][HISTORY], list[ROWS][4][LIST];
	struct bias bias[ROWS][LIST];
	uint32_t mask[ROWS][MASK];
	struct sample_row row[ROWS];
	int32_t ids[ROOM];
	int room, n_ids; /* there may be; there were */
	struct sample_kept kept[ROWS];
	struct sample_book book;
	int32_t *past; /* device (ROWS, book.max_history) */
};

static struct scene *scene_create(int vocab, uint64_t seed)
{
	struct scene *s = xalloc(1, sizeof *s);

	s->r.s = seed * 1000003 + (uint64_t)vocab, s->vocab = vocab, s->room = ROOM;
	s->raw = xalloc((size_t)ROWS * (size_t)vocab, sizeof *s->raw);
	s->book = (struct sample_book){s->kept, ROWS, HISTORY - 10, 0, vocab};
	s->past = dev_new(ROWS * (HISTORY - 10) * sizeof *s->past);
	rng_next(&s->r);
	return s;
}

static void scene_destroy(struct scene *s)
{
	dev_free(s->past);
	free(s->raw);
	free(s);
}

static int below(struct rng *r, int n)
{
	return (int)(rng_next(r) % (uint32_t)n);
}

/* Sharp, flat, of few values (ties everywhere), with words that are out, with both zeros. */
static void make_logits(struct scene *s, int row)
{
	float *x = s->raw + (size_t)row * (size_t)s->vocab;
	int kind = below(&s->r, 4);

	for (int i = 0; i < s->vocab; i++) {
		float u = rng_unit(&s->r), v = rng_unit(&s->r);
		x[i] = kind == 0 ? 12 * u * v : kind == 1 ? u : kind == 2 ? (float)below(&s->r, 5) - 2 : 30 * u;
		if (kind == 3 && !below(&s->r, 3))
			x[i] = -3e38f;
		if (kind == 2 && x[i] == 0 && i & 1)
			x[i] = -0.0f;
	}
}

/* By rising id; equal ones keep their order. */
static void sort_bias(struct bias *b, int n)
{
	for (int i = 1; i < n; i++)
		for (int j = i; j > 0 && b[j - 1].id > b[j].id; j--) {
			struct bias t = b[j];
			b[j] = b[j - 1], b[j - 1] = t;
		}
}

static void make_lists(struct scene *s, int row)
{
	struct sampling *h = &s->how[row];
	int n[4];

	for (int l = 0; l < 4; l++) {
		n[l] = below(&s->r, 3) ? 0 : below(&s->r, min_int(LIST, s->vocab) + 1);
		for (int i = 0; i < LIST; i++)
			s->list[row][l][i] = below(&s->r, min_int(s->vocab, 30)); /* some twice */
	}
	for (int i = 0; i < LIST; i++)
		s->bias[row][i] = (struct bias){s->list[row][3][i], 10 * rng_unit(&s->r)};
	sort_bias(s->bias[row], n[3]);
	CHECK(mask_words(s->vocab) <= MASK &&
	      !sampling_mask(s->mask[row], s->list[row][0], n[0], s->list[row][1], n[1], s->vocab, NULL));
	h->mask = n[0] + n[1] ? s->mask[row] : NULL, h->stop = s->list[row][2], h->bias = s->bias[row];
	h->n_stop = n[2], h->n_bias = n[3];
	h->min_tokens = below(&s->r, 40);
}

static void make_row(struct scene *s, int row, bool lists)
{
	static const float temperature[] = {1, 0, 0.7f, 1e-4f, 3, 0.333f},
			   top_p[] = {1, 0.9f, 0.5f, 0.01f, 0.99999994f, 0}, min_p[] = {0, 0, 0.05f, 1},
			   n_sigma[] = {0, 0, 1, 0.3f, 2.5f, -1}, repetition[] = {1, 1.1f, 0.7f, 3};
	int top_k[] = {0, 1, 2, 20, s->vocab, s->vocab + 5}, n_top[] = {-1, -1, 0, 3, SAMPLE_MAX_TOP};
	struct sampling *h = &s->how[row];
	struct sample *w = &s->what[row];

	make_logits(s, row);
	*h = sampling_default();
	h->temperature = temperature[below(&s->r, 6)], h->top_p = top_p[below(&s->r, 6)],
	h->min_p = min_p[below(&s->r, 4)];
	h->top_n_sigma = n_sigma[below(&s->r, 6)];
	h->top_k = top_k[below(&s->r, 6)], h->seed = rng_next(&s->r);
	for (int i = 0; i < HISTORY; i++)
		s->history[row][i] = below(&s->r, min_int(s->vocab, 60));
	*w = (struct sample){.pos = below(&s->r, 1000),
			     .given = -1,
			     .how = h,
			     .seq = row,
			     .tokens = s->history[row],
			     .n_tokens = below(&s->r, HISTORY + 1)};
	w->n_prompt = below(&s->r, w->n_tokens + 1), w->n_top = n_top[below(&s->r, 5)];
	if (lists) {
		make_lists(s, row);
		h->repetition_penalty = repetition[below(&s->r, 4)];
		h->presence_penalty = below(&s->r, 2) ? rng_unit(&s->r) : 0,
		h->frequency_penalty = below(&s->r, 2) ? rng_unit(&s->r) : 0;
	}
	if (!below(&s->r, 6) && w->n_top >= 0)
		w->given = below(&s->r, s->vocab);
}

static void on_device(struct scene *s, struct sampled *out)
{
	size_t words = (size_t)ROWS * (size_t)s->vocab, parts = (size_t)(ROWS * 3 * k_sample_parts(s->vocab));
	struct sample_args a = {
		.vocab = s->vocab, .rows = ROWS, .history = s->past, .max_history = s->book.max_history};
	struct sample_result got[ROWS];
	int32_t sampled[ROWS] = {-7, -7, -7, -7, -7, -7};
	uint32_t *zero = xalloc(words, sizeof *zero), *count = xalloc(words, sizeof *count);
	int n = 0;

	s->book.step++;
	for (int i = 0; i < ROWS; i++)
		n += sample_pack(&s->row[i], s->ids, n, s->room, &s->what[i], &s->book);
	s->n_ids = n;
	a.raw = dev_put(s->raw, words * 4), a.row = dev_put(s->row, sizeof s->row),
	a.ids = dev_put(s->ids, (size_t)n * 4);
	a.x = dev_new(words * 4), a.count = dev_put(zero, words * 4);
	a.bins = dev_new((size_t)ROWS * SAMPLE_SELECTS * SAMPLE_PASSES * SAMPLE_BINS * sizeof *a.bins);
	a.select = dev_new((size_t)ROWS * SAMPLE_SELECTS * SAMPLE_PASSES * sizeof *a.select);
	a.best = dev_new(parts * sizeof *a.best), a.result = dev_new(sizeof got),
	a.spread = dev_new(ROWS * sizeof *a.spread), a.sampled = dev_put(sampled, sizeof sampled);
	CUDA(k_sample(NULL, a, sample_needs_of(s->row, ROWS)));
	dev_get(got, a.result, sizeof got);
	dev_get(count, a.count, words * 4);
	CHECK(!memcmp(zero, count, words * 4));
	dev_get(sampled, a.sampled, sizeof sampled);
	for (int i = 0; i < ROWS; i++)
		CHECK_EQ(sampled[i], s->row[i].skip ? -7 : got[i].id);
	for (int i = 0; i < ROWS; i++)
		if (!s->row[i].skip)
			sample_unpack(&out[i], &got[i], s->what[i].n_top);
	dev_free((void *)a.raw), dev_free((void *)a.row), dev_free((void *)a.ids), dev_free(a.x), dev_free(a.count);
	dev_free(a.bins), dev_free(a.select), dev_free(a.spread), dev_free(a.best), dev_free(a.result),
		dev_free(a.sampled);
	free(zero), free(count);
}

static void check_same(const struct sampled *got, const struct sampled *want, int row)
{
	if (got->broken != want->broken)
		CHECK_FAIL("row %d: broken %d, should be %d", row, got->broken, want->broken);
	if (want->broken) {
		CHECK(got->id >= 0 && !got->greedy && !got->n_top);
		return;
	}
	if (got->id != want->id || got->rank != want->rank || got->greedy != want->greedy || got->n_top != want->n_top)
		CHECK_FAIL("row %d: word %d rank %d greedy %d, %d told; should be %d, %d, %d, %d", row, got->id,
			   got->rank, got->greedy, got->n_top, want->id, want->rank, want->greedy, want->n_top);
	CHECK(!memcmp(&got->logprob, &want->logprob, sizeof got->logprob));
	CHECK(!memcmp(got->top_id, want->top_id, sizeof got->top_id));
	CHECK(!memcmp(got->top_logprob, want->top_logprob, sizeof got->top_logprob));
}

static void check_logprob(const struct scene *s, const struct sampled *got, int row)
{
	const float *x = s->raw + (size_t)row * (size_t)s->vocab;
	double total = 0, max = -INFINITY;

	for (int i = 0; i < s->vocab; i++)
		max = fmax(max, (double)x[i]);
	for (int i = 0; i < s->vocab; i++)
		total += exp(x[i] - max);
	if (s->what[row].n_top >= 0 && !got->broken)
		CHECK_NEAR(got->logprob, x[got->id] - max - log(total), 1e-6 + fabs((double)got->logprob) * 1e-7,
			   "row %d", row);
}

static int compare(struct scene *s)
{
	struct sampler *p = sampler_create(s->vocab);
	float *x = xalloc((size_t)s->vocab, sizeof *x);
	struct sampled got[ROWS], want;
	int compared = 0;

	on_device(s, got);
	for (int i = 0; i < ROWS; i++) {
		if (s->row[i].skip)
			continue;
		memcpy(x, s->raw + (size_t)i * (size_t)s->vocab, (size_t)s->vocab * sizeof *x);
		sample_token(p, x, &s->what[i], &want);
		check_same(&got[i], &want, i);
		check_logprob(s, &got[i], i);
		compared++;
	}
	free(x);
	sampler_destroy(p);
	return compared;
}

static void run(int vocab, uint64_t seed, bool lists)
{
	struct scene *s = scene_create(vocab, seed);

	for (int i = 0; i < ROWS; i++)
		make_row(s, i, lists);
	CHECK_EQ(compare(s), ROWS);
	scene_destroy(s);
}

TEST(same_words_without_lists)
{
	static const int vocab[] = {1, 7, 33, 517, 2048, 2049, 4500};

	for (int i = 0; i < 7; i++)
		for (uint64_t seed = 0; seed < (check_full ? 60 : 4); seed++)
			run(vocab[i], seed, false);
}

TEST(same_words_with_lists_and_penalties)
{
	static const int vocab[] = {2, 40, 517, 2300};

	for (int i = 0; i < 4; i++)
		for (uint64_t seed = 0; seed < (check_full ? 100 : 6); seed++)
			run(vocab[i], seed, true);
}

struct life { /* of a slot */
	uint64_t call;
	int n, n_prompt, told; /* tokens, of which the device has `told` */
	int32_t words[HISTORY];
};

/* The call goes on by some tokens, or another call begins. */
static void live(struct scene *s, struct life *l)
{
	int more = below(&s->r, 4);

	if (!below(&s->r, 4) || l->n + more > HISTORY) {
		*l = (struct life){.call = l->call + ROWS, .n_prompt = below(&s->r, HISTORY / 2)};
		more += l->n_prompt;
	}
	while (more--)
		l->words[l->n++] = below(&s->r, 9);
}

/* One row of it, which may pause, or one that runs ahead by `drafts`. Returns how many ids it should take. */
static int row_of(struct scene *s, int row, struct life *l, int seq, int drafts)
{
	struct sample *w = &s->what[row];
	bool kept = !drafts && l->n <= s->book.max_history, out = row < ROWS - 2 && !below(&s->r, 5);
	int told = kept ? l->told : 0;

	make_row(s, row, false);
	s->how[row].repetition_penalty = 1.3f, s->how[row].frequency_penalty = 0.2f;
	memcpy(s->history[row], l->words, (size_t)l->n * sizeof *l->words);
	w->call = l->call + (uint64_t)seq, w->seq = seq, w->n_prompt = l->n_prompt,
	w->n_tokens = min_int(l->n + drafts, HISTORY);
	w->given = out ? 0 : -1, w->n_top = out ? -1 : w->n_top;
	if (out)
		return 0;
	l->told = kept ? l->n : l->told;
	return w->n_tokens - told;
}

/* Steps of calls that begin, go on, sit out, end and leave their slot to others. */
TEST(histories_that_stay_on_the_device)
{
	struct scene *s = scene_create(40, 5);
	struct life of[ROWS] = {0};

	for (int step = 0, ids; step < (check_full ? 500 : 40); step++) {
		ids = 0;
		for (int i = 0; i < ROWS - 1; i++) {
			int seq = (i + step) % ROWS;
			live(s, &of[seq]);
			ids += row_of(s, i, &of[seq], seq, 0);
		}
		ids += row_of(s, ROWS - 1, &of[(step + ROWS - 2) % ROWS], (step + ROWS - 2) % ROWS, 2);
		CHECK(compare(s) > 0);
		CHECK_EQ(s->n_ids, ids);
	}
	scene_destroy(s);
}

/* Logits all 0, default sampling, the 7 best reported. */
static struct scene *even_scene(int vocab)
{
	struct scene *s = scene_create(vocab, 0);

	for (int i = 0; i < ROWS; i++) {
		s->how[i] = sampling_default();
		s->how[i].seed = (uint64_t)i;
		s->what[i] = (struct sample){.pos = i, .given = -1, .how = &s->how[i], .n_top = 7};
	}
	return s;
}

static void compare_scene(struct scene *s)
{
	CHECK_EQ(compare(s), ROWS);
	scene_destroy(s);
}

/* All tokens alike: each cut goes through equal ones, in the middle of a part and of the row. */
TEST(cuts_among_equals)
{
	struct scene *s = even_scene(4500);

	for (int i = 0; i < ROWS; i++) {
		s->how[i].top_p = (float)(i + 1) * 0.15f;
		s->raw[i * s->vocab + 3000 + i] = 1;
	}
	compare_scene(s);
}

/* What random rows may miss: -0 before +0 as the best; a token with two biases that wins by both; at the border of
 * top_k, neighbours that differ in one bit only. */
TEST(rows_that_hang_on_one_thing)
{
	struct scene *s = even_scene(518);
	struct bias twice[2] = {{3, 5}, {3, 5}};

	for (int i = 0; i < s->vocab; i++) {
		float far = -1 - (float)i;
		s->raw[i] = i == 5 ? -0.0f : i == 9 ? 0.0f : far;
		s->raw[s->vocab + i] = i == 8 ? 7 : i == 3 ? 0 : far;
		for (int row = 2; row < ROWS; row++)
			s->raw[row * s->vocab + i] = 1 + ldexpf((float)i, -12);
	}
	s->how[0].temperature = s->how[1].temperature = 0, s->what[0].n_top = 1;
	s->how[1].bias = twice, s->how[1].n_bias = 2;
	for (int row = 2; row < ROWS; row++)
		s->how[row].top_k = 3;
	compare_scene(s);
}

/* One token of a row is not finite, in any part of it: the row is broken, whatever else is asked for; the others are
 * unaffected. */
TEST(rows_that_are_not_finite)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
	static const int at[] = {0, 1, 2047, 2048, 4499};

	for (int i = 0; i < 20; i++) {
		struct scene *s = scene_create(4500, 900 + (uint64_t)i);
		struct sampled got[ROWS];
		for (int row = 0; row < ROWS; row++)
			make_row(s, row, i & 1);
		for (int row = 0; row < ROWS; row += 2)
			s->raw[row * s->vocab + at[i % 5]] = bad[(i + row / 2) % 4];
		on_device(s, got);
		for (int row = 0; row < ROWS; row++)
			CHECK(s->row[row].skip || got[row].broken == (row % 2 == 0));
		for (int row = 0; row < ROWS; row++)
			CHECK(got[row].id >= 0 && got[row].id < s->vocab);
		CHECK_EQ(compare(s), ROWS);
		scene_destroy(s);
	}
}

/* Checks the kernels' substitute for a division of floats: no quotient is so near to a tie that the two earlier
 * roundings matter. */
TEST(quotients_by_the_reciprocal)
{
	struct rng r = {77};

	for (int i = 0; i < 2000000; i++) {
		float x = ldexpf(rng_unit(&r), below(&r, 40) - 20),
		      t = ldexpf(1.5f + rng_unit(&r) / 2, below(&r, 20) - 10);
		CHECK((float)((double)x * (1 / (double)t)) == x / t);
	}
}

TEST(what_the_host_samples)
{
	struct sampling h = sampling_default();
	uint32_t mask[2] = {~0u, ~0u};
	int32_t ids[100], tokens[90] = {0};
	struct sample w = {.given = -1, .n_top = -1, .how = &h, .tokens = tokens, .n_tokens = 90, .n_prompt = 10};
	struct sample_kept kept[1] = {{0, 0, 0}};
	struct sample_book book = {kept, 1, 100, 1, 64};
	struct sample_row r;

	CHECK(sample_pack(&r, ids, 0, 100, &w, &book) == 0 && !r.skip);
	h.repetition_penalty = 2;
	CHECK(sample_pack(&r, ids, 0, 100, &w, &book) == 90 && !r.skip);
	CHECK(sample_pack(&r, ids, 11, 100, &w, &book) == 0 && r.skip);
	w.allow = mask;
	CHECK(sample_pack(&r, ids, 0, 100, &w, &book) == 0 && r.skip);
	w.allow = NULL, w.given = 3;
	CHECK(sample_pack(&r, ids, 0, 100, &w, &book) == 0 && r.skip);
	w.n_top = 0;
	CHECK(sample_pack(&r, ids, 0, 100, &w, &book) == 0 && !r.skip);
}

CHECK_MAIN()
