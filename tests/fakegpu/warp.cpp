/* warp.cpp - where threads of a block or a warp meet: barriers, shuffles, matrix products; asynchronous copies. */
#include "block.h"
namespace fake
{
void block_barrier(int line)
{
	auto &bar = blk->bar;
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
	Warp &w = blk->warps[f->warp];
	unsigned g = w.gen;
	if (!(mask >> f->lane & 1))
		die("line %d: lane %u is not in its own mask %08x", line, f->lane, mask);
	if (w.arrived == 0) {
		w.want = mask;
		w.line = line;
		w.op = op;
	} else if (w.want != mask || w.line != line || w.op != op)
		die("lanes of one warp diverge: line %d mask %08x meets line %d mask %08x", line, mask, w.line, w.want);
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
	Warp &w = blk->warps[me->warp];
	w.slot[w.gen & 1][me->lane] = v;
	unsigned g = meet(mask, line, 1);
	if (!(mask >> src & 1))
		die("line %d: shuffle reads lane %d outside mask %08x", line, src, mask);
	return blk->warps[me->warp].slot[g][src];
}
unsigned warp_ballot(unsigned mask, int pred, int line)
{
	Warp &w = blk->warps[me->warp];
	w.slot[w.gen & 1][me->lane] = pred != 0;
	unsigned g = meet(mask, line, 2), r = 0;
	for (int i = 0; i < 32; i++)
		if (mask >> i & 1)
			r |= (unsigned)w.slot[g][i] << i;
	return r;
}
static void copy_async(void *to, const void *from, unsigned n, bool there)
{
	unsigned char *t = (unsigned char *)to;
	if (t < blk->smem || t + n > blk->smem + SMEM_BYTES || (uintptr_t)to % n || (uintptr_t)from % n)
		die("cp.async: bad or misaligned address");
	TSAN(__tsan_write_range(to, n));
	TSAN(if (there) __tsan_read_range((void *)from, n));
	fill(to, 0xFF, n);
	if (n == 16) /* what products of a warpgroup may read */
		copy_begins(to);
	Copy c = {to, from, n, !there || !blk->before, {0, 0}};
	if (there && c.taken) /* before the kernel before has ended: as early as it may be */
		memcpy(c.data, from, n);
	cur()->open.push_back(c);
}
void copy_async4(void *to, const void *from, bool there)
{
	copy_async(to, from, 4, there);
}
void copy_async16(void *to, const void *from, bool there)
{
	copy_async(to, from, 16, there);
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
			TSAN(__tsan_write_range(c.to, c.bytes));
			const uint32_t *from = c.taken ? (const uint32_t *)c.data : (const uint32_t *)c.from;
			for (unsigned i = 0; i < c.bytes / 4; i++)
				((uint32_t *)c.to)[i] = from[i];
			if (c.bytes == 16)
				copy_ended(c.to);
		}
		f->groups.erase(f->groups.begin());
	}
}
/* A lane's part of what its warp does at once. */
static void together(const void *part, int op, void (*work)(const uint64_t *))
{
	Warp &w = blk->warps[me->warp];
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
			((const Rows *)lanes[l])->r[m] =
				TRANS ? at(t, g) | at(t + 1, g) << 16 : at(g, t) | at(g, t + 1) << 16;
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
} // namespace fake
