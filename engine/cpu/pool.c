#include "engine/cpu/pool.h"

#include "base/wait.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

/* A worker's own run of units. Other workers may take from it, too. */
struct share {
	_Atomic int next;
	int end;
} __attribute__((aligned(64)));

struct worker {
	struct pool *pool;
	int no;
	pthread_t thread;
};

struct pool {
	int threads;
	int *cpu; /* (threads) NULL: not pinned */
	bool stop;
	void (*fn)(void *arg, int worker, int n_workers);
	void *arg;
	struct worker *workers;                             /* (threads) */
	struct share *shares;                               /* (threads) */
	_Atomic uint32_t go __attribute__((aligned(64)));   /* incremented for each run */
	_Atomic uint32_t done __attribute__((aligned(64))); /* counts workers that finished, over all runs */
};

/* Sets FTZ and DAZ; returns the earlier setting. On other machines than x86 the portable kernels flush by themselves.
 */
static unsigned flush_on(void)
{
#ifdef __SSE__
	unsigned old = _mm_getcsr();

	_mm_setcsr((old & ~0x6000u) | 0x8040); /* and round to nearest */
	return old;
#else
	return 0;
#endif
}

static void flush_back(unsigned old)
{
#ifdef __SSE__
	_mm_setcsr(old);
#else
	(void)old;
#endif
}

static void pin_to(const struct pool *p, int worker)
{
	cpu_set_t one;

	if (!p->cpu)
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)p->cpu[worker], &one);
	if (pthread_setaffinity_np(pthread_self(), sizeof one, &one))
		log_event(LOG_WARN, "a worker cannot be pinned to its core", " worker=%d core=%d", worker,
			  p->cpu[worker]);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	uint32_t seen = 0;

	flush_on();
	pin_to(p, w->no);
	for (;;) {
		uint32_t others = (uint32_t)p->threads - 1, now = wait_change(&p->go, seen, 0, NULL, NULL);
		seen = now;
		if (p->stop)
			return NULL;
		p->fn(p->arg, w->no, p->threads);
		if (atomic_fetch_add(&p->done, 1) + 1 == seen * others)
			wait_wake(&p->done, 0);
	}
}

struct pool *pool_create(int threads, const int *cpu)
{
	struct pool *p;

	REQUIRE(threads >= 1);
	p = aligned_alloc(64, round_up(sizeof *p, 64));
	REQUIRE(p);
	*p = (struct pool){.threads = threads};
	if (cpu) {
		p->cpu = xalloc((size_t)threads, sizeof *cpu);
		memcpy(p->cpu, cpu, (size_t)threads * sizeof *cpu);
	}
	p->workers = xalloc((size_t)threads, sizeof *p->workers);
	p->shares = aligned_alloc(64, (size_t)threads * sizeof *p->shares);
	REQUIRE(p->shares);
	for (int i = 1; i < threads; i++) {
		p->workers[i] = (struct worker){.pool = p, .no = i};
		if (pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]))
			die("cannot start worker thread %d of %d", i, threads);
	}
	return p;
}

void pool_destroy(struct pool *p)
{
	if (!p)
		return;
	p->stop = true;
	atomic_fetch_add(&p->go, 1);
	wait_wake(&p->go, 0);
	for (int i = 1; i < p->threads; i++)
		pthread_join(p->workers[i].thread, NULL);
	free(p->workers);
	free(p->shares);
	free(p->cpu);
	free(p);
}

int pool_threads(const struct pool *p)
{
	return p->threads;
}

void pool_pin_caller(struct pool *p)
{
	pin_to(p, 0);
}

static void run_all(struct pool *p, void (*fn)(void *arg, int worker, int n_workers), void *arg)
{
	uint32_t all;

	p->fn = fn;
	p->arg = arg;
	all = (atomic_fetch_add(&p->go, 1) + 1) * ((uint32_t)p->threads - 1);
	wait_wake(&p->go, 0);
	fn(arg, 0, p->threads);
	wait_reach(&p->done, all, 0, NULL, NULL);
}

void pool_run(struct pool *p, void (*fn)(void *arg, int worker, int n_workers), void *arg)
{
	unsigned old = flush_on();

	if (p->threads == 1)
		fn(arg, 0, 1);
	else
		run_all(p, fn, arg);
	flush_back(old);
}

struct each {
	struct pool *pool;
	void (*fn)(void *arg, int unit, int worker);
	void *arg;
};

/* Takes the next unit of one share; -1 when none is left. */
static int take(struct share *s)
{
	int unit;

	if (atomic_load_explicit(&s->next, memory_order_relaxed) >= s->end)
		return -1;
	unit = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
	return unit < s->end ? unit : -1;
}

static void each_worker(void *arg, int worker, int n_workers)
{
	struct each *e = arg;
	int unit;

	for (int i = 0; i < n_workers; i++) {
		struct share *s = &e->pool->shares[(worker + i) % n_workers];
		while ((unit = take(s)) >= 0)
			e->fn(e->arg, unit, worker);
	}
}

void pool_each(struct pool *p, int units, void (*fn)(void *arg, int unit, int worker), void *arg)
{
	struct each e = {p, fn, arg};
	unsigned old = flush_on();

	if (p->threads == 1 || units <= 1) {
		for (int unit = 0; unit < units; unit++)
			fn(arg, unit, 0);
	} else {
		for (int w = 0; w < p->threads; w++) {
			atomic_store_explicit(&p->shares[w].next, (int)((int64_t)units * w / p->threads),
					      memory_order_relaxed);
			p->shares[w].end = (int)((int64_t)units * (w + 1) / p->threads);
		}
		run_all(p, each_worker, &e);
	}
	flush_back(old);
}
