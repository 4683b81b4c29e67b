/* pool.h - a fixed team of threads that runs loops together. The caller is worker 0, and there is one caller at a time.
 * While a loop runs, every thread flushes subnormals (FTZ and DAZ); the caller's own setting is restored afterwards. */
#ifndef ENGINE_CPU_POOL_H
#define ENGINE_CPU_POOL_H

#include "base/base.h"

struct pool;

/* Worker i runs on CPU cpu[i] (the list is copied). cpu NULL: the operating system places the workers. */
struct pool *pool_create(int threads, const int *cpu);
void pool_destroy(struct pool *p); /* NULL is fine */
int pool_threads(const struct pool *p);
/* Pins the calling thread as worker 0. Call it last: threads that this thread starts later inherit the CPU. */
void pool_pin_caller(struct pool *p);

/* Calls fn(arg, worker, workers) on every worker and returns when all are done. */
void pool_run(struct pool *p, void (*fn)(void *arg, int worker, int n_workers), void *arg);
/* Calls fn(arg, unit, worker) for each unit. Every worker has its own run of units, the same each time so that its
 * memory stays near, and then helps the others. */
void pool_each(struct pool *p, int units, void (*fn)(void *arg, int unit, int worker), void *arg);

#endif
