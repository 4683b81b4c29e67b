/* runtime.h - what the files of the emulated CUDA runtime share. State is guarded by `mu`. */
#pragma once
#include "inside.h"
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>
#include <pthread.h>

struct Dep {
	CUstream_st *s;
	uint64_t count;
};
struct Op {
	std::function<void()> run;
	const char *name;
	std::vector<Dep> deps;
	std::shared_ptr<fake::Grid> grid; /* of a kernel */
	bool early = false;               /* runs before the kernel in front of it has begun */
};
struct Node {
	std::function<void()> run;
	const char *name;
	std::set<size_t> deps;
	std::shared_ptr<fake::Grid> grid;
	bool early = false;
};
struct CUgraph_st {
	std::vector<Node> nodes;
};
struct CUgraphExec_st {
	std::vector<Node> nodes;
	size_t bytes; /* of the device's memory */
};
struct Capture {
	CUgraph_st *graph = new CUgraph_st;
	CUstream_st *origin;
	cudaStreamCaptureMode mode;
	pthread_t thread;
	bool broken = false;
	unsigned number; /* 1 for the first */
};
struct CUstream_st {
	bool nonblocking = false, legacy = false;
	std::deque<Op> q;
	uint64_t enq = 0, done = 0;
	std::vector<Dep> waits; /* joined by the next op */
	Capture *cap = nullptr;
	std::set<size_t> tail; /* capture: nodes that the next node follows */
};
struct CUevent_st {
	CUstream_st *s = nullptr;
	uint64_t count = 0;
	Capture *cap = nullptr;
	std::set<size_t> node;
	double when = 0;
	bool timing = true;
};

namespace fake
{
bool lets_next_start(const std::shared_ptr<Grid> &grid, const char *name);
/* never destroyed: the device thread outlives main */
inline std::mutex &mu = *new std::mutex;
inline std::condition_variable &cv_dev = *new std::condition_variable, &cv_host = *new std::condition_variable;
inline std::set<CUstream_st *> &streams = *new std::set<CUstream_st *>;
inline CUstream_st &legacy_stream = *new CUstream_st;
inline int waiters;
inline thread_local int current_device = -1; /* -1: this thread has set none, and has device 0 */
inline bool urge, busy, started, devices_are_set;
inline double last_enqueue;
inline cudaError_t sticky, last_error;
inline Capture *capturing;
inline pthread_t dev_thread;
inline const char *running_op = nullptr;
inline Rng rng;

/* ---- memory: [base, base+limit) is real, [base+shift, ...) is what the program sees and nothing is mapped
 * there ---- */
enum { PAGE = 4096 };
struct Alloc {
	char *p;
	size_t size, slack;
	unsigned id;
}; /* by backing address */
inline std::map<char *, Alloc> &allocs = *new std::map<char *, Alloc>, &pinned = *new std::map<char *, Alloc>,
			       &freed = *new std::map<char *, Alloc>;
/* ncclMemAlloc's, by device address: cudaFree does not take it. */
struct NcclMemory {
	size_t size, more; /* what its pages take beyond that */
};
inline std::map<char *, NcclMemory> &nccl_memory = *new std::map<char *, NcclMemory>;
inline char *base, *top;
inline ptrdiff_t shift;
inline size_t limit, used, span;
inline unsigned alloc_ids;

double now();
bool is_device(const void *p);
Alloc *find(std::map<char *, Alloc> &m, char *p);
void init_memory();
void check_all();
void *dev_alloc(size_t n);
cudaError_t dev_free(void *d);
/* with mu held */
void start();
bool inject(const char *api, int *code);
cudaError_t set(cudaError_t e);
CUstream_st *resolve(cudaStream_t s);
cudaError_t push(CUstream_st *s, const char *name, std::function<void()> fn, std::shared_ptr<Grid> grid = nullptr,
		 bool early = false);
void wait_for(std::unique_lock<std::mutex> &l, CUstream_st *s, uint64_t count);
void drain(std::unique_lock<std::mutex> &l, bool all);
void at_start_only(
	const char *api); /* dies where FAKEGPU_QUIET names a file that is there: the program says that it serves */
bool illegal_in_capture();
/* Dies where other threads set their device and this one did not: the call would make a context on device 0. */
void has_device(const char *api);
inline std::map<const void *, int> max_shared; /* by kernel: cudaFuncSetAttribute */
} // namespace fake

/* First words of every call: of those that ask about devices, which need no context; of the others; and of those that
 * take memory, wait or set something up: none of that belongs in a step. */
#define ENTER_ASKING(api) \
	std::unique_lock<std::mutex> l(mu); \
	do { \
		start(); \
		int c_; \
		if (sticky) \
			return sticky; \
		if (inject(#api, &c_)) \
			return set((cudaError_t)c_); \
	} while (0)
#define ENTER(api) \
	ENTER_ASKING(api); \
	has_device(#api)
#define ENTER_START(api) \
	ENTER(api); \
	at_start_only(#api)
#define NO_CAPTURE() \
	do { \
		if (illegal_in_capture()) \
			return set(cudaErrorStreamCaptureUnsupported); \
	} while (0)
