/* Products against float64 sums, over shapes that reach every branch: rows past a tile, odd K, K past a turn, odd
 * vocabulary. */
#include "tests/cuda/device.h"

struct product {
	enum k_type type;
	int m, n, k, ld, parts;
	uint16_t *x, *w;
	float *bias, *out;
	void *dx, *dw, *dbias, *dout;
	void *dw8;    /* the same weights in 8 or 4 bits: only after in_parts() or fp8() */
	float *scale; /* (n) of their rows; NULL but after fp8() */
	void *dscale;
};

static void open_product(struct product *p, enum k_type type, int m, int n, int k, int parts, bool bias)
{
	struct rng r = {(uint64_t)(m * 7919 + n * 31 + k)};
	uint16_t *padded;

	*p = (struct product){.type = type, .m = m, .n = n, .k = k, .ld = (int)round_up((size_t)k, 32), .parts = parts};
	p->x = random_halves(&r, (size_t)m * (size_t)k, type);
	p->w = random_halves(&r, (size_t)n * (size_t)k, type);
	p->bias = bias ? random_floats(&r, (size_t)n) : NULL;
	p->out = xalloc((size_t)parts * (size_t)m * (size_t)n, sizeof *p->out);
	padded = xalloc((size_t)n * (size_t)p->ld, sizeof *padded);
	for (int i = 0; i < n; i++)
		memcpy(padded + (size_t)i * (size_t)p->ld, p->w + (size_t)i * (size_t)k, (size_t)k * sizeof *padded);
	p->dx = dev_put(p->x, (size_t)m * (size_t)k * 2);
	p->dw = dev_put(padded, (size_t)n * (size_t)p->ld * 2);
	p->dbias = bias ? dev_put(p->bias, (size_t)n * 4) : NULL;
	p->dout = dev_new((size_t)parts * (size_t)m * (size_t)n * 4);
	free(padded);
}

static void put_rows(struct product *p, void *rows, size_t pitch)
{
	if (p->dw8)
		dev_free(p->dw8);
	p->dw8 = dev_put(rows, (size_t)p->n * pitch);
	free(rows);
}

/* The classes with scales among their numbers. */
static const enum k_class in_parts_classes[] = {K_CLASS_INT8, K_CLASS_INT4, K_CLASS_UINT8, K_CLASS_UINT4, K_CLASS_E4M3};
enum { PARTS = 5 };

/* Makes the weights numbers of such a class. */
static struct k_matrix in_parts(struct product *p, enum k_class class_)
{
	struct rng r = {(uint64_t)(p->n * 77 + p->k)};
	size_t pitch;
	char *rows = random_parts(&r, class_, p->w, p->n, p->k, p->type, &pitch);

	put_rows(p, rows, pitch);
	return matrix_of(class_, p->dw8, p->ld);
}

/* Makes the weights e4m3 numbers with scales of rows. */
static void fp8(struct product *p)
{
	struct rng r = {(uint64_t)(p->n * 55 + p->k)};

	p->scale = xalloc((size_t)p->n, sizeof *p->scale);
	put_rows(p, random_fp8(&r, p->w, p->scale, p->n, p->k, p->type), (size_t)p->ld);
	p->dscale = dev_put(p->scale, (size_t)p->n * sizeof *p->scale);
}

static void close_product(struct product *p)
{
	void *device[] = {p->dx, p->dw, p->dbias, p->dout, p->dw8, p->dscale};

	for (int i = 0; i < 6; i++)
		dev_free(device[i]);
	free(p->x), free(p->w), free(p->bias), free(p->out), free(p->scale);
}

/* Computes element (row, col) over columns [from, to); *size: the sum of absolute products. */
static double element(const struct product *p, int row, int col, int from, int to, double *size)
{
	double s = 0;

	*size = 1e-6;
	for (int i = from; i < to; i++) {
		double d = (double)up(p->x[(size_t)row * (size_t)p->k + (size_t)i], p->type) *
			   up(p->w[(size_t)col * (size_t)p->k + (size_t)i], p->type);
		s += d, *size += fabs(d);
	}
	if (p->scale)
		*size *= p->scale[col];
	return p->scale ? s * p->scale[col] : s;
}

static void check_product(struct product *p, int part, int from, int to)
{
	double size;

	for (int row = 0; row < p->m; row++)
		for (int col = 0; col < p->n; col++) {
			double want = element(p, row, col, from, to, &size);
			if (p->bias)
				want += p->bias[col];
			CHECK_NEAR(p->out[((size_t)part * (size_t)p->m + (size_t)row) * (size_t)p->n + (size_t)col],
				   want, 1e-6 * size + 1e-6, "m %d n %d k %d: part %d row %d col %d", p->m, p->n, p->k,
				   part, row, col);
		}
}

