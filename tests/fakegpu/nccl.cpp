/* nccl.cpp - NCCL of the fake GPU: ranks are processes of one machine that meet in POSIX shared memory, in
 * stream order. FAKENCCL_RANK + FAKENCCL_HANG=n: this rank never joins its nth collective; FAKENCCL_DIE=n: it
 * is killed there. FAKENCCL_STUCK=CALL:n: this rank's nth CALL never returns.
 * FAKENCCL_ASYNC=n: a rank's nth collective breaks after the call. FAKENCCL_VERSION: what it says it is, and how it
 * then behaves. FAKENCCL_WINDOWS=0: it registers none. FAKENCCL_EARLY=1: kernels of windows do not wait for the kernel
 * before them, as from 2.28 on until 2.30.7 (0: they do) */
#include "runtime.h"
#include <nccl.h>
#include <cuda_fp16.h>
#include <algorithm>
#include <atomic>
#include <string>
#include <vector>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, RANKS = 16, PAGES = 2 << 20 /* ncclMemAlloc's unit */ };
/* A place in a window: which one and how far in; 0: in none. */
struct Place {
	uint64_t window, offset;
};
struct Call {
	uint32_t kind, dtype, op, root;
	uint64_t count;
	Place from = {}, to = {}; /* the same on all ranks, as all else */
};
struct Registration {
	uint64_t size, flags;
};
struct Shared {
	std::atomic<uint32_t> joined;
	std::atomic<uint64_t> arrived[RANKS];
	std::atomic<uint64_t> posted[RANKS], compared[RANKS]; /* registrations of windows */
	Registration registration[RANKS];
	Call call[RANKS];
	unsigned char data[RANKS][CHUNK];
};
struct ncclWindow_vidmem {
	uint64_t number;
	char *at;
	size_t size;
};
struct ncclComm {
	Shared *sh;
	int rank, n;
	std::string name;
	std::atomic<int> state, abort;
	uint64_t phase, calls;
	bool lazy;   /* non-blocking: any call may answer "in progress" */
	int pending; /* times that it is still to be asked about */
	fake::Rng dice;
	unsigned graph; /* capture of its last call */
	/* windows */
	std::vector<ncclWindow_vidmem *> windows;
	uint64_t registered;       /* ever */
	ncclWindow_vidmem *coming; /* the other ranks have not all joined its registration */
	ncclWindow_t *coming_to;
};
static std::set<ncclComm *> &comms = *new std::set<ncclComm *>;
enum { ALLREDUCE, ALLGATHER, BROADCAST };

