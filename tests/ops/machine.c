/* Instruction sets, single roundings at the edge of the normal numbers, memory, and the pool. */
#include "engine/cpu/isa/kernels.h"
#include "engine/cpu/pool.h"
#include "tests/ops/ref.h"

#include <stdatomic.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

TEST(isa_names)
{
	enum cpu_isa isa;

	for (int i = CPU_AUTO; i <= CPU_AVX512_BF16; i++) {
		CHECK_EQ(cpu_isa_parse(cpu_isa_name((enum cpu_isa)i), &isa), 0);
		CHECK_EQ(isa, i);
	}
	CHECK_EQ(cpu_isa_parse("sse", &isa), ERR_INVALID);
	CHECK(cpu_kernels_of(cpu_isa_best()) == cpu_kernels_of(CPU_AUTO));
	CHECK_STR(cpu_kernels_of(cpu_isa_best())->name, cpu_isa_name(cpu_isa_best()));
	CHECK(cpu_kernels_of(CPU_PORTABLE) != NULL);
}

TEST(bad_options_are_refused)
{
	struct cpu_options how = {.threads = 1, .isa = CPU_PORTABLE, .compute = DT_F16};
	struct backend *b;
	struct why why;

	CHECK_EQ(backend_cpu_create(&b, &how, &why), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "f16");
	how.compute = DT_F32, how.threads = 0;
	CHECK_EQ(backend_cpu_create(&b, &how, &why), ERR_INVALID);
	CHECK(!b);
}

TEST(what_the_machine_lacks_is_refused)
{
	struct cpu_options how = {.threads = 1, .compute = DT_F32, .isa = cpu_isa_best() + 1};
	struct backend *b;
	struct why why;

	if (cpu_isa_best() == CPU_AVX512_BF16)
		SKIP("this machine has every instruction set");
	CHECK_EQ(backend_cpu_create(&b, &how, &why), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, cpu_isa_name(how.isa));
	CHECK(!b);
}

/* Checks the scalar fma of the tests against the C library's, where neither subnormals nor zeros occur. */
TEST(ref_fma_is_one_rounding)
{
	struct rng r = {3};

	for (int i = 0; i < 2000000; i++) {
		float a = ldexpf(rng_unit(&r), (int)(rng_next(&r) % 40) - 20),
		      b = ldexpf(rng_unit(&r), (int)(rng_next(&r) % 40) - 20);
		float c = i % 3 ? ldexpf(rng_unit(&r), (int)(rng_next(&r) % 40) - 20) : -a * b, want = fmaf(a, b, c),
		      got = ref_fma(a, b, c);
		if (fabsf(want) >= 0x1p-120f || want == 0)
			check_bits("fma", &got, &want, 1);
	}
}

/* Sends two columns through linear: fma(x0, w0, fma(x1, w1, 0)), 64 products at a time. */
enum { TRY = 64 };
static void two_columns(enum cpu_isa isa, enum dtype type, const float *x, const float *w, float *out)
{
	struct backend *b = open_backend(isa, 1, type);
	struct split whole = split_whole(2);
	struct weight *m = weight_create(b, TRY, 2, type, &whole);
	uint32_t px[2], pw[2 * TRY];
	struct tensor t = tensor_of(px, type, 1, 2);

	for (size_t i = 0; i < 2; i++)
		put_as(px, i, x[i], type);
	for (size_t i = 0; i < 2 * TRY; i++)
		put_as(pw, i, w[i], type);
	weight_rows(m, 0, TRY, pw, 2);
	backend_linear(b, out, &t, m, NULL);
	weight_destroy(m);
	backend_destroy(b);
}

/* Sums that fall around 2^-126, on both sides of the tie that decides whether they are tiny after rounding.
 */
static void edges(enum cpu_isa isa, enum dtype type)
{
	struct rng r = {11};

	for (int i = 0; i < 300; i++) {
		float x[2] = {1, ldexpf(1, -63 - i % 2)}, w[2 * TRY], out[TRY], want[TRY];
		x[0] = ldexpf(i % 5 ? 1 : rng_unit(&r), -60);
		for (int k = 0; k < TRY; k++) {
			/* about +-2^-126, minus or plus something from 2^-140 to 2^-160 */
			w[2 * k + 1] = ldexpf(k % 3 ? 1 : rng_unit(&r), -63 + i % 2);
			w[2 * k] = ldexpf(k % 2 ? rng_unit(&r) : k & 4 ? 1 : -1, -80 - (int)(rng_next(&r) % 20));
			if (k & 8)
				w[2 * k + 1] = -w[2 * k + 1];
		}
		for (int k = 0; k < 2; k++)
			x[k] = type == DT_BF16 ? f32_from_bf16(bf16_from_f32(x[k])) : x[k];
		for (int k = 0; k < 2 * TRY; k++)
			w[k] = type == DT_BF16 ? f32_from_bf16(bf16_from_f32(w[k])) : w[k];
		for (int k = 0; k < TRY; k++)
			want[k] = ref_fma(x[0], w[2 * k], ref_fma(x[1], w[2 * k + 1], 0));
		two_columns(isa, type, x, w, out);
		check_bits(dtype_name(type), out, want, TRY);
	}
}