static void fetch(struct product *p)
{
	dev_get(p->out, p->dout, (size_t)p->parts * (size_t)p->m * (size_t)p->n * 4);
}

static void skinny(enum k_type type, int m, int n, int k, bool bias)
{
	struct product p;

	open_product(&p, type, m, n, k, 1, bias);
	CUDA(k_linear_skinny(NULL, type, p.dout, K_OUT_F32, p.dx, halves_of(p.dw, p.ld), p.dbias, m, n, k));
	fetch(&p);
	check_product(&p, 0, 0, k);
	close_product(&p);
}

TEST(skinny_rows)
{
	static const int rows[] = {1, 2, 7, 8, 9, 16, 17, 31, 32};

	CUDA(k_linear_init());
	for (int i = 0; i < 9; i++)
		for (int t = 0; t < 2; t++)
			skinny(both[t], rows[i], 48, 288, i & 1);
}

TEST(skinny_outputs_and_columns)
{
	static const int n[] = {1, 15, 16, 17, 33, 100}, k[] = {8, 32, 64, 256, 264, 1024, 1056, 2200};

	CUDA(k_linear_init());
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 8; j++) {
			skinny(both[(i + j) & 1], 3, n[i], k[j], false);
			skinny(both[(i + j) & 1], 12, n[i], k[j], true);
			skinny(both[(i + j) & 1], 20, n[i], k[j], false);
		}
}

/* The longest sums of XVERSE-13B; --full, for a GPU: all its outputs, too. */
TEST(skinny_of_a_large_model)
{
	static const int m[] = {1, 9, 32}, k[] = {5120, 13824};

	CUDA(k_linear_init());
	for (int i = 0; i < 6; i++)
		skinny(both[i & 1], m[i % 3], check_full ? 5120 : 33, k[i / 3], false);
}

TEST(skinny_with_odd_rows_of_x)
{
	static const int k[] = {1, 7, 43, 86, 257};

	CUDA(k_linear_init());
	for (int j = 0; j < 5; j++) {
		skinny(both[j & 1], 1, 24, k[j], false);
		skinny(both[j & 1], 40, 24, k[j], true); /* more rows than a tile: the only kernel for such a K */
	}
}

/* Several tiles of a block, the weights of the next on their way while the sums of one are written; on a device of many
 * processors tiles of few rows, where those of many would leave most without work. */
TEST(skinny_tiles_of_a_block)
{
	static const int rows[] = {1, 8, 16, 32};

	for (int many = 0; many < 2; many++) {
		setenv("FAKEGPU_SMS", many ? "9" : "2", 1);
		CUDA(k_linear_init());
		for (int i = 0; i < 4; i++) {
			skinny(both[many], rows[i], 16 * 21 + 5, 40, false);
			skinny(both[many], rows[i], 16 * 9, 1064, true);
		}
	}
	unsetenv("FAKEGPU_SMS");
	CUDA(k_linear_init());
}

TEST(skinny_where_shared_memory_is_small)
{
	setenv("FAKEGPU_CC", "86", 1);
	CUDA(k_linear_init());
	for (int m = 8; m <= 32; m += 8)
		skinny(both[m / 8 & 1], m, 70, 520, false);
	unsetenv("FAKEGPU_CC");
	CUDA(k_linear_init());
}

static void skinny_in_parts(enum k_type type, int m, int n, int k, bool bias, int classes)
{
	struct product p;

	open_product(&p, type, m, n, k, 1, bias);
	for (int i = PARTS - classes; i < PARTS; i++) {
		struct k_matrix w = in_parts(&p, in_parts_classes[i]);
		CUDA(k_linear_skinny(NULL, type, p.dout, K_OUT_F32, p.dx, w, p.dbias, m, n, k));
		fetch(&p);
		check_product(&p, 0, 0, k);
	}
	close_product(&p);
}

TEST(parts_of_few_rows)
{
	static const int rows[] = {1, 8, 16, 32, 40}, n[] = {1, 33, 100}, k[] = {8, 43, 64, 512, 520, 1096, 2200};

	for (int many = 0; many < 2; many++) {
		setenv("FAKEGPU_SMS", many ? "9" : "2", 1); /* tiles of 32 rows and of more */
		CUDA(k_linear_init());
		for (int i = 0; i < 5; i++)
			for (int j = 0; j < 7; j++)
				skinny_in_parts(both[(i + many) & 1], rows[i], n[(i + j) % 3], k[j], j & 1,
						(i + j) % 2 ? 2 : PARTS);
	}
	unsetenv("FAKEGPU_SMS");
	CUDA(k_linear_init());
}

