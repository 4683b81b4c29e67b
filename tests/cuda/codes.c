/* Integers and e4m3 numbers as files hold them, put through the plug-in and multiplied. */
#include "tests/cuda/pair.h"

/* What files hold: q (2*FFN, COLS), a scale and a zero point for 32 columns; of e4m3 a scale for
 * all of a row. */
struct codes {
	uint8_t q[2 * FFN * COLS], zero[2 * FFN * 3];
	uint16_t scale[2 * FFN * 3];
	float wide[2 * FFN * 3];
};

/* Fills in a file and returns the numbers that it stands for, column i in place order[i]. */
static uint16_t *make_codes(struct codes *f, enum quant quant, const int32_t *order)
{
	const bool four = quant == QUANT_INT4 || quant == QUANT_UINT4,
		   zeros = quant == QUANT_UINT8 || quant == QUANT_UINT4, e4m3 = quant == QUANT_E4M3;
	uint16_t *meant = xalloc((size_t)(2 * FFN) * COLS, sizeof *meant);
	struct rng r = {12};

	for (int i = 0; i < 2 * FFN * 3; i++) {
		f->scale[i] = f16_from_f32(rng_unit(&r) * (four ? 0x1p-3f : 0x1p-7f));
		f->wide[i] = i % 3 ? f->wide[i - 1] : rng_unit(&r) * 0x1p-8f;
		f->zero[i] = (uint8_t)(zeros ? rng_next(&r) >> 9 & (four ? 15 : 255) : four ? 8 : 128);
	}
	for (int i = 0; i < 2 * FFN * COLS; i++) {
		int row = i / COLS, group = row * 3 + i % COLS / 32;
		f->q[i] = (uint8_t)(rng_next(&r) >> 9 & (four ? 15 : 255));
		f->q[i] = e4m3 && (f->q[i] & 0x7f) == 0x7f ? 0 : f->q[i]; /* NaN */
		meant[row * COLS + order[i % COLS]] =
			bf16_from_f32(e4m3 ? (float)number8(f->q[i], K_KV_FP8) * f->wide[group]
					   : (float)(f->q[i] - f->zero[group]) * f32_from_f16(f->scale[group]));
	}
	return meant;
}

/* In calls of 33 rows, with columns in the order of x or in another. */
static void codes_of_files(enum quant quant, bool fixed, bool ordered)
{
	static struct codes f;
	int32_t order[COLS];
	uint16_t *meant;
	struct backend *b = open_backend(fixed);
	struct split k = split_whole(COLS);
	struct weight *w = weight_create_quant(b, 2 * FFN, COLS, DT_F16, quant, &k);
	bool zeros = quant == QUANT_UINT8 || quant == QUANT_UINT4, e4m3 = quant == QUANT_E4M3;

	for (int i = 0; i < COLS; i++)
		order[i] = ordered ? i * 35 % COLS : i;
	meant = make_codes(&f, quant, order);
	weight_pair(w);
	if (ordered)
		weight_order(w, order);
	for (int at = 0; at < 2 * FFN; at += 33)
		weight_codes(w, at, min_int(33, 2 * FFN - at),
			     &(struct weight_codes){.q = f.q + (size_t)at * COLS,
						    .ld = COLS,
						    .scale = e4m3 ? NULL : f.scale + (size_t)at * 3,
						    .wide = e4m3 ? f.wide + (size_t)at * 3 : NULL,
						    .zero = zeros ? f.zero + (size_t)at * 3 : NULL,
						    .groups = 3});
	backend_sync(b);
	check_products(b, w, meant, 1, false);
	check_products(b, w, meant, 40, false);
	check_products(b, w, meant, TOKENS, !fixed);
	weight_destroy(w);
	backend_destroy(b);
	free(meant);
}

