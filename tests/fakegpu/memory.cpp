/* memory.cpp - memory of the emulated GPU, with guard pages, poison (0xFF bytes are NaN as numbers and -1 as an index)
 * and addresses that the host cannot touch; reports its faults. */
#include "runtime.h"
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace fake
{
double now()
{
	timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1e-9 * t.tv_nsec;
}
long env_long(const char *n, long def)
{
	const char *e = getenv(n);
	return e ? atol(e) : def;
}
int most_shared()
{
	long cc = env_long("FAKEGPU_CC", 90);
	return (cc == 80 || cc == 87 ? 163 : cc < 90 || cc >= 120 ? 99 : 227) * 1024;
}
int env_order()
{
	const char *e = getenv("FAKEGPU_ORDER");
	return !e ? 2 : !strcmp(e, "fwd") ? 0 : !strcmp(e, "rev") ? 1 : 2;
}
unsigned env_seed()
{
	return (unsigned)env_long("FAKEGPU_SEED", 1);
}

void die(const char *fmt, ...)
{
	char b[1024];
	int n = 0;
	if (me)
		n = snprintf(b, sizeof b, "fakegpu: kernel %s block (%u,%u,%u) thread (%u,%u,%u): ", running_kernel(),
			     blockIdx.x, blockIdx.y, blockIdx.z, me->tid.x, me->tid.y, me->tid.z);
	else if (running_op)
		n = snprintf(b, sizeof b, "fakegpu: device op %s: ", running_op);
	else
		n = snprintf(b, sizeof b, "fakegpu: ");
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(b + n, sizeof b - n, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s\n", b);
	_exit(99);
}

bool is_device(const void *p)
{
	return base && (char *)p >= base + shift && (char *)p < base + shift + span;
}
Alloc *find(std::map<char *, Alloc> &m, char *p)
{
	auto i = m.upper_bound(p);
	if (i == m.begin())
		return nullptr;
	--i;
	return p < i->second.p + i->second.size || (p == i->second.p) ? &i->second : nullptr;
}
static void on_segv(int, siginfo_t *si, void *)
{
	char *p = (char *)si->si_addr;
	char b[512];
	if (is_device(p)) {
		Alloc *a = find(allocs, p - shift);
		if (pthread_equal(pthread_self(), dev_thread))
			snprintf(b, sizeof b,
				 "fakegpu: kernel %s followed device address %p found in memory: pass "
				 "pointers as arguments\n",
				 running_kernel(), p);
		else
			snprintf(b, sizeof b,
				 "fakegpu: HOST code touched device address %p (allocation #%u, %zu bytes)\n", p,
				 a ? a->id : 0, a ? a->size : 0);
	} else if (base && p >= base && p < base + span) {
		Alloc *n = find(allocs, p - PAGE);
		snprintf(b, sizeof b,
			 "fakegpu: kernel %s block (%u,%u) thread %u: illegal device address, %s #%u (%zu "
			 "bytes)\n",
			 running_kernel() ? running_kernel() : running_op, blockIdx.x, blockIdx.y, me ? me->linear : 0,
			 n ? "just after allocation" : "not near a live allocation", n ? n->id : 0, n ? n->size : 0);
	} else
		snprintf(b, sizeof b, "fakegpu: segmentation fault at %p %s%s\n", p,
			 running_kernel() ? "in kernel " : "in host code", running_kernel() ? running_kernel() : "");
	if (write(2, b, strlen(b)) < 0) {
	}
	_exit(98);
}
void init_memory()
{
	if (base)
		return;
	limit = (size_t)env_long("FAKEGPU_MEM", 1l << 30);
	span = limit * 2 + (64u << 20); /* guard pages and page rounding are not charged */
	base = top = (char *)mmap(nullptr, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *seen = (char *)mmap(nullptr, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED || seen == MAP_FAILED)
		die("cannot reserve %zu bytes of address space", span);
	shift = seen - base;
	static char alt[65536];
	stack_t st = {};
	st.ss_sp = alt;
	st.ss_size = sizeof alt;
	sigaltstack(&st, nullptr);
	struct sigaction sa = {};
	sa.sa_sigaction = on_segv;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaction(SIGSEGV, &sa, nullptr);
	sigaction(SIGBUS, &sa, nullptr);
}
static void check_slack(const Alloc &a)
{
	for (size_t i = 0; i < a.slack; i++)
		if ((unsigned char)a.p[(ptrdiff_t)i - (ptrdiff_t)a.slack] != 0xC3)
			die("%zu bytes before allocation #%u were overwritten", a.slack - i, a.id);
	size_t tail = (256 - a.size % 256) % 256;
	for (size_t i = 0; i < tail; i++)
		if ((unsigned char)a.p[a.size + i] != 0xC3)
			die("%zu bytes past the end of allocation #%u (%zu bytes) were overwritten", i + 1, a.id,
			    a.size);
}
void check_all()
{
	for (auto &i : allocs)
		check_slack(i.second);
}
void *dev_alloc(size_t n)
{
	init_memory();
	if (n == 0)
		return nullptr;
	if (used + n > limit)
		return nullptr;
	size_t r = (n + 255) / 256 * 256, pages = (r + PAGE - 1) / PAGE * PAGE;
	if (top + pages + 2 * PAGE > base + span)
		return nullptr;
	char *first = top + PAGE, *p = first + pages - r; /* ends at a guard page, 256-byte aligned */
	if (mprotect(first, pages, PROT_READ | PROT_WRITE))
		return nullptr;
	memset(first, 0xC3, p - first);
	memset(p, 0xFF, n); /* NaN in bf16, f16, f32, e4m3; -1 as an index */
	memset(p + n, 0xC3, r - n);
	top = first + pages;
	used += n;
	allocs[p] = {p, n, (size_t)(p - first), ++alloc_ids};
	return p + shift;
}
cudaError_t dev_free(void *d)
{
	char *p = (char *)d - shift;
	auto i = allocs.find(p);
	if (!is_device(d) || i == allocs.end())
		return cudaErrorInvalidValue;
	check_slack(i->second);
	char *first = (char *)((uintptr_t)(p - i->second.slack));
	size_t pages = ((i->second.size + 255) / 256 * 256 + i->second.slack);
	madvise(first, pages, MADV_DONTNEED);
	mprotect(first, pages, PROT_NONE); /* addresses are never reused: a stale pointer always faults */
	used -= i->second.size;
	freed[p] = i->second;
	allocs.erase(i);
	return cudaSuccess;
}
static void *reach_(const void *vp, size_t n, const char *what)
{ /* mu held */
	char *p = (char *)vp;
	if (is_device(p)) {
		p -= shift;
		Alloc *a = find(allocs, p);
		if (!a)
			die("%s: device address %p is in no live allocation%s", what, vp,
			    find(freed, p) ? " (it was freed)" : "");
		if (p + n > a->p + a->size)
			die("%s: %zu bytes at offset %zu overrun allocation #%u of %zu bytes", what, n,
			    (size_t)(p - a->p), a->id, a->size);
		return p;
	}
	Alloc *a = find(pinned, p);
	if (!a)
		die("%s: %p is neither device nor pinned memory", what, vp);
	if (p + n > a->p + a->size)
		die("%s: %zu bytes overrun a pinned buffer of %zu bytes", what, n, a->size);
	return p;
}
void *reach(const void *p, size_t n, const char *what)
{
	std::lock_guard<std::mutex> l(mu);
	return reach_(p, n, what);
}
void *translate_pointer(const void *p, size_t align)
{
	if (!p)
		return nullptr;
	std::lock_guard<std::mutex> l(mu);
	if ((uintptr_t)p % align)
		die("argument %p of %s is misaligned for its type (%zu)", p, running_op, align);
	/* one past the end is a legal value of a pointer */
	if (is_device(p) && !find(allocs, (char *)p - shift) && find(allocs, (char *)p - shift - 1))
		return (char *)p - shift;
	return reach_(p, 0, "kernel argument");
}
void translate_words(void *v, size_t n)
{
	std::lock_guard<std::mutex> l(mu);
	for (size_t i = 0; i + 8 <= n; i += 8) {
		void *p;
		memcpy(&p, (char *)v + i, 8);
		if (!is_device(p)) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(FAKE_TSAN) /* their shadow makes every number an address */
			/* a mapped host address inside a struct is a host pointer, unless it is pinned */
			unsigned char in;
			if ((uintptr_t)p >> 40 && (uintptr_t)p >> 47 == 0 && !find(pinned, (char *)p) &&
			    mincore((void *)((uintptr_t)p & ~4095ul), 1, &in) == 0)
				die("struct argument of %s holds host address %p at offset %zu", running_op, p, i);
#endif
			continue;
		}
		p = reach_(p, 0, "pointer in a struct argument");
		memcpy((char *)v + i, &p, 8);
	}
}
} // namespace fake
