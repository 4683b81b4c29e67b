/* nccl.cpp - NCCL of the fake GPU: ranks are processes of one machine that meet in POSIX shared memory, in
 * stream order. FAKENCCL_RANK + FAKENCCL_HANG=n: this rank never joins its nth collective; FAKENCCL_DIE=n: it
 * is killed there */
#include "inside.h"
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

enum { CHUNK = 1 << 20, RANKS = 16 };
struct Call {
	uint32_t kind, dtype, op, root;
	uint64_t count;
};
struct Shared {
	std::atomic<uint32_t> joined;
	std::atomic<uint64_t> arrived[RANKS];
	Call call[RANKS];
	unsigned char data[RANKS][CHUNK];
};
struct ncclComm {
	Shared *sh;
	int rank, n;
	std::string name;
	std::atomic<int> state, abort;
	uint64_t phase, calls;
	bool lazy;    /* non-blocking: any call may answer "in progress" */
	int pending;  /* times that it is still to be asked about */
	fake::Rng dice;
};
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
static void nap()
{
	timespec t = {0, 20000};
	nanosleep(&t, nullptr);
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
	const char *in = (const char *)fake::reach(send, bytes, "collective input");
	char *out =
		(char *)fake::reach(recv, k.kind == ALLGATHER ? bytes * c->n : bytes, "collective output");
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
					  "calls kind %u count %lu type %u (real NCCL would hang or corrupt)",
					  c->rank, (long)nth, k.kind, (long)k.count, k.dtype, r,
					  c->sh->call[r].kind, (long)c->sh->call[r].count,
					  c->sh->call[r].dtype);
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
static ncclResult_t submit(ncclComm_t c, Call k, const void *s, void *r, cudaStream_t st, const char *name)
{
	int code;
	if (fake::inject_locked(name, &code))
		return (ncclResult_t)code;
	if (!c || !width((ncclDataType_t)k.dtype))
		return ncclInvalidArgument;
	if (c->state.load() != ncclSuccess)
		return ncclInvalidUsage; /* init has not finished, or aborted */
	if (c->pending)
		fake::die("%s while the call before is still in progress", name);
	if (fake::enqueue(st, name, [=] { run(c, k, s, r); }))
		return ncclUnhandledCudaError;
	c->pending = c->lazy && c->dice.next() % 3 == 0 ? 1 + (int)(c->dice.next() % 3) : 0;
	return c->pending ? ncclInProgress : ncclSuccess;
}
extern "C" {
ncclResult_t ncclGetVersion(int *v)
{
	*v = NCCL_VERSION_CODE;
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
	c->lazy = cfg && cfg->blocking == 0;
	c->dice.s = (uint64_t)fake::env_seed() + (uint64_t)rank;
	c->sh->joined.fetch_add(1);
	c->state = ncclInProgress;
	*out = c;
	if (cfg && cfg->blocking == 0)
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
	c->pending = 2;
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
ncclResult_t ncclBroadcast(const void *s, void *r, size_t n, ncclDataType_t t, int root, ncclComm_t c,
			   cudaStream_t st)
{
	return submit(c, {BROADCAST, (uint32_t)t, 0, (uint32_t)root, n}, c->rank == root ? s : r, r, st,
		      "ncclBroadcast");
}
ncclResult_t ncclMemAlloc(void **p, size_t n)
{
	return cudaMalloc(p, n) ? ncclUnhandledCudaError : ncclSuccess;
}
ncclResult_t ncclMemFree(void *p)
{
	return cudaFree(p) ? ncclUnhandledCudaError : ncclSuccess;
}
}