TEST(integers_of_files)
{
	static const enum quant quants[] = {QUANT_INT8, QUANT_INT4, QUANT_UINT8, QUANT_UINT4, QUANT_E4M3};

	for (int i = 0; i < 5; i++) {
		codes_of_files(quants[i], false, i & 1);
		codes_of_files(quants[i], true, !(i & 1));
	}
}

/* Rows of e4m3 numbers with a scale for 128 columns of the whole axis, of which a rank has the columns from `first`
 * leaves on: few tokens, and as many as cuBLASLt takes. */
enum { WIDE = 1304, LEAVES = 5 };
static void part_of_e4m3(bool fixed, int first, int count, int rows)
{
	const struct split k = {
		.n_leaves = LEAVES, .first = first, .count = count, .start = {0, 96, 176, 688, 720, WIDE}};
	const struct span own = split_columns(&k);
	const int groups = (own.first + own.count - 1) / 32 + 1 - own.first / 32;
	struct rng r = {(uint64_t)(first * 7 + count)};
	struct backend *b = open_backend(fixed);
	struct weight *w = weight_create_quant(b, rows, own.count, DT_F16, QUANT_E4M3, &k);
	uint8_t *q = xalloc((size_t)rows, (size_t)own.count);
	float *wide = xalloc((size_t)rows * (size_t)groups, sizeof *wide);
	uint16_t *x = random_halves(&r, (size_t)TOKENS * (size_t)own.count, K_BF16);
	struct part parts[SHARD_MAX_PARTS];
	int n_parts = fixed ? split_parts(&k, parts) : 1;
	float *got = xalloc((size_t)(n_parts * TOKENS * rows), sizeof *got);
	void *dx = dev_put(x, (size_t)TOKENS * (size_t)own.count * 2),
	     *d = dev_new((size_t)(n_parts * TOKENS * rows) * 4);

	for (int i = 0; i < rows * own.count; i++)
		q[i] = (uint8_t)(rng_next(&r) % 0x7f | (rng_next(&r) & 0x80));
	for (int i = 0; i < rows * groups; i++)
		wide[i] = (float)(1 + (own.first / 32 + i % groups) / 4 + i / groups) * 0x1p-11f;
	weight_codes(w, 0, rows,
		     &(struct weight_codes){.q = q, .ld = (size_t)own.count, .wide = wide, .groups = (size_t)groups});
	for (int tokens = 1; tokens <= TOKENS; tokens += TOKENS - 1) {
		struct tensor in = tensor_of(dx, DT_BF16, tokens, own.count);
		backend_linear(b, d, &in, w, NULL);
		backend_sync(b);
		dev_get(got, d, (size_t)(n_parts * tokens * rows) * 4);
		for (int i = 0; i < tokens * rows; i++) {
			double want = 0, size = 0, sum = 0;
			for (int c = 0; c < own.count; c++) {
				int row = i % rows, group = (own.first + c) / 32 - own.first / 32;
				float n = (float)number8(q[row * own.count + c], K_KV_FP8) * wide[row * groups + group];
				double p = (double)f32_from_bf16(bf16_from_f32(n)) *
					   (double)f32_from_bf16(x[i / rows * own.count + c]);
				want += p, size += fabs(p);
			}
			for (int p = 0; p < n_parts; p++)
				sum += got[p * tokens * rows + i];
			CHECK_NEAR(sum, want, 2e-6 * (1 + size), "leaves %d to %d, %d tokens: number %d", first,
				   first + count, tokens, i);
		}
	}
	weight_destroy(w);
	dev_free(dx), dev_free(d);
	free(q), free(wide), free(x), free(got);
	backend_destroy(b);
}

/* Shares that begin at a border of groups and inside one, and end so. */
TEST(e4m3_of_shares)
{
	for (int first = 0; first < LEAVES; first++)
		part_of_e4m3(first & 1, first, first == 1 ? 4 : first == 2 ? 1 : LEAVES - first, 5 + first);
}

CHECK_MAIN()
