/* progress.h - how far the start of a rank is. The starting thread writes it, any thread reads it. */
#ifndef ENGINE_PROGRESS_H
#define ENGINE_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

/* In the order of a start. Not every start has all: only CUDA captures graphs, only --pack-cache writes a file. */
enum load_phase {
	LOAD_PREPARING,
	LOAD_MEMORY,  /* memory of the weights is touched: bytes */
	LOAD_WEIGHTS, /* they are read: bytes, the same as `bytes` and `total` */
	LOAD_PACKING, /* the file of --pack-cache is written: bytes */
	LOAD_CACHE,   /* memory of the KV cache is touched: bytes */
	LOAD_GRAPHS,  /* CUDA graphs are captured: warm-up passes */
	LOAD_WARM_UP, /* tables of the scheduler; rank 0 waits for the others: no measure */
	LOAD_PHASES
};

struct load_progress {
	_Atomic uint64_t bytes, total; /* of weights that were read; they stay when the phase is over */
	_Atomic int phase;             /* enum load_phase */
	_Atomic uint64_t done, of;     /* how far the phase is; of 0: it has no measure */
};

static inline void load_begin(struct load_progress *p, enum load_phase phase, uint64_t of)
{
	atomic_store(&p->done, 0);
	atomic_store(&p->of, of);
	atomic_store(&p->phase, (int)phase);
}

static inline void load_add(struct load_progress *p, uint64_t done)
{
	atomic_fetch_add(&p->done, done);
}

#endif
