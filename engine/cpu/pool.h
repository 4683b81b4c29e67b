/* pool.h - a fixed team of threads that runs loops together; the caller is worker 0. One caller at a time.
 * Inside, every thread flushes subnormals (FTZ and DAZ); the caller's own setting comes back afterwards. */
#ifndef ENGINE_CPU_POOL_H
#define ENGINE_CPU_POOL_H

#include "base/base.h"

struct pool;

/* Worker i runs on CPU cpu[i] (copied); where `cpu` is NULL, wherever the operating system puts it. */
struct pool *pool_create(int threads, const int *cpu);
void pool_destroy(struct pool *p); /* NULL is fine */
int pool_threads(const struct pool *p);
/* Pins the calling thread as worker 0. Threads that it starts later inherit that CPU, so it is called last. */
void pool_pin_caller(struct pool *p);

/* fn(arg, worker, workers) on every worker; returns when all are done. */
void pool_run(struct pool *p, void (*fn)(void *arg, int worker, int n_workers), void *arg);
/* fn(arg, unit, worker) for each of the units: every worker has its own run of them (the same each time, so
 * that memory stays near), then helps the others. */
void pool_each(struct pool *p, int units, void (*fn)(void *arg, int unit, int worker), void *arg);

#endif