TEST(edge_of_the_normal_numbers_portable)
{
	edges(CPU_PORTABLE, DT_F32);
	edges(CPU_PORTABLE, DT_BF16);
}
TEST(edge_of_the_normal_numbers_avx2)
{
	edges(CPU_AVX2, DT_F32);
	edges(CPU_AVX2, DT_BF16);
}
TEST(edge_of_the_normal_numbers_avx512)
{
	edges(CPU_AVX512, DT_F32);
	edges(CPU_AVX512, DT_BF16);
}
TEST(edge_of_the_normal_numbers_avx512_bf16)
{
	edges(CPU_AVX512_BF16, DT_F32);
	edges(CPU_AVX512_BF16, DT_BF16);
}

TEST(memory_is_zeroed_and_counted)
{
	struct backend *b = open_backend(CPU_AUTO, 3, DT_F32);
	static const size_t sizes[] = {1, 4096, 5000, (2 << 20) - 1, 2 << 20, (9 << 20) + 3};
	void *p[6];
	size_t held = 0;

	CHECK_EQ(b->held, 0);
	for (int i = 0; i < 6; i++) {
		p[i] = backend_alloc(b, sizes[i]);
		CHECK(b->held >= held + sizes[i]);
		held = b->held;
		for (size_t k = 0; k < sizes[i]; k += 509)
			CHECK_EQ(((char *)p[i])[k], 0);
		memset(p[i], 1, sizes[i]);
		CHECK_EQ((uintptr_t)p[i] % (sizes[i] >= 2 << 20 ? 2 << 20 : 4096), 0);
	}
	for (int i = 0; i < 6; i++)
		backend_free(b, p[i], sizes[i]);
	CHECK_EQ(b->held, 0);
	CHECK(backend_alloc(b, 0) == NULL);
	backend_destroy(b);
	backend_destroy(NULL);
}

TEST(weights_count_their_padding)
{
	struct backend *b = open_backend(CPU_AUTO, 2, DT_BF16);
	struct split whole = split_whole(100);
	struct weight *none = weight_create(b, 0, 100, DT_F32, &whole);
	size_t work = b->held; /* of activations, packed */
	struct weight *w = weight_create(b, 65, 100, DT_F32, &whole);

	CHECK(work > 0);
	CHECK(w->bytes >= 96 * 100 * 2);
	CHECK_EQ(none->bytes, 0);
	CHECK_EQ(b->held, work + w->bytes);
	weight_destroy(w);
	weight_destroy(none);
	weight_destroy(NULL);
	CHECK_EQ(b->held, work);
	backend_destroy(b);
}

static void count_op(void *arg)
{
	++*(int *)arg;
}
static void one_op(void *arg)
{
	struct backend *b = arg;
	float x[4] = {1, 2, 3, 4}, out[4];
	struct tensor in = tensor_of(x, DT_F32, 4, 1), t = tensor_of(out, DT_F32, 4, 1);

	backend_rows(b, &t, &in, (int32_t[]){3, 2, 1, 0});
}
TEST(operations_are_counted_and_run_calls)
{
	struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
	int ops = 0;
	float a = 3, c = 0;

	b->on_op = count_op, b->on_op_arg = &ops;
	backend_run(b, 1, one_op, b);
	backend_run(b, 1, one_op, b);
	CHECK_EQ(ops, 2);
	backend_upload(b, &c, &a, sizeof a);
	backend_download(b, &a, &c, sizeof a);
	backend_sync(b);
	CHECK(c == 3 && a == 3);
	backend_destroy(b);
}

/* ---- the pool ---- */
struct tally {
	_Atomic int runs, seen[1000], workers;
};
static void tally_worker(void *arg, int worker, int n_workers)
{
	struct tally *t = arg;

	t->runs++;
	t->workers |= 1 << worker;
	REQUIRE(worker < n_workers);
}
static void tally_unit(void *arg, int unit, int worker)
{
	struct tally *t = arg;

	(void)worker;
	t->seen[unit]++;
}

TEST(pool_runs_everything_once)
{
	for (int threads = 1; threads <= 5; threads++) {
		static const int first[5]; /* all on one CPU */
		struct pool *p = pool_create(threads, threads & 1 ? first : NULL);
		struct tally t = {0};
		for (int i = 0; i < 300; i++) {
			pool_run(p, tally_worker, &t);
			CHECK_EQ(t.runs, threads * (i + 1));
		}
		CHECK_EQ(t.workers, (1 << threads) - 1);
		for (int units = 0; units <= 1000; units = units * 3 + 1) {
			memset(&t, 0, sizeof t);
			pool_each(p, units, tally_unit, &t);
			for (int i = 0; i < 1000; i++)
				CHECK_EQ(t.seen[i], i < units);
		}
		CHECK_EQ(pool_threads(p), threads);
		pool_destroy(p);
	}
	pool_destroy(NULL);
}

#ifdef __SSE__
static void csr_worker(void *arg, int worker, int n_workers)
{
	(void)n_workers;
	((unsigned *)arg)[worker] = _mm_getcsr();
}
TEST(every_worker_flushes_and_the_caller_gets_its_own_back)
{
	struct pool *p = pool_create(3, NULL);
	unsigned seen[3] = {0}, before = _mm_getcsr();

	pool_run(p, csr_worker, seen);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(seen[i] & 0xe040, 0x8040);
	CHECK_EQ(_mm_getcsr() & 0xffc0, before & 0xffc0);
	pool_destroy(p);
}
#endif

CHECK_MAIN()
