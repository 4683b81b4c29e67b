/* limits.h - what this machine can do at most: multiply-adds out of registers, and reading memory. Each probe
 * is short, so that it can run right before what it is the limit of: the speed of a shared machine changes
 * within seconds. */
#ifndef TESTS_BENCH_LIMITS_H
#define TESTS_BENCH_LIMITS_H

#include "engine/backend/backend.h"
#include "engine/cpu/pool.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum rate { RATE_FMA, RATE_BF16, RATE_INT8, RATE_READ, RATE_COUNT };
static const char *const rate_names[] = {"fma f32", "dot bf16", "dot int8", "read"};

enum { PROBE_ROUNDS = 300000, PROBE_READ = 96 << 20 };

/* Time that passes, or, where other work shares the machine, time this process computed, shared out over its
 * threads. */
static int clock_threads; /* 0: time that passes */

static inline uint64_t clock_ns(void)
{
	struct timespec t;

	if (!clock_threads)
		return now_ns();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) / (uint64_t)clock_threads;
}

struct limits {
	struct pool *pool; /* borrowed */
	enum cpu_isa isa;
	bool vnni;
	char *memory; /* what RATE_READ walks through, larger than any cache share */
	size_t bytes, at;
};

#ifdef __x86_64__
#include <immintrin.h>
#define TIMES12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define PROBE(name, type, features, set1, one) \
	__attribute__((target(features), noinline)) static float name(int rounds) \
	{ \
		type x = set1(0.999f), y = set1(1e-3f), t = x; \
		type a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x, a8 = x, a9 = x, a10 = x, a11 = x; \
		for (int i = 0; i < rounds; i++) { \
			TIMES12(one) \
		} \
		t = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11; \
		return t[0]; \
	}
#define ONE_FMA(i) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+v"(a##i) : "v"(x), "v"(y));
#define ONE_BF16(i) __asm__ volatile("vdpbf16ps %1, %2, %0" : "+v"(a##i) : "v"(x), "v"(y));
#define ONE_INT8(i) __asm__ volatile("vpdpbusd %1, %2, %0" : "+v"(a##i) : "v"(x), "v"(y));
#define ONE_MADD(i) \
	__asm__ volatile("vpmaddubsw %2, %3, %1\n\tvpmaddwd %1, %3, %1\n\tvpaddd %1, %0, %0" \
			 : "+x"(a##i), "=&x"(t) \
			 : "x"(x), "x"(y));
PROBE(probe_fma256, __m256, "avx2,fma", _mm256_set1_ps, ONE_FMA)
PROBE(probe_madd256, __m256, "avx2", _mm256_set1_ps, ONE_MADD)
PROBE(probe_fma512, __m512, "avx512f", _mm512_set1_ps, ONE_FMA)
PROBE(probe_bf16, __m512, "avx512f,avx512bf16", _mm512_set1_ps, ONE_BF16)
PROBE(probe_int8, __m512, "avx512f,avx512vnni", _mm512_set1_ps, ONE_INT8)
#endif

/* Operations of one round, a multiply and an add counted as two; runs them. */
static double probe_run(const struct limits *l, enum rate rate, int rounds, volatile float *sink)
{
#ifdef __x86_64__
	bool wide = l->isa >= CPU_AVX512;

	if (rate == RATE_INT8 && l->vnni)
		return *sink = probe_int8(rounds), 12 * 128;
	if (rate == RATE_INT8 && l->isa >= CPU_AVX2)
		return *sink = probe_madd256(rounds), 12 * 64;
	if (rate == RATE_BF16 && l->isa == CPU_AVX512_BF16)
		return *sink = probe_bf16(rounds), 12 * 64;
	if (wide)
		return *sink = probe_fma512(rounds), 12 * 32;
	if (l->isa >= CPU_AVX2)
		return *sink = probe_fma256(rounds), 12 * 16;
#endif
	float a[4] = {1, 2, 3, 4};
	(void)l, (void)rate;
	for (int i = 0; i < rounds; i++)
		for (int j = 0; j < 4; j++)
			a[j] = a[j] * 0.999f + 1e-3f;
	*sink = a[0] + a[1] + a[2] + a[3];
	return 8;
}

typedef uint64_t words __attribute__((vector_size(64)));

/* Four streams keep more reads in flight than one. */
#ifdef __x86_64__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static uint64_t
probe_read(const char *memory, size_t bytes)
{
	const size_t quarter = bytes / 4 / 64;
	const words *p = (const words *)memory;
	words a = p[0], b = a, c = a, d = a;

	for (size_t i = 0; i < quarter; i++) {
		a += p[i];
		b += p[i + quarter];
		c += p[i + 2 * quarter];
		d += p[i + 3 * quarter];
	}
	a += b + c + d;
	return a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

struct probe_job {
	struct limits *l;
	enum rate rate;
	double ops;
};

static void probe_worker(void *arg, int worker, int n_workers)
{
	struct probe_job *j = arg;
	const struct limits *l = j->l;
	volatile float sink;
	size_t at;

	if (j->rate != RATE_READ) {
		double ops = probe_run(l, j->rate, PROBE_ROUNDS, &sink);
		if (!worker)
			j->ops = ops * PROBE_ROUNDS * n_workers;
		return;
	}
	at = l->at + PROBE_READ / (size_t)n_workers * (size_t)worker;
	sink = (float)probe_read(l->memory + at, PROBE_READ / (size_t)n_workers);
	(void)sink;
}

/* One short run on all workers: operations or bytes a second. */
static double limits_probe(struct limits *l, enum rate rate)
{
	struct probe_job j = {.l = l, .rate = rate, .ops = PROBE_READ};
	uint64_t start = clock_ns();

	pool_run(l->pool, probe_worker, &j);
	if (rate == RATE_READ) {
		l->at += PROBE_READ;
		if (l->at + PROBE_READ > l->bytes)
			l->at = 0;
	}
	return j.ops / (double)(clock_ns() - start) * 1e9;
}

static void limits_open(struct limits *l, struct pool *pool, enum cpu_isa isa, size_t bytes)
{
	*l = (struct limits){.pool = pool, .isa = isa, .bytes = bytes};
#ifdef __x86_64__
	l->vnni = isa >= CPU_AVX512 && __builtin_cpu_supports("avx512vnni");
#endif
	l->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l->memory == MAP_FAILED)
		die("cannot take %zu bytes", bytes);
	madvise(l->memory, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < bytes; i += 8)
		*(uint64_t *)(l->memory + i) = i * 0x9e3779b97f4a7c15u;
}

static void limits_close(struct limits *l)
{
	munmap(l->memory, l->bytes);
}

#endif