static int width(ncclDataType_t t)
{
	switch (t) {
	case ncclInt8:
		return 1;
	case ncclUint8:
		return 1;
	case ncclFloat16:
	case ncclBfloat16:
		return 2;
	case ncclInt32:
	case ncclUint32:
	case ncclFloat32:
		return 4;
	case ncclInt64:
	case ncclUint64:
	case ncclFloat64:
		return 8;
	default:
		return 0;
	}
}
static int version()
{ /* at least the first after 2.27 whose windows are safe, whatever the headers are */
	return (int)fake::env_long("FAKENCCL_VERSION", std::max(NCCL_VERSION_CODE, 23007));
}
static bool window_waits()
{
	bool lost = version() >= 22800 && version() < 23007;
	return fake::env_long("FAKEGPU_CC", 90) < 90 || !fake::env_long("FAKENCCL_EARLY", lost);
}
static void nap()
{
	timespec t = {0, 20000};
	nanosleep(&t, nullptr);
}
static void stuck(const char *call, int rank)
{
	static long calls;
	const char *e = getenv("FAKENCCL_STUCK");
	size_t n = strlen(call);
	if (!e || fake::env_long("FAKENCCL_RANK", -1) != rank || strncmp(e, call, n) || e[n] != ':')
		return;
	if (++calls < atol(e + n + 1))
		return;
	fprintf(stderr, "fakegpu: rank %d never returns from %s\n", rank, call);
	for (;;)
		nap();
}
/* every rank reaches the same phase; false: aborted */
static bool meet(ncclComm *c)
{
	uint64_t p = ++c->phase;
	c->sh->arrived[c->rank].store(p);
	for (int r = 0, spin = 0; r < c->n;) {
		if (c->abort.load())
			return false;
		if (c->sh->arrived[r].load() >= p)
			r++;
		else if (++spin > 200)
			nap();
	}
	return true;
}
template <class T> static void reduce(T *acc, const T *v, size_t n, ncclRedOp_t op)
{
	for (size_t i = 0; i < n; i++)
		acc[i] = op == ncclMax   ? (v[i] > acc[i] ? v[i] : acc[i])
			 : op == ncclMin ? (v[i] < acc[i] ? v[i] : acc[i])
					 : (T)(acc[i] + v[i]);
}
static void reduce_bf16(uint16_t *a, const uint16_t *b, size_t n, ncclRedOp_t op)
{ /* rounds at every hop, as a ring does */
	auto f = [](uint16_t h) {
		uint32_t u = (uint32_t)h << 16;
		float x;
		memcpy(&x, &u, 4);
		return x;
	};
	for (size_t i = 0; i < n; i++) {
		float x = f(a[i]), y = f(b[i]);
		__nv_bfloat16 r = __float2bfloat16_rn(op == ncclMax ? fmaxf(x, y) : x + y);
		memcpy(&a[i], &r, 2);
	}
}
static void run(ncclComm *c, Call k, const void *send, void *recv)
{
	uint64_t nth = ++c->calls;
	bool broken = nth == (uint64_t)fake::env_long("FAKENCCL_ASYNC", 0);
	size_t w = width((ncclDataType_t)k.dtype), bytes = k.count * w;
	if (fake::env_long("FAKENCCL_RANK", -1) == c->rank) {
		if (nth == (uint64_t)fake::env_long("FAKENCCL_DIE", 0)) {
			fprintf(stderr, "fakegpu: rank %d dies in collective %lu\n", c->rank, (long)nth);
			raise(SIGKILL);
		}
		if (nth == (uint64_t)fake::env_long("FAKENCCL_HANG", 0)) {
			fprintf(stderr, "fakegpu: rank %d never joins collective %lu\n", c->rank, (long)nth);
			while (!c->abort.load())
				nap();
			return;
		}
	}
	if (broken)
		c->state = ncclRemoteError;
	while (broken && !c->abort.load())
		nap();
	const char *in = (const char *)fake::reach(send, bytes, "collective input");
	char *out = (char *)fake::reach(recv, k.kind == ALLGATHER ? bytes * c->n : bytes, "collective output");
	if (k.kind == ALLGATHER && in > out && in < out + bytes * c->n && in != out + bytes * c->rank)
		fake::die("all-gather overlaps but is not in place");
	for (size_t off = 0; off < bytes || off == 0; off += CHUNK) {
		size_t n = std::min(bytes - off, (size_t)CHUNK);
		c->sh->call[c->rank] = k;
		memcpy(c->sh->data[c->rank], in + off, n);
		if (!meet(c))
			return;
		for (int r = 0; r < c->n; r++)
			if (memcmp(&c->sh->call[r], &k, sizeof k))
				fake::die("rank %d: collective %lu is kind %u count %lu type %u, but rank %d "
					  "calls kind %u count %lu type %u, or elsewhere in a window (real NCCL "
					  "would hang or corrupt)",
					  c->rank, (long)nth, k.kind, (long)k.count, k.dtype, r, c->sh->call[r].kind,
					  (long)c->sh->call[r].count, c->sh->call[r].dtype);
		if (k.kind == ALLGATHER)
			for (int r = 0; r < c->n; r++)
				memcpy(out + bytes * r + off, c->sh->data[r], n);
		else if (k.kind == BROADCAST)
			memcpy(out + off, c->sh->data[k.root], n);
		else {
			static std::vector<uint64_t> tmp(CHUNK / 8);
			memcpy(tmp.data(), c->sh->data[0], n);
			for (int r = 1; r < c->n; r++) {
				void *a = tmp.data(), *b = c->sh->data[r];
				switch ((ncclDataType_t)k.dtype) {
				case ncclFloat32:
					reduce((float *)a, (float *)b, n / 4, (ncclRedOp_t)k.op);
					break;
				case ncclFloat64:
					reduce((double *)a, (double *)b, n / 8, (ncclRedOp_t)k.op);
					break;
				case ncclInt32:
					reduce((int32_t *)a, (int32_t *)b, n / 4, (ncclRedOp_t)k.op);
					break;
				case ncclInt64:
				case ncclUint64:
					reduce((uint64_t *)a, (uint64_t *)b, n / 8, (ncclRedOp_t)k.op);
					break;
				case ncclBfloat16:
					reduce_bf16((uint16_t *)a, (uint16_t *)b, n / 2, (ncclRedOp_t)k.op);
					break;
				default:
					fake::die("all-reduce of type %u is not in the fake", k.dtype);
				}
			}
			memcpy(out + off, tmp.data(), n);
		}
		if (!meet(c))
			return;
	}
}
static Place place(ncclComm *c, const void *p)
{
	for (auto w : c->windows)
		if ((char *)p >= w->at && (char *)p < w->at + w->size)
			return {w->number, (uint64_t)((char *)p - w->at)};
	return {0, 0};
}
/* Whether the registration under way is through: every rank has brought the same. */
static bool settled(ncclComm *c)
{
	uint64_t nth = c->registered;
	Shared *s = c->sh;
	if (!c->coming)
		return true;
	for (int r = 0; r < c->n; r++)
		if (s->posted[r].load() < nth)
			return false;
	if (s->compared[c->rank].load() < nth) {
		for (int r = 0; r < c->n; r++)
			if (memcmp(&s->registration[r], &s->registration[c->rank], sizeof(Registration)))
				fake::die(
					"rank %d registers window %lu of %lu bytes, flags %lu, but rank %d one of %lu "
					"bytes, flags %lu: it is not symmetric",
					c->rank, (long)nth, (long)s->registration[c->rank].size,
					(long)s->registration[c->rank].flags, r, (long)s->registration[r].size,
					(long)s->registration[r].flags);
		s->compared[c->rank].store(nth);
	}
	for (int r = 0; r < c->n; r++)
		if (s->compared[r].load() < nth)
			return false; /* it still looks at what this rank would overwrite */
	if (fake::env_long("FAKENCCL_WINDOWS",
			   1)) { /* else as the real one where it is told not to: the window is left as it was */
		c->windows.push_back(c->coming);
		*c->coming_to = c->coming;
	}
	c->coming = nullptr;
	return true;
}
static void check_windows(ncclComm *c, const Call &k, const char *name)
{
	if (!k.from.window != !k.to.window)
		fake::die("%s: one buffer is in a window, the other is not: real NCCL would use none", name);
	if (!k.from.window && !c->windows.empty())
		fake::die("%s: neither buffer is in a window, though there are some", name);
}
static ncclResult_t submit(ncclComm_t c, Call k, const void *s, void *r, cudaStream_t st, const char *name)
{
	int code;
	if (fake::inject_locked(name, &code))
		return (ncclResult_t)code;
	if (c)
		stuck(name, c->rank);
	if (!c || !width((ncclDataType_t)k.dtype))
		return ncclInvalidArgument;
	if (c->state.load() != ncclSuccess)
		return ncclInvalidUsage; /* init has not finished, or aborted */
	if (c->pending || c->coming)
		fake::die("%s while the call before is still in progress", name);
	if (k.kind != BROADCAST) { /* it has no kernel for windows */
		k.from = place(c, s);
		k.to = place(c, r);
		check_windows(c, k, name);
	}
	/* In a graph an event is waited for before the first kernel and recorded after each, for calls outside of it.
	 */
	unsigned graph = fake::captured(st);
	if ((graph && graph != c->graph && fake::enqueue(st, "an event's wait", [] {})) ||
	    fake::enqueue(
		    st, name, [=] { run(c, k, s, r); }, k.from.window && !window_waits()) ||
	    (graph && fake::enqueue(st, "an event", [] {})))
		return ncclUnhandledCudaError;
	c->graph = graph;
	c->pending = c->lazy && c->dice.next() % 3 == 0 ? 1 + (int)(c->dice.next() % 3) : 0;
	return c->pending ? ncclInProgress : ncclSuccess;
}
extern "C" {
ncclResult_t ncclGetVersion(int *v)
{
	int code;
	if (fake::inject_locked("ncclGetVersion", &code))
		return (ncclResult_t)code;
	*v = version();
	return ncclSuccess;
}
const char *ncclGetErrorString(ncclResult_t r)
{
	return r == ncclSuccess        ? "no error"
	       : r == ncclInProgress   ? "in progress"
	       : r == ncclInvalidUsage ? "invalid usage"
				       : "error of the fake NCCL";
}
const char *ncclGetLastError(ncclComm_t)
{
	return "";
}
ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
	int code;
	if (fake::inject_locked("ncclGetUniqueId", &code))
		return (ncclResult_t)code;
	memset(id, 0, sizeof *id);
	timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(id->internal, sizeof id->internal, "/fakenccl-%d-%lx", getpid(), t.tv_nsec);
	return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int n, ncclUniqueId id, int rank, ncclConfig_t *cfg)
{
	int code;
	if (fake::inject_locked("ncclCommInitRankConfig", &code))
		return (ncclResult_t)code;
	stuck("ncclCommInitRankConfig", rank);
	if (n < 1 || n > RANKS || rank < 0 || rank >= n || (cfg && cfg->magic != 0xcafebeef))
		return ncclInvalidArgument;
	int fd = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(Shared)))
		return ncclSystemError;
	ncclComm *c = new ncclComm{};
	c->sh = (Shared *)mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	c->rank = rank;
	c->n = n;
	c->name = id.internal;
	c->lazy = !fake::env_long("NCCL_COMM_BLOCKING", !cfg || cfg->blocking != 0);
	c->dice.s = (uint64_t)fake::env_seed() + (uint64_t)rank;
	comms.insert(c);
	c->sh->joined.fetch_add(1);
	c->state = ncclInProgress;
	*out = c;
	if (c->lazy)
		return ncclInProgress;
	ncclResult_t s;
	do {
		nap();
		ncclCommGetAsyncError(c, &s);
	} while (s == ncclInProgress);
	return s;
}
ncclResult_t ncclCommInitRank(ncclComm_t *c, int n, ncclUniqueId id, int rank)
{
	return ncclCommInitRankConfig(c, n, id, rank, nullptr);
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *s)
{
	if (!settled(c)) {
		*s = ncclInProgress;
		return ncclSuccess;
	}
	if (c->pending) { /* submit() has answered "in progress" */
		*s = --c->pending ? ncclInProgress : ncclSuccess;
		return ncclSuccess;
	}
	/* a dead peer is never reported, as in real NCCL on one host */
	if (c->state == ncclInProgress && c->sh->joined.load() >= (uint32_t)c->n) {
		shm_unlink(c->name.c_str());
		c->state = ncclSuccess;
	}
	*s = (ncclResult_t)c->state.load();
	return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t c, int *n)
{
	*n = c->n;
	return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t c, int *r)
{
	*r = c->rank;
	return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t c)
{
	int code;
	if (fake::inject_locked("ncclCommFinalize", &code))
		return (ncclResult_t)code;
	stuck("ncclCommFinalize", c->rank);
	if (!c->windows.empty() || c->coming)
		fake::die("a communicator ends with %zu windows registered", c->windows.size() + !!c->coming);
	c->pending = c->lazy ? 2 : 0;
	return c->lazy ? ncclInProgress : ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t c)
{
	c->abort = 1;
	c->state = ncclInternalError;
	shm_unlink(c->name.c_str());
	return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t c)
{
	cudaDeviceSynchronize();
	munmap(c->sh, sizeof(Shared));
	comms.erase(c);
	delete c;
	return ncclSuccess;
}
ncclResult_t ncclGroupStart()
{
	return ncclSuccess;
}
ncclResult_t ncclGroupEnd()
{
	return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void *s, void *r, size_t n, ncclDataType_t t, ncclRedOp_t op, ncclComm_t c,
			   cudaStream_t st)
{
	return submit(c, {ALLREDUCE, (uint32_t)t, (uint32_t)op, 0, n}, s, r, st, "ncclAllReduce");
}
ncclResult_t ncclAllGather(const void *s, void *r, size_t n, ncclDataType_t t, ncclComm_t c, cudaStream_t st)
{
	return submit(c, {ALLGATHER, (uint32_t)t, 0, 0, n}, s, r, st, "ncclAllGather");
}
ncclResult_t ncclBroadcast(const void *s, void *r, size_t n, ncclDataType_t t, int root, ncclComm_t c, cudaStream_t st)
{
	return submit(c, {BROADCAST, (uint32_t)t, 0, (uint32_t)root, n}, c->rank == root ? s : r, r, st,
		      "ncclBroadcast");
}
ncclResult_t ncclMemAlloc(void **p, size_t n)
{
	int code;
	if (fake::inject_locked("ncclMemAlloc", &code))
		return (ncclResult_t)code;
	if (cudaMalloc(p, n))
		return ncclUnhandledCudaError;
	std::lock_guard<std::mutex> l(fake::mu);
	size_t more = (n + PAGES - 1) / PAGES * PAGES - n;
	fake::nccl_memory[(char *)*p] = {n, more};
	fake::used += more;
	return fake::used > fake::limit ? ncclUnhandledCudaError : ncclSuccess;
}
ncclResult_t ncclMemFree(void *p)
{
	int code;
	if (fake::inject_locked("ncclMemFree", &code))
		return (ncclResult_t)code;
	for (auto c : comms)
		if (place(c, p).window)
			fake::die("memory is freed with a window registered over it");
	{
		std::lock_guard<std::mutex> l(fake::mu);
		auto i = fake::nccl_memory.find((char *)p);
		if (i == fake::nccl_memory.end())
			fake::die("ncclMemFree of memory that is not ncclMemAlloc's");
		fake::used -= i->second.more;
		fake::nccl_memory.erase(i);
	}
	return cudaFree(p) ? ncclUnhandledCudaError : ncclSuccess;
}
ncclResult_t ncclCommWindowRegister(ncclComm_t c, void *p, size_t n, ncclWindow_t *out, int flags)
{
	int code;
	if (fake::inject_locked("ncclCommWindowRegister", &code))
		return (ncclResult_t)code;
	stuck("ncclCommWindowRegister", c->rank);
	if (c->state.load() != ncclSuccess)
		return ncclInvalidUsage;
	if (c->pending || c->coming)
		fake::die("a window is registered while the call before is still in progress");
	if (fake::capturing)
		fake::die("a window is registered while a stream is captured");
	auto i = fake::nccl_memory.upper_bound((char *)p);
	if (i == fake::nccl_memory.begin() || (--i, (char *)p + n > i->first + i->second.size))
		return ncclUnhandledCudaError; /* not, or not only, ncclMemAlloc's */
	if (((char *)p - i->first) % NCCL_WIN_REQUIRED_ALIGNMENT)
		return ncclInvalidArgument;
	for (auto w : c->windows)
		if ((char *)p < w->at + w->size && w->at < (char *)p + n)
			fake::die("memory is registered twice");
	c->coming = new ncclWindow_vidmem{++c->registered, (char *)p, n};
	c->coming_to = out;
	c->sh->registration[c->rank] = {n, (uint64_t)flags};
	c->sh->posted[c->rank].store(c->registered);
	while (!c->lazy && !settled(c))
		nap();
	/* 2.28 to 2.30 report success while other threads still register it. */
	return c->lazy && (version() < 22800 || version() >= 23100) ? ncclInProgress : ncclSuccess;
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t c, ncclWindow_t w)
{
	int code;
	if (fake::inject_locked("ncclCommWindowDeregister", &code))
		return (ncclResult_t)code;
	auto i = std::find(c->windows.begin(), c->windows.end(), w);
	if (i == c->windows.end())
		fake::die("a window is given up that is none of this communicator's");
	std::lock_guard<std::mutex> l(fake::mu);
	bool works = fake::busy;
	for (auto st : fake::streams)
		works |= !st->q.empty();
	if (works)
		fake::die("a window is given up while the device still works");
	c->windows.erase(i);
	delete w;
	return ncclSuccess;
}
}
