/* wgmma.cpp - products of a warpgroup, after the PTX ISA ("Asynchronous Warpgroup Level Matrix Instructions"), whatever
 * kernels use of it. As late as allowed: operands in shared memory and in registers are read at the wait, a warp's 16
 * rows at that warp's own wait; sums are poison until then. What the ISA leaves undefined ends the run: a warp of the
 * four that asks for something else or never comes, registers written behind wgmma.fence, shared memory that is still
 * being copied, or was copied without a proxy fence of who copied it, matrices that are none of the canonical layouts.
 * Only cp.async may bring a matrix. */
#include "inside.h"
#include <map>
#include <vector>

namespace fake
{
enum {
	UNIT = 16 /* bytes */,
	UNITS = FAKE_MAX_SHARED / UNIT,
	K = 16,
	MAX_N = 256,
	SYSTEM = 1024 /* of shared memory below a block's own */
};

struct Quiet { /* this file's own memory is no part of the program, nor ordered as that is */
	Quiet()
	{
		TSAN(__tsan_ignore_thread_begin());
	}
	~Quiet()
	{
		TSAN(__tsan_ignore_thread_end());
	}
};

/* ---- shared memory as products see it ---- */
enum { UNKNOWN, SEEN, FLYING, WRITTEN /* + thread: by whom */ };
static uint32_t mark[UNITS];
static unsigned char seen[UNITS][UNIT];

static unsigned unit_of(const void *shared)
{
	return (unsigned)((const unsigned char *)shared - (const unsigned char *)dynamic_shared()) / UNIT;
}
void copy_begins(const void *to)
{
	mark[unit_of(to)] = FLYING;
}
uint32_t shared_address(const void *p)
{
	size_t at = (size_t)((const unsigned char *)p - (const unsigned char *)dynamic_shared());

	if (at >= FAKE_MAX_SHARED || at % UNIT)
		die("a matrix begins outside shared memory, or not at a multiple of 16 bytes");
	return (uint32_t)at + SYSTEM;
}

/* ---- matrices ---- */
/* Bits of the descriptor: address 0-13, leading 16-29, stride 32-45 (each in units of 16 bytes), base offset 49-51,
 * swizzle 62-63. */
struct Matrix {
	unsigned start, leading, stride;
	bool mn; /* a row lies along M or N */
};
enum { ROW = 128, WIDE = ROW / UNIT, PATTERN = 8 * ROW };
static Matrix matrix_of(uint64_t d, bool mn, unsigned rows)
{
	Matrix m = {(unsigned)(d & 0x3fff) * UNIT, (unsigned)(d >> 16 & 0x3fff) * UNIT,
		    (unsigned)(d >> 32 & 0x3fff) * UNIT, mn};
	auto no = [d](const char *why) { die("matrix %016llx: %s", (unsigned long long)d, why); };

	if (d & ~(0x3fffull | 0x3fffull << 16 | 0x3fffull << 32 | 7ull << 49 | 3ull << 62))
		no("bits that must be 0");
	if (d >> 62 != 1)
		no("only the 128-byte swizzle is emulated");
	if (d >> 49 & 7)
		no("a base offset: a pattern must begin at a multiple of its size");
	if (!m.stride || m.stride % PATTERN)
		no("patterns that begin elsewhere than at multiples of their size");
	if (mn && (rows % (8 * WIDE) || m.start % ROW))
		no("columns that do not fill patterns");
	if (mn && rows > 8 * WIDE && (!m.leading || m.leading % PATTERN))
		no("panels that begin elsewhere than at multiples of a pattern");
	if (!mn && m.start % ROW + 2 * UNIT > ROW)
		no("16 numbers that leave their row");
	return m;
}
/* Where 8 numbers lie: those of row r (of M or N) from k on, or, of k, from r on. The canonical layouts of the 128-byte
 * swizzle ("Shared Memory Matrix Layout", "Strides"; CUTLASS, mma_traits_sm90_gmma.hpp), T = 8 numbers of 16 bytes:
 * K-major  ((8,m),(T,2)):((8T,stride),(1,T))    MN-major  ((T,8,m),(8,k)):((1,T,leading),(8T,stride))
 * then bits 4-6 of the address are xored with bits 7-9. */
static unsigned unit_at(const Matrix &m, unsigned r, unsigned k)
{
	unsigned at = m.start;

	if (m.mn)
		at += r / 8 % WIDE * UNIT + r / 8 / WIDE * m.leading + k % 8 * ROW + k / 8 * m.stride;
	else
		at += r % 8 * ROW + r / 8 * m.stride + k / 8 * UNIT;
	return at ^ (at >> 7 & 7) << 4;
}

/* ---- what is in flight ---- */
struct Registers { /* that products use, as they were at the last wgmma.fence */
	const uint32_t *at;
	std::vector<uint32_t> then;
};
struct Product {
	float *d;
	unsigned n;
	const uint32_t *a; /* of this thread; NULL: a_matrix */
	uint64_t a_matrix, b_matrix;
	bool b_mn, add;
	float (*up)(uint32_t);
	bool like(const Product &o) const
	{
		return n == o.n && !a == !o.a && a_matrix == o.a_matrix && b_matrix == o.b_matrix && b_mn == o.b_mn &&
		       add == o.add && up == o.up;
	}
};
struct Lane {
	bool fenced;
	std::vector<Registers> known;
	std::map<float *, std::vector<float>> sums; /* of those in flight */
	std::vector<Product> flying;                /* committed ones first */
	std::vector<unsigned> groups;               /* how many products each has */
	std::vector<unsigned> copied;               /* units, since the last proxy fence */
};
struct Group { /* four warps */
	std::vector<Product> asked;
	unsigned count[4], turn;
};
static std::vector<Lane> lanes;
static std::vector<Group> groups;

void wgmma_block()
{
	Quiet quiet;
	if (lanes.empty())
		return;
	lanes.clear();
	groups.clear();
	memset(mark, 0, sizeof mark);
}
static Lane &mine()
{
	unsigned n = blockDim.x * blockDim.y * blockDim.z;

	if (lanes.empty())
		lanes.resize(n), groups.resize((n + 127) / 128);
	return lanes[me->linear];
}
void wgmma_left()
{
	if (!lanes.empty() && !mine().flying.empty())
		die("left with products in flight");
}
void copy_ended(const void *to)
{
	Quiet quiet;
	unsigned u = unit_of(to);

	mark[u] = WRITTEN + me->linear;
	memcpy(seen[u], to, UNIT);
	mine().copied.push_back(u);
}
void proxy_fence(void)
{
	Quiet quiet;
	for (unsigned u : mine().copied)
		if (mark[u] == WRITTEN + me->linear)
			mark[u] = SEEN;
	mine().copied.clear();
}
__attribute__((no_sanitize("address"))) static bool same(const Registers &r)
{
	for (size_t i = 0; i < r.then.size(); i++)
		if (r.at[i] != r.then[i])
			return false;
	return true;
}
__attribute__((no_sanitize("address"))) static void keep(Registers &r)
{
	for (size_t i = 0; i < r.then.size(); i++)
		r.then[i] = r.at[i];
}
void wgmma_fence(void)
{
	Quiet quiet;
	warp_meet(6);
	mine().fenced = true;
	for (auto &r : mine().known)
		keep(r);
}
static void check_registers(const void *at, unsigned n)
{
	for (auto &r : mine().known)
		if (r.at == at) {
			if (!same(r))
				die("a product uses registers that were written behind wgmma.fence");
			return;
		}
	mine().known.push_back({(const uint32_t *)at, std::vector<uint32_t>(n)});
	keep(mine().known.back());
}
static void ask(const Product &p)
{
	Quiet quiet;
	Lane &l = mine();

	warp_meet(7);
	if (!l.fenced)
		die("a product without wgmma.fence before it");
	if (p.a)
		check_registers(p.a, 4);
	if (!l.sums.count(p.d)) {
		check_registers(p.d, p.n / 2);
		l.sums[p.d].assign(p.d, p.d + p.n / 2);
		memset(p.d, 0xff, p.n / 2 * sizeof *p.d);
	} else if (l.sums[p.d].size() != p.n / 2)
		die("products of two shapes sum to the same registers");
	l.flying.push_back(p);
	if (me->lane)
		return;
	Group &g = groups[me->warp / 4];
	unsigned at = g.count[me->warp % 4]++;
	if (at == g.asked.size())
		g.asked.push_back(p);
	else if (!p.like(g.asked[at]))
		die("warps of a warpgroup ask for different products");
	g.turn++;
	made_progress();
}
void wgmma(float *d, unsigned n, const uint32_t *a, uint64_t b, bool b_mn, bool add, float (*up)(uint32_t))
{
	ask({d, n, a, 0, b, b_mn, add, up});
}
void wgmma(float *d, unsigned n, uint64_t a, uint64_t b, bool b_mn, bool add, float (*up)(uint32_t))
{
	ask({d, n, nullptr, a, b, b_mn, add, up});
}
void wgmma_commit(void)
{
	Quiet quiet;
	unsigned n = (unsigned)mine().flying.size();

	warp_meet(8);
	for (unsigned g : mine().groups)
		n -= g;
	mine().groups.push_back(n);
}

/* ---- at the wait ---- */
static const uint16_t *read_unit(unsigned address)
{
	unsigned u = (address - SYSTEM) / UNIT;
	unsigned char *at = (unsigned char *)dynamic_shared() + (size_t)u * UNIT;

	if (address < SYSTEM || u >= UNITS)
		die("a product reads outside shared memory");
	if (mark[u] == FLYING)
		die("a product reads byte %u of shared memory, which a copy is overwriting", u * UNIT);
	if (mark[u] >= WRITTEN)
		die("a product reads byte %u of shared memory, which thread %u copied without a proxy fence", u * UNIT,
		    mark[u] - WRITTEN);
	if (mark[u] != SEEN || memcmp(at, seen[u], UNIT))
		die("a product reads byte %u of shared memory, which no copy brought", u * UNIT);
	TSAN(__tsan_read_range(at, UNIT));
	return (const uint16_t *)at;
}
/* Rows [first, first + rows) of a matrix: to[k][row]. */
static void read_matrix(float to[K][MAX_N], const Matrix &m, unsigned first, unsigned rows, float (*up)(uint32_t))
{
	for (unsigned r = 0; r < rows; r += m.mn ? 8 : 1)
		for (unsigned k = 0; k < K; k += m.mn ? 1 : 8) {
			const uint16_t *unit = read_unit(unit_at(m, first + r, k));
			for (unsigned i = 0; i < 8; i++)
				to[m.mn ? k : k + i][m.mn ? r + i : r] = up(unit[i]);
		}
}
/* Lane l has rows l / 4 and 8 more; columns l % 4 * 2, one more, and both 8 further; the latter's registers come
 * second. */
static void read_registers(float to[K][MAX_N], unsigned warp, unsigned i)
{
	for (unsigned l = 0; l < 32; l++) {
		const Product &p = lanes[warp * 32 + l].flying[i];
		for (unsigned j = 0; j < 8; j++)
			to[l % 4 * 2 + j % 2 + j / 4 * 8][l / 4 + j / 2 % 2 * 8] =
				p.up(p.a[j / 2] >> 16 * (j % 2) & 0xffff);
	}
}
__attribute__((optimize("O3"))) static void add_row(float *sum, unsigned n, float a[K][MAX_N], float b[K][MAX_N],
						    unsigned row)
{
	for (unsigned k = 0; k < K; k++)
		for (unsigned c = 0; c < n; c++)
			sum[c] += a[k][row] * b[k][c];
}
static void calculate(unsigned warp, unsigned i)
{
	static float a[K][MAX_N], b[K][MAX_N], sum[MAX_N];
	const Product p = lanes[warp * 32].flying[i];

	read_matrix(b, matrix_of(p.b_matrix, p.b_mn, p.n), 0, p.n, p.up);
	if (p.a)
		read_registers(a, warp, i);
	else
		read_matrix(a, matrix_of(p.a_matrix, false, 64), warp % 4 * 16, 16, p.up);
	for (unsigned row = 0; row < 16; row++) {
		auto of = [&](unsigned c) -> float & {
			Lane &l = lanes[warp * 32 + row % 8 * 4 + c % 8 / 2];
			return l.sums[l.flying[i].d][c / 8 * 4 + row / 8 * 2 + c % 2];
		};
		for (unsigned c = 0; c < p.n; c++)
			sum[c] = p.add ? of(c) : 0;
		add_row(sum, p.n, a, b, row);
		for (unsigned c = 0; c < p.n; c++)
			of(c) = sum[c];
	}
}
/* The first `products` of this lane are done, all groups but `keep`: sums that nothing else adds to are told. */
static void deliver(unsigned products, unsigned keep)
{
	Quiet quiet;
	Lane &l = mine();

	l.fenced = false;
	l.flying.erase(l.flying.begin(), l.flying.begin() + products);
	if (l.groups.size() > keep)
		l.groups.erase(l.groups.begin(), l.groups.end() - keep);
	for (auto s = l.sums.begin(); s != l.sums.end();) {
		bool more = false;
		for (auto &p : l.flying)
			more |= p.d == s->first;
		if (!more)
			memcpy(s->first, s->second.data(), s->second.size() * sizeof(float));
		s = more ? std::next(s) : l.sums.erase(s);
	}
}
void wgmma_wait(unsigned keep)
{
	Group &g = groups[me->warp / 4];
	Lane &l = mine();
	unsigned products = 0;

	for (size_t i = 0; i + keep < l.groups.size(); i++)
		products += l.groups[i];
	warp_meet(9);
	if (!me->lane) {
		unsigned last = g.count[me->warp % 4] - (unsigned)l.flying.size() + products;
		for (int w = 0; w < 4 && products; w++)
			while (g.count[w] < last)
				wait_for(&g.turn);
		for (unsigned i = 0; i < products; i++)
			calculate(me->warp, i);
	}
	warp_meet(10);
	deliver(products, keep);
}
} // namespace fake