static void skinny_fp8(enum k_type type, int m, int n, int k, bool bias)
{
	struct product p;

	open_product(&p, type, m, n, k, 1, bias);
	fp8(&p);
	CUDA(k_linear_skinny(NULL, type, p.dout, K_OUT_F32, p.dx, fp8_of(p.dw8, p.dscale, p.ld), p.dbias, m, n, k));
	fetch(&p);
	check_product(&p, 0, 0, k);
	close_product(&p);
}

TEST(skinny_e4m3)
{
	static const int rows[] = {1, 8, 16, 32, 40}, n[] = {1, 33, 100}, k[] = {8, 43, 64, 512, 520, 1096, 2200};

	for (int many = 0; many < 2; many++) {
		setenv("FAKEGPU_SMS", many ? "9" : "2", 1);
		CUDA(k_linear_init());
		for (int i = 0; i < 5; i++)
			for (int j = 0; j < 7; j++)
				skinny_fp8(both[(i + many) & 1], rows[i], n[(i + j) % 3], k[j], j & 1);
	}
	unsetenv("FAKEGPU_SMS");
	CUDA(k_linear_init());
}

/* Each of the 256 codes, alone in its product, becomes exactly its number, with a scale beside the row or in front of
 * its part. */
TEST(every_code_of_e4m3)
{
	enum { PITCH = K_E4M3_ROW(32) };
	unsigned char codes[256 * 32] = {0}, in_part[256 * PITCH] = {0};
	uint16_t one[32] = {0};
	float out[256], ones[256], first = 1;

	CUDA(k_linear_init());
	for (int i = 0; i < 256; i++) {
		codes[32 * i] = (i & 0x7f) == 0x7f ? 0 : (unsigned char)i, ones[i] = 1;
		memcpy(in_part + PITCH * i, &first, sizeof first);
		in_part[PITCH * i + K_PART_SCALES] = codes[32 * i];
	}
	for (int t = 0; t < 4; t++) {
		void *d = dev_new(sizeof out),
		     *dw = t & 2 ? dev_put(in_part, sizeof in_part) : dev_put(codes, sizeof codes),
		     *ds = dev_put(ones, sizeof ones), *dx;
		struct k_matrix w = t & 2 ? matrix_of(K_CLASS_E4M3, dw, 32) : fp8_of(dw, ds, 32);
		one[0] = down(1, both[t & 1]);
		dx = dev_put(one, sizeof one);
		CUDA(k_linear_skinny(NULL, both[t & 1], d, K_OUT_F32, dx, w, NULL, 1, 256, 32));
		dev_get(out, d, sizeof out);
		for (int i = 0; i < 256; i++)
			CHECK_NEAR(out[i], number8(codes[32 * i], K_KV_FP8), 0, "code %d", i);
		dev_free(d), dev_free(dw), dev_free(ds), dev_free(dx);
	}
}

/* What products of many rows read. */
TEST(parts_as_halves)
{
	static const int k[] = {8, 43, 512, 1100};

	for (int i = 0; i < 8 * PARTS; i++) {
		enum k_class class_ = in_parts_classes[i / 2 % PARTS];
		bool zeros = class_ >= K_CLASS_UINT8; /* what lies behind is less a zero point, or -0 */
		struct k_matrix w;
		struct product p;
		uint16_t *got;
		size_t bytes;
		void *d;
		open_product(&p, both[i & 1], 1, 5, k[i / 2 / PARTS], 1, false);
		w = in_parts(&p, class_);
		bytes = (size_t)p.n * (size_t)p.ld * 2, got = xalloc(bytes, 1), d = dev_new(bytes);
		CUDA(k_expand(NULL, p.type, d, w, p.n));
		dev_get(got, d, bytes);
		for (int row = 0; row < p.n; row++)
			for (int col = 0; col < (zeros ? p.k : p.ld); col++)
				CHECK_EQ(got[row * p.ld + col], col < p.k ? p.w[row * p.k + col] : 0);
		dev_free(d);
		free(got);
		close_product(&p);
	}
}

/* Segments of `parts` equal leaves of a K axis, each cut every 512. */
/* Of heads of 80, too. */
static int leaf_of(int k, int parts)
{
	return (int)round_up((size_t)div_up(k, parts), k % 80 ? 32 : 8);
}

