/* block.h - a block of threads on the emulated SM: its state, for the scheduler (processor.cpp) and for barriers and
 * warps (warp.cpp). */
#pragma once
#include "inside.h"
#include <vector>
#include <sys/mman.h>
#ifdef FAKE_TSAN
extern "C" {
void *__tsan_create_fiber(unsigned);
void __tsan_switch_to_fiber(void *, unsigned);
void *__tsan_get_current_fiber(void);
void __tsan_acquire(void *);
void __tsan_release(void *);
}
#endif
#if defined(__SANITIZE_ADDRESS__)
extern "C" {
void __asan_poison_memory_region(void const volatile *, size_t);
void __asan_unpoison_memory_region(void const volatile *, size_t);
void __sanitizer_start_switch_fiber(void **, const void *, size_t);
void __sanitizer_finish_switch_fiber(void *, const void **, size_t *);
}
#define ASAN(...) __VA_ARGS__
#else
#define ASAN(...)
#endif

namespace fake
{
struct Copy {
	void *to;
	const void *from;
	unsigned bytes;
	bool taken; /* what is copied is already in `data` */
	uint64_t data[2];
};
struct Fiber : Thread {
	char *stack;
	void *sp, *tsan;
	bool done, waited;
	const unsigned *wait;
	unsigned wait_gen;
	int line;
	std::vector<std::vector<Copy>> groups;
	std::vector<Copy> open;
};
struct Warp {
	unsigned want, arrived, gen;
	int line, op;
	uint64_t slot[2][32];
	char sync[2];
};
struct Array {
	const void *tag;
	size_t off, size;
	const char *name;
};
struct Block {
	Grid *grid;
	uint3 id;
	unsigned char *smem;
	size_t dyn, used;
	std::vector<Array> arrays;
	std::vector<Fiber *> fibers; /* one more than it has threads */
	std::vector<Warp> warps;
	struct {
		unsigned arrived, gen, live;
		int line;
		char sync[2];
	} bar;
	unsigned left;   /* threads */
	unsigned before; /* 1: the kernel before this one has ended */
	const char *file;
	int line; /* of the kernel */
};
enum { SMEM_BYTES = (FAKE_MAX_SHARED + 8191) / 4096 * 4096 };
extern Block *blk; /* the one that runs */
extern unsigned long progress;
void to_sched();

/* not memset: sanitizers intercept that one */
static inline void fill(void *p, int v, size_t n)
{
	asm volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(v) : "memory");
}
static inline Fiber *cur()
{
	return (Fiber *)me;
}
} // namespace fake
