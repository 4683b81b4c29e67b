/* processor.cpp - runs blocks of fibers, each with shared memory that has poison and canaries. Order of threads, warps
 * and blocks: FAKEGPU_ORDER=fwd|rev|rand, FAKEGPU_SEED. Of a kernel that may overlap with the one before it some blocks
 * run before that one, up to where they wait for it: what they should have waited for is not there yet.
 * FAKEGPU_EARLY=0: none. x86-64 only. */
#include "block.h"
#include <algorithm>
#include <array>

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
Block *blk;
unsigned long progress;
static std::vector<Block *> idle;
static void *sched_sp;
ASAN(static const void *sched_stack; static size_t sched_size;)
TSAN(static void *sched_tsan;)

const char *running_kernel()
{
	return me ? blk->grid->name : nullptr;
}

TSAN(static char grid_start, grid_end;) /* blocks of one grid are not ordered: only launch and end are */
void to_sched()
{
	Fiber *f = cur();
	ASAN(void *shadow = nullptr; __sanitizer_start_switch_fiber(&shadow, sched_stack, sched_size));
	TSAN(__tsan_switch_to_fiber(sched_tsan, 1));
	fake_switch(&f->sp, sched_sp);
	ASAN(__sanitizer_finish_switch_fiber(shadow, nullptr, nullptr));
}
static void leave()
{
	if (!cur()->groups.empty() || !cur()->open.empty())
		die("left with cp.async copies in flight");
	wgmma_left();
	if (blk->grid->overlap && !cur()->waited)
		die("%s:%d: ends without having waited for the kernel before it", blk->file, blk->line);
	cur()->done = true;
	blk->left--;
	progress++;
	if (--blk->bar.live == blk->bar.arrived && blk->bar.arrived) { /* threads that left count as arrived */
		blk->bar.arrived = 0;
		blk->bar.gen++;
	}
}
static void entry()
{
	ASAN(__sanitizer_finish_switch_fiber(nullptr, &sched_stack, &sched_size));
	for (;;) {
		TSAN(__tsan_acquire(&grid_start));
		blk->grid->body();
		leave();
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

void wait_previous()
{
	Fiber *f = cur();
	f->waited = true;
	if (blk->before)
		return;
	f->wait = &blk->before;
	f->wait_gen = 0;
	to_sched();
	TSAN(__tsan_acquire(&grid_start));
}
void start_next()
{
	if (blk->grid->overlap && !cur()->waited)
		die("%s:%d: the next kernel may start before this one has waited", blk->file, blk->line);
}
TSAN(static char fences;)
void fence()
{
	TSAN(__tsan_acquire(&fences); __tsan_release(&fences));
}
void bounds(unsigned threads, const char *file, int line)
{
	blk->file = file;
	blk->line = line;
	unsigned n = blockDim.x * blockDim.y * blockDim.z;
	if (n > threads)
		die("launched with %u threads, its bound is %u", n, threads);
}

/* shared memory: arrays are laid out on first sight, each followed by a canary, poisoned with NaN bytes */
static void check_canaries(const Block &b)
{
	for (int i = 0; i < GUARD; i++)
		if (b.smem[b.dyn + i] != 0xC3)
			die("dynamic shared memory (%zu bytes) was overrun", b.dyn);
	for (auto &a : b.arrays)
		for (int i = 0; i < GUARD; i++)
			if (b.smem[a.off + a.size + i] != 0xC3)
				die("shared array %s[%zu bytes] was overrun", a.name, a.size);
}
void *shared_array(const void *tag, size_t size, size_t align, const char *name)
{
	unsigned char *smem = blk->smem;
	for (auto &a : blk->arrays)
		if (a.tag == tag)
			return smem + a.off;
	size_t off = (blk->used + align - 1) / align * align;
	if (off + size > blk->dyn + 48 * 1024 + GUARD * (blk->arrays.size() + 1))
		die("static shared memory over 48 KiB at %s", name);
	ASAN(__asan_unpoison_memory_region(smem + off, size));
	fill(smem + off, 0xFF, size);
	ASAN(__asan_unpoison_memory_region(smem + off + size, GUARD));
	fill(smem + off + size, 0xC3, GUARD);
	ASAN(__asan_poison_memory_region(smem + off + size, GUARD));
	blk->arrays.push_back({tag, off, size, name});
	blk->used = off + size + GUARD;
	return smem + off;
}
void *dynamic_shared(void)
{
	return blk->smem;
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
static void open_memory(Block &b)
{
	b.arrays.clear();
	if (!b.smem)
		b.smem = (unsigned char *)mmap(nullptr, SMEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
					       -1, 0);
	TSAN(mmap(b.smem, SMEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0)); /* forgets who used it */
	ASAN(__asan_unpoison_memory_region(b.smem, SMEM_BYTES));
	b.dyn = b.grid->dyn;
	fill(b.smem, 0xFF, b.dyn);
	fill(b.smem + b.dyn, 0xC3, GUARD);
	b.used = (b.dyn + GUARD + 15) / 16 * 16;
	ASAN(__asan_poison_memory_region(b.smem + b.dyn, SMEM_BYTES - b.dyn));
}
static void seat(Block &b)
{
	dim3 d = b.grid->block;
	unsigned n = d.x * d.y * d.z;
	while (b.fibers.size() < n + 1)
		b.fibers.push_back(new_fiber());
	TSAN(std::rotate(b.fibers.begin(), b.fibers.begin() + 1,
			 b.fibers.end())); /* the same thread of the next block is another fiber */
	if (b.warps.size() < (n + 31) / 32)
		b.warps.resize((n + 31) / 32);
	for (Warp &w : b.warps)
		w.arrived = 0;
	b.bar.arrived = 0;
	b.bar.live = b.left = n;
	for (unsigned i = 0; i < n; i++) {
		Fiber *f = b.fibers[i];
		f->tid = {i % d.x, i / d.x % d.y, i / (d.x * d.y)};
		f->linear = i;
		f->lane = i & 31;
		f->warp = i >> 5;
		f->done = f->waited = false;
		f->wait = nullptr;
		f->groups.clear();
		f->open.clear();
	}
}
static Block *open_block(Grid &g, unsigned i, bool before)
{
	Block *b = idle.empty() ? new Block() : idle.back();
	if (!idle.empty())
		idle.pop_back();
	b->grid = &g;
	b->id = {i % g.grid.x, i / g.grid.x % g.grid.y, i / (g.grid.x * g.grid.y)};
	b->before = before;
	open_memory(*b);
	TSAN(__tsan_release(&grid_start));
	seat(*b);
	return b;
}
/* One warp as far as it goes. */
static void drive(Block &b, unsigned w, unsigned n, int order, Rng &rng)
{
	for (bool ran = w * 32 < n; ran;) {
		ran = false;
		for (unsigned l : turns(order, rng)) {
			Fiber *f = w * 32 + l < n ? b.fibers[w * 32 + l] : nullptr;
			if (!f || f->done || (f->wait && *f->wait == f->wait_gen))
				continue;
			f->wait = nullptr;
			resume(f);
			ran = true;
		}
	}
}
/* Until all its threads have ended, or all that have not wait for the kernel before or for those. */
static void run_block(Block &b, int order, Rng &rng)
{
	dim3 d = b.grid->block;
	unsigned n = d.x * d.y * d.z;
	blk = &b;
	blockIdx = b.id;
	blockDim = d;
	gridDim = b.grid->grid;
	wgmma_block();
	TSAN(sched_tsan = __tsan_get_current_fiber());
	for (unsigned long before = progress - 1; b.left && progress != before;) {
		before = progress;
		for (unsigned w : turns(order, rng))
			drive(b, w, n, order, rng);
	}
	if (!b.left || (!b.before && std::any_of(b.fibers.begin(), b.fibers.begin() + n,
						 [&](Fiber *f) { return f->wait == &b.before; })))
		return;
	for (unsigned i = 0; i < n; i++) {
		me = b.fibers[i];
		if (!cur()->done)
			die("deadlock: %u of %u threads wait, this one at line %d, for threads that never come", b.left,
			    n, cur()->line);
	}
}
static void close_block(Block *b)
{
	ASAN(__asan_unpoison_memory_region(b->smem, SMEM_BYTES));
	check_canaries(*b);
	idle.push_back(b);
}
static Rng &dice()
{
	static Rng rng{env_seed() * 7919 + 1};
	return rng;
}
void run_early(Grid &g)
{
	static const bool on = env_long("FAKEGPU_EARLY", 1);
	unsigned blocks = g.grid.x * g.grid.y * g.grid.z;
	if (!on || !g.parked.empty())
		return;
	g.bind();
	for (unsigned n = std::min(blocks, 1 + dice().next() % 3); g.parked.size() < n;) {
		unsigned i = dice().next() % blocks;
		if (g.parked.count(i))
			continue;
		g.parked[i] = open_block(g, i, false);
		run_block(*g.parked[i], env_order(), dice());
	}
}
void run_grid(Grid &g)
{
	int order = env_order();
	if (g.parked.empty())
		g.bind();
	TSAN(__tsan_release(&grid_start)); /* what waits for the kernel before sees what it did */
	for (unsigned i : permutation(g.grid.x * g.grid.y * g.grid.z, order, dice())) {
		Block *b = g.parked.count(i) ? g.parked[i] : open_block(g, i, true);
		b->before = 1;
		run_block(*b, order, dice());
		close_block(b);
	}
	g.parked.clear();
	TSAN(__tsan_acquire(&grid_end));
}
} // namespace fake
