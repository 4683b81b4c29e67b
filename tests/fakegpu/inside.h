/* inside.h - the interfaces between the parts of the emulated GPU. */
#pragma once
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <map>
#include <memory>
#include "fakegpu.h"
#define FAKE_MAX_SHARED (227 * 1024) /* of any device */
#ifdef FAKE_TSAN
extern "C" {
void __tsan_read_range(void *, size_t);
void __tsan_write_range(void *, size_t);
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}
#define TSAN(...) __VA_ARGS__
#else
#define TSAN(...)
#endif
namespace fake
{
struct Rng {
	uint64_t s;
	unsigned next()
	{
		s = s * 6364136223846793005ull + 1442695040888963407ull;
		return (unsigned)(s >> 33);
	}
};
int env_order(); /* 0 fwd, 1 rev, 2 rand */
unsigned env_seed();
long env_long(const char *name, long def);
int most_shared(); /* bytes of a block of a device of this compute capability */
const char *running_kernel();
/* warp.cpp: all lanes of a warp meet; a thread waits until *counter changes; something happened that threads may wait
 * for */
void warp_meet(int op);
void wait_for(const unsigned *counter);
void made_progress();
/* wgmma.cpp: a block begins; the running thread ends; its cp.async to 16 bytes begins and ends */
void wgmma_block();
void wgmma_left();
void copy_begins(const void *to);
void copy_ended(const void *to);
/* A launch. */
struct Grid {
	const char *name;
	dim3 grid, block;
	size_t dyn;
	bool overlap; /* it may start before the kernel before it has ended */
	std::function<void()> bind, body;
	std::map<unsigned, struct Block *> parked; /* blocks that wait for that */
};
void run_early(Grid &g); /* some of its blocks, as far as they go before the kernel before it has ended */
void run_grid(Grid &g);  /* the whole, or the rest */
/* enqueue fn on s; it runs later on the device thread. In capture it becomes a graph node. early: it runs before a
 * kernel in front of it does anything. */
cudaError_t enqueue(cudaStream_t s, const char *name, std::function<void()> fn, bool early = false);
unsigned captured(cudaStream_t s); /* the number of the capture that s is in; 0: none */
/* backing address of n bytes at device (or pinned) address p; dies unless they lie inside one live allocation
 */
void *reach(const void *p, size_t n, const char *what);
bool inject_locked(const char *api, int *code); /* FAKEGPU_FAIL, device.cpp */
} // namespace fake
