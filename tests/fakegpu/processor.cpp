/* processor.cpp - runs blocks of fibers: barriers, shuffles, matrix products, asynchronous copies, shared memory with poison
 * and canaries. Order of threads, warps and blocks: FAKEGPU_ORDER=fwd|rev|rand, FAKEGPU_SEED. x86-64 only. */
#include "inside.h"
#include <algorithm>
#include <array>
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

/* save callee-saved registers, swap stacks */
extern "C" void fake_switch(void **save, void *to);
asm(".text\n.globl fake_switch\nfake_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
namespace fake
{
enum { STACK = 128 * 1024, GUARD = 16 };
Thread *me;
struct Copy {
	void *to;
	const void *from;
	bool zero;
};
struct Fiber : Thread {
	char *stack;
	void *sp, *tsan;
	bool done;
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
static std::vector<Fiber *> pool;
static std::vector<Warp> warps;
static struct {
	unsigned arrived, gen, live, n;
	int line;
	char sync[2];
} bar;
static void *sched_sp;
ASAN(static const void *sched_stack; static size_t sched_size;)
TSAN(static void *sched_tsan;)
static const std::function<void()> *body;
static std::vector<Array> arrays;
static unsigned char smem[(FAKE_MAX_SHARED + 8191) / 4096 * 4096] __attribute__((aligned(4096)));
static size_t smem_dyn, smem_used;
static unsigned long progress;
static const char *kernel_name = "?";

/* not memset: sanitizers intercept that one */
static void fill(void *p, int v, size_t n)
{
	asm volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(v) : "memory");
}
static Fiber *cur()
{
	return (Fiber *)me;
}
const char *running_kernel()
{
	return me ? kernel_name : nullptr;
}

TSAN(static char grid_start, grid_end;) /* blocks of one grid are not ordered: only launch and end are */
static void to_sched()
{
	Fiber *f = cur();
	ASAN(void *shadow = nullptr; __sanitizer_start_switch_fiber(&shadow, sched_stack, sched_size));
	TSAN(__tsan_switch_to_fiber(sched_tsan, 1));
	fake_switch(&f->sp, sched_sp);
	ASAN(__sanitizer_finish_switch_fiber(shadow, nullptr, nullptr));
}
static void entry()
{
	ASAN(__sanitizer_finish_switch_fiber(nullptr, &sched_stack, &sched_size));
	for (;;) {
		TSAN(__tsan_acquire(&grid_start));
		(*body)();
		if (!cur()->groups.empty() || !cur()->open.empty())
			die("left with cp.async copies in flight");
		wgmma_left();
		cur()->done = true;
		bar.live--;
		progress++;
		if (bar.arrived && bar.arrived == bar.live) {
			bar.arrived = 0;
			bar.gen++;
		} /* threads that left count as arrived */
		TSAN(__tsan_release(&grid_end));
		to_sched();
	}
}
static void resume(Fiber *f)
{
	me = f;
	threadIdx = f->tid;
	ASAN(void *shadow; __sanitizer_start_switch_fiber(&shadow, f->stack, STACK));
	TSAN(__tsan_switch_to_fiber(f->tsan, 1));
	fake_switch(&sched_sp, f->sp);
	ASAN(__sanitizer_finish_switch_fiber(shadow, nullptr, nullptr));
	me = nullptr;
}
static Fiber *new_fiber()
{
	Fiber *f = new Fiber();
	char *m = (char *)mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	mprotect(m, 4096, PROT_NONE);
	f->stack = m + 4096;
	void **top = (void **)(f->stack + STACK);
	*--top = nullptr;
	*--top = (void *)entry;
	for (int i = 0; i < 6; i++)
		*--top = nullptr;
	f->sp = top;
	TSAN(f->tsan = __tsan_create_fiber(0));
	return f;
}

void block_barrier(int line)
{
	unsigned g = bar.gen;
	TSAN(__tsan_release(&bar.sync[g & 1]));
	progress++;
	if (bar.arrived == 0)
		bar.line = line;
	else if (bar.line != line)
		die("__syncthreads at line %d meets __syncthreads at line %d", line, bar.line);
	if (++bar.arrived == bar.live) {
		bar.arrived = 0;
		bar.gen++;
	} else {
		Fiber *f = cur();
		f->wait = &bar.gen;
		f->wait_gen = g;
		f->line = line;
		to_sched();
	}
	TSAN(__tsan_acquire(&bar.sync[g & 1]));
}
/* Of a warp's lanes; who comes last does the work for all, given what each left in its slot. */
static unsigned meet(unsigned mask, int line, int op, void (*work)(const uint64_t *) = nullptr)
{
	Fiber *f = cur();
	Warp &w = warps[f->warp];
	unsigned g = w.gen;
	if (!(mask >> f->lane & 1))
		die("line %d: lane %u is not in its own mask %08x", line, f->lane, mask);
	if (w.arrived == 0) {
		w.want = mask;
		w.line = line;
		w.op = op;
	} else if (w.want != mask || w.line != line || w.op != op)
		die("lanes of one warp diverge: line %d mask %08x meets line %d mask %08x", line, mask,
		    w.line, w.want);
	TSAN(__tsan_release(&w.sync[g & 1]));
	w.arrived |= 1u << f->lane;
	progress++;
	if (w.arrived == w.want) {
		if (work)
			work(w.slot[g & 1]);
		w.arrived = 0;
		w.gen++;
	} else {
		f->wait = &w.gen;
		f->wait_gen = g;
		f->line = line;
		to_sched();
	}
	TSAN(__tsan_acquire(&w.sync[g & 1]));
	return g & 1;
}
void warp_meet(int op)
{
	meet(0xffffffffu, 0, op);
}
void wait_for(const unsigned *counter)
{
	cur()->wait = counter;
	cur()->wait_gen = *counter;
	cur()->line = 0;
	to_sched();
}
void made_progress()
{
	progress++;
}
void warp_barrier(unsigned mask, int line)
{
	meet(mask, line, 0);
}
uint64_t warp_swap(unsigned mask, uint64_t v, int src, int line)
{
	Warp &w = warps[me->warp];
	w.slot[w.gen & 1][me->lane] = v;
	unsigned g = meet(mask, line, 1);
	if (!(mask >> src & 1))
		die("line %d: shuffle reads lane %d outside mask %08x", line, src, mask);
	return warps[me->warp].slot[g][src];
}
unsigned warp_ballot(unsigned mask, int pred, int line)
{
	Warp &w = warps[me->warp];
	w.slot[w.gen & 1][me->lane] = pred != 0;
	unsigned g = meet(mask, line, 2), r = 0;
	for (int i = 0; i < 32; i++)
		if (mask >> i & 1)
			r |= (unsigned)w.slot[g][i] << i;
	return r;
}
void copy_async16(void *to, const void *from, bool there)
{
	unsigned char *t = (unsigned char *)to;
	if (t < smem || t + 16 > smem + sizeof smem || (uintptr_t)to % 16 || (uintptr_t)from % 16)
		die("cp.async: bad or misaligned address");
	TSAN(__tsan_write_range(to, 16));
	TSAN(if (there) __tsan_read_range((void *)from, 16));
	fill(to, 0xFF, 16);
	copy_begins(to);
	cur()->open.push_back({to, from, !there});
}
void copy_commit(void)
{
	Fiber *f = cur();
	f->groups.push_back(std::move(f->open));
	f->open.clear();
}
void copy_wait(unsigned keep)
{
	Fiber *f = cur();
	while (f->groups.size() > keep) {
		for (auto &c : f->groups[0]) {
			TSAN(__tsan_write_range(c.to, 16));
			for (int i = 0; i < 2; i++)
				((uint64_t *)c.to)[i] = c.zero ? 0 : ((const uint64_t *)c.from)[i];
			copy_ended(c.to);
		}
		f->groups.erase(f->groups.begin());
	}
}
/* A lane's part of what its warp does at once. */
static void together(const void *part, int op, void (*work)(const uint64_t *))
{
	Warp &w = warps[me->warp];
	w.slot[w.gen & 1][me->lane] = (uint64_t)part;
	meet(0xffffffffu, 0, op, work);
}
struct Rows {
	uint32_t *r;
	const uint16_t *row;
};
/* lane l gives the address of row l%8 of matrix l/8; lane 4g+t receives elements 2t, 2t+1 of row g (trans: of
 * column g) */
template <bool TRANS> static void load_matrices(const uint64_t *lanes)
{
	for (unsigned l = 0; l < 32; l++)
		for (unsigned m = 0; m < 4; m++) {
			unsigned g = l >> 2, t = (l & 3) * 2;
			auto at = [&](unsigned i, unsigned j) {
				return (uint32_t)((const Rows *)lanes[m * 8 + i])->row[j];
			};
			((const Rows *)lanes[l])->r[m] = TRANS ? at(t, g) | at(t + 1, g) << 16 : at(g, t) | at(g, t + 1) << 16;
		}
}
void ldmatrix_x4(uint32_t r[4], const void *row, bool trans)
{
	if ((uintptr_t)row % 16)
		die("ldmatrix: misaligned row");
	TSAN(__tsan_read_range((void *)row, 16));
	Rows mine = {r, (const uint16_t *)row};
	together(&mine, trans ? 5 : 4, trans ? load_matrices<true> : load_matrices<false>);
}
/* D[16][8] += A[16][16] B[16][8]; lane = 4 * group + t holds the PTX-documented fragments */
static void multiply(const uint64_t *lanes)
{
	typedef float Row __attribute__((vector_size(32)));
	float a[16][16];
	Row b[16], d[16];
	for (int l = 0; l < 32; l++) {
		const Fragment &f = *(const Fragment *)lanes[l];
		int g = l >> 2, t = l & 3;
		for (int i = 0; i < 8; i++)
			a[g + (i >> 1 & 1) * 8][(i >> 2) * 8 + t * 2 + (i & 1)] = f.a[i];
		for (int i = 0; i < 4; i++) {
			b[(i >> 1) * 8 + t * 2 + (i & 1)][g] = f.b[i];
			d[g + (i >> 1) * 8][t * 2 + (i & 1)] = f.d[i];
		}
	}
	for (int row = 0; row < 16; row++)
		for (int k = 0; k < 16; k++)
			d[row] += a[row][k] * b[k];
	for (int l = 0; l < 32; l++)
		for (int i = 0; i < 4; i++)
			((const Fragment *)lanes[l])->d[i] = d[(l >> 2) + (i >> 1) * 8][(l & 3) * 2 + (i & 1)];
}
void mma(const Fragment &mine)
{
	together(&mine, 3, multiply);
}
void bounds(unsigned threads)
{
	unsigned n = blockDim.x * blockDim.y * blockDim.z;
	if (n > threads)
		die("launched with %u threads, its bound is %u", n, threads);
}

/* shared memory: arrays are laid out on first sight, each followed by a canary, poisoned with NaN bytes */
static void check_canaries()
{
	for (auto &a : arrays)
		for (int i = 0; i < GUARD; i++)
			if (smem[a.off + a.size + i] != 0xC3)
				die("shared array %s[%zu bytes] was overrun", a.name, a.size);
}
void *shared_array(const void *tag, size_t size, size_t align, const char *name)
{
	for (auto &a : arrays)
		if (a.tag == tag)
			return smem + a.off;
	size_t off = (smem_used + align - 1) / align * align;
	if (off + size > smem_dyn + 48 * 1024 + GUARD * (arrays.size() + 1))
		die("static shared memory over 48 KiB at %s", name);
	ASAN(__asan_unpoison_memory_region(smem + off, size));
	fill(smem + off, 0xFF, size);
	ASAN(__asan_unpoison_memory_region(smem + off + size, GUARD));
	fill(smem + off + size, 0xC3, GUARD);
	ASAN(__asan_poison_memory_region(smem + off + size, GUARD));
	arrays.push_back({tag, off, size, name});
	smem_used = off + size + GUARD;
	return smem + off;
}
void *dynamic_shared(void)
{
	return smem;
}

/* The order of up to 32 warps or lanes: one of a few that are made once. */
static const std::array<unsigned char, 32> &turns(int order, Rng &rng)
{
	static std::array<unsigned char, 32> made[64];
	if (made[0][0] == made[0][1])
		for (auto &p : made) {
			for (int i = 0; i < 32; i++)
				p[i] = (unsigned char)(order == 1 ? 31 - i : i);
			for (int i = 32; order == 2 && i > 1; i--)
				std::swap(p[i - 1], p[rng.next() % i]);
		}
	return made[order == 2 ? rng.next() % 64 : 0];
}
static std::vector<unsigned> permutation(unsigned n, int order, Rng &r)
{
	std::vector<unsigned> p(n);
	for (unsigned i = 0; i < n; i++)
		p[i] = order == 1 ? n - 1 - i : i;
	if (order == 2)
		for (unsigned i = n; i > 1; i--)
			std::swap(p[i - 1], p[r.next() % i]);
	return p;
}
static void run_block(unsigned n, int order, Rng &rng, size_t dyn)
{
	unsigned nw = (n + 31) / 32, left = n;
	arrays.clear();
	TSAN(mmap(smem, sizeof smem, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0)); /* forgets who used it */
	TSAN(__tsan_release(&grid_start));
	ASAN(__asan_unpoison_memory_region(smem, sizeof smem));
	smem_dyn = dyn;
	fill(smem, 0xFF, dyn);
	fill(smem + dyn, 0xC3, GUARD);
	smem_used = (dyn + GUARD + 15) / 16 * 16;
	ASAN(__asan_poison_memory_region(smem + dyn, sizeof smem - dyn));
	wgmma_block();
	bar.arrived = 0;
	bar.live = n;
	for (unsigned i = 0; i < nw; i++)
		warps[i].arrived = 0;
	for (unsigned i = 0; i < n; i++) {
		pool[i]->done = false;
		pool[i]->wait = nullptr;
		pool[i]->groups.clear();
		pool[i]->open.clear();
	}
	while (left) {
		unsigned long p0 = progress;
		for (unsigned w : turns(order, rng))
			for (bool ran = w < nw;
			     ran;) { /* drive one warp as far as it goes before the next one starts */
				ran = false;
				for (unsigned l : turns(order, rng)) {
					Fiber *f = w * 32 + l < n ? pool[w * 32 + l] : nullptr;
					if (!f || f->done || (f->wait && *f->wait == f->wait_gen))
						continue;
					f->wait = nullptr;
					resume(f);
					ran = true;
					if (f->done)
						left--;
				}
			}
		if (progress == p0 && left) {
			for (unsigned i = 0; i < n; i++)
				if (!pool[i]->done) {
					me = pool[i];
					die("deadlock: %u of %u threads wait, this one at line %d, for "
					    "threads that never come",
					    left, n, pool[i]->line);
				}
		}
	}
	ASAN(__asan_unpoison_memory_region(smem, sizeof smem));
	for (int i = 0; i < GUARD; i++)
		if (smem[dyn + i] != 0xC3)
			die("dynamic shared memory (%zu bytes) was overrun", dyn);
	check_canaries();
}
static void seat(unsigned n, dim3 b)
{
	TSAN(std::rotate(pool.begin(), pool.begin() + 1,
			 pool.end())); /* the same thread of the next block is another fiber */
	for (unsigned i = 0; i < n; i++) {
		pool[i]->tid = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
		pool[i]->linear = i;
		pool[i]->lane = i & 31;
		pool[i]->warp = i >> 5;
	}
}
void run_grid(const char *name, dim3 g, dim3 b, size_t dyn, const std::function<void()> &fn)
{
	static int order = env_order();
	unsigned n = b.x * b.y * b.z, blocks = g.x * g.y * g.z;
	static Rng rng{env_seed() * 7919 + 1};
	kernel_name = name;
	TSAN(sched_tsan = __tsan_get_current_fiber());
	while (pool.size() < n + 1)
		pool.push_back(new_fiber());
	if (warps.size() < (n + 31) / 32)
		warps.resize((n + 31) / 32);
	blockDim = b;
	gridDim = g;
	body = &fn;
	for (unsigned i : permutation(blocks, order, rng)) {
		blockIdx = {i % g.x, i / g.x % g.y, i / (g.x * g.y)};
		seat(n, b);
		run_block(n, order, rng, dyn);
	}
	TSAN(__tsan_acquire(&grid_end));
}
} // namespace fake