static int cut(struct k_segment *s, int k, int parts)
{
	int n = 0, leaf = leaf_of(k, parts);

	for (int i = 0; i < parts; i++) {
		int first = min_int(k, i * leaf), end = min_int(k, first + leaf), depth = 0;
		for (int at = first, j = 1;; at += 512, j++) {
			bool last = at + 512 >= end;
			int merges = last ? depth : __builtin_ctz((unsigned)j);
			s[n++] = (struct k_segment){at, min_int(512, end - at), merges, last ? i : -1};
			depth += 1 - merges;
			if (last)
				break;
		}
	}
	return n;
}

static void fixed(enum k_type type, int m, int n, int k, int leaves)
{
	struct k_segment s[K_MAX_SEGMENTS];
	int count = cut(s, k, leaves), leaf = leaf_of(k, leaves);
	void *ds = dev_put(s, (size_t)count * sizeof *s);
	struct product p;

	open_product(&p, type, m, n, k, leaves, leaves == 1);
	CUDA(k_linear_fixed(NULL, type, p.dout, K_OUT_F32, p.dx, halves_of(p.dw, p.ld), p.dbias, ds, count, m, n, k));
	fetch(&p);
	for (int i = 0; i < leaves; i++)
		check_product(&p, i, min_int(k, i * leaf), min_int(k, (i + 1) * leaf));
	for (int c = 0; c < PARTS; c++) {
		struct k_matrix w = in_parts(&p, in_parts_classes[c]);
		CUDA(k_linear_fixed(NULL, type, p.dout, K_OUT_F32, p.dx, w, p.dbias, ds, count, m, n, k));
		fetch(&p);
		for (int i = 0; i < leaves; i++)
			check_product(&p, i, min_int(k, i * leaf), min_int(k, (i + 1) * leaf));
	}
	fp8(&p);
	CUDA(k_linear_fixed(NULL, type, p.dout, K_OUT_F32, p.dx, fp8_of(p.dw8, p.dscale, p.ld), p.dbias, ds, count, m,
			    n, k));
	fetch(&p);
	for (int i = 0; i < leaves; i++)
		check_product(&p, i, min_int(k, i * leaf), min_int(k, (i + 1) * leaf));
	close_product(&p);
	dev_free(ds);
}

TEST(fixed_against_float64)
{
	CUDA(k_linear_init());
	for (int t = 0; t < 2; t++) {
		fixed(both[t], 1, 40, 1300, 1);
		fixed(both[t], 8, 17, 512, 1);
		fixed(both[t], 9, 33, 544, 4);
		fixed(both[t], 40, 16, 2592, 2);
		fixed(both[t], 5, 16, 171, 5);
		fixed(both[t], 9, 16, 400, 5);
		fixed(both[t], 3, 24, 240, 3);
		fixed(both[t], 20, 24, 3, 1);
	}
}

/* More than a block of such a device can hold for 32 rows at a time. */
TEST(fixed_where_shared_memory_is_small)
{
	setenv("FAKEGPU_CC", "86", 1);
	CUDA(k_linear_init());
	fixed(K_BF16, 9, 16, 2048, 64);
	unsetenv("FAKEGPU_CC");
}

/* A row's bits do not depend on the rows beside it. */
TEST(fixed_bits_do_not_depend_on_m)
{
	struct k_segment s[K_MAX_SEGMENTS];
	struct product p;
	float one[48];
	void *ds;
	int count;

	CUDA(k_linear_init());
	open_product(&p, K_BF16, 37, 48, 1700, 1, false);
	count = cut(s, p.k, 1);
	ds = dev_put(s, (size_t)count * sizeof *s);
	CUDA(k_linear_fixed(NULL, p.type, p.dout, K_OUT_F32, p.dx, halves_of(p.dw, p.ld), NULL, ds, count, p.m, p.n,
			    p.k));
	fetch(&p);
	for (int row = 0; row < p.m; row += 5) {
		void *dx = dev_put(p.x + (size_t)row * (size_t)p.k, (size_t)p.k * 2);
		CUDA(k_linear_fixed(NULL, p.type, p.dout, K_OUT_F32, dx, halves_of(p.dw, p.ld), NULL, ds, count, 1, p.n,
				    p.k));
		dev_get(one, p.dout, sizeof one);
		CHECK(!memcmp(one, p.out + (size_t)row * (size_t)p.n, sizeof one));
		dev_free(dx);
	}
	dev_free(ds);
	close_product(&p);
}

/* Gate and up in turn: against float64, and with a fixed order the same bits for every number of rows. */
static void paired(enum k_type type, bool in_order, bool e4m3, bool bias, int m, int n, int k)
{
	struct k_segment s[K_MAX_SEGMENTS];
	int count = cut(s, k, 1);
	size_t size = (size_t)m * (size_t)(n / 2);
	uint16_t *out = xalloc(size, 2), *one = xalloc((size_t)n, 2);
	void *ds = dev_put(s, (size_t)count * sizeof *s), *d = dev_new(size * 2);
	struct product p;

	open_product(&p, type, m, n, k, 1, bias);
	if (e4m3)
		fp8(&p);
	if (e4m3 && in_order)
		CUDA(k_linear_fixed(NULL, type, d, K_OUT_SILU, p.dx, fp8_of(p.dw8, p.dscale, p.ld), p.dbias, ds, count,
				    m, n, k));
	else if (e4m3)
		CUDA(k_linear_skinny(NULL, type, d, K_OUT_SILU, p.dx, fp8_of(p.dw8, p.dscale, p.ld), p.dbias, m, n, k));
	else if (in_order)
		CUDA(k_linear_fixed(NULL, type, d, K_OUT_SILU, p.dx, halves_of(p.dw, p.ld), p.dbias, ds, count, m, n,
				    k));
	else
		CUDA(k_linear_skinny(NULL, type, d, K_OUT_SILU, p.dx, halves_of(p.dw, p.ld), p.dbias, m, n, k));
	dev_get(out, d, size * 2);
	for (int row = 0; row < m; row++)
		for (int i = 0; i < n / 2; i++) {
			double a, b, g = element(&p, row, 2 * i, 0, k, &a), u = element(&p, row, 2 * i + 1, 0, k, &b),
				     want;
			if (bias) /* gate's lie before up's */
				g += p.bias[i], u += p.bias[n / 2 + i];
			want = g / (1 + exp(-g)) * u;
			CHECK_NEAR(up(out[(size_t)row * (size_t)(n / 2) + (size_t)i], type), want,
				   fabs(want) * rounding(type) * 1.02 + 2e-6 * (1 + a) * (1 + b),
				   "paired m %d n %d k %d: row %d col %d", m, n, k, row, i);
		}
	if (in_order && !e4m3) {
		dev_free(d), d = dev_new((size_t)n);
		dev_free(p.dx), p.dx = dev_put(p.x + (size_t)(m - 1) * (size_t)k, (size_t)k * 2);
		CUDA(k_linear_fixed(NULL, type, d, K_OUT_SILU, p.dx, halves_of(p.dw, p.ld), p.dbias, ds, count, 1, n,
				    k));
		dev_get(one, d, (size_t)n);
		CHECK(!memcmp(one, out + (size_t)(m - 1) * (size_t)(n / 2), (size_t)n));
	}
	dev_free(d), dev_free(ds);
	free(out), free(one);
	close_product(&p);
}

TEST(gate_and_up_in_one)
{
	static const int m[] = {1, 8, 9, 20, 32}, n[] = {2, 30, 34, 64, 172}, k[] = {64, 288, 1056, 43, 600};

	CUDA(k_linear_init());
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < 5; j++) {
			paired(both[j & 1], false, false, (i ^ j) & 1, m[i], n[j], k[(i + j) % 5]);
			paired(both[j & 1], true, false, (i ^ j) & 1, m[i], n[j], k[(i + j) % 5]);
			paired(both[j & 1], j & 1, true, i & 1, m[i], n[j], k[(i + j) % 5]);
		}
}

/* The narrow result is the wide one rounded. */
TEST(narrow_results)
{
	struct k_segment s[K_MAX_SEGMENTS];
	struct product p;
	uint16_t narrow[12 * 40];

	CUDA(k_linear_init());
	for (int t = 0; t < 2; t++)
		for (int fixed = 0; fixed < 2; fixed++) {
			int count = cut(s, 288, 1);
			void *ds = dev_put(s, (size_t)count * sizeof *s), *dn = dev_new(sizeof narrow);
			open_product(&p, both[t], 12, 40, 288, 1, false);
			for (int n = 0; n < 2; n++)
				if (fixed)
					CUDA(k_linear_fixed(NULL, p.type, n ? dn : p.dout, n ? K_OUT_16 : K_OUT_F32,
							    p.dx, halves_of(p.dw, p.ld), NULL, ds, count, p.m, p.n,
							    p.k));
				else
					CUDA(k_linear_skinny(NULL, p.type, n ? dn : p.dout, n ? K_OUT_16 : K_OUT_F32,
							     p.dx, halves_of(p.dw, p.ld), NULL, p.m, p.n, p.k));
			fetch(&p);
			dev_get(narrow, dn, sizeof narrow);
			for (int i = 0; i < 12 * 40; i++)
				CHECK_EQ(narrow[i], down(p.out[i], p.type));
			dev_free(ds);
			dev_free(dn);
			close_product(&p);
		}
}

CHECK_MAIN()
