#include "parallel/comm_nccl_start.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "parallel/world.h"

/* ---- waiting ---- */
static void wait_a_little(const struct nccl *n, uint64_t since, const char *what)
{
	enum { SPIN_NS = 200000 };
	uint64_t gone = now_ns() - since;

	if (n->wait_ns && gone > (uint64_t)n->wait_ns)
		die("%s: the other ranks did not join within %.0f s", what, (double)n->wait_ns / 1e9);
	if (n->idle)
		n->idle(n->idle_arg);
	if (gone > SPIN_NS)
		nanosleep(&(struct timespec){0, 50000}, NULL);
}

static ncclResult_t settle(const struct nccl *n, ncclResult_t r, const char *what)
{
	uint64_t since = now_ns();

	while (r == ncclInProgress) {
		ncclResult_t e = ncclCommGetAsyncError(n->comm, &r);
		if (e)
			return e;
		if (r == ncclInProgress)
			wait_a_little(n, since, what);
	}
	return r;
}

void nccl_must(const struct nccl *n, ncclResult_t r, const char *what)
{
	r = settle(n, r, what);
	if (r)
		die("%s: %s: %s", what, ncclGetErrorString(r), ncclGetLastError(n->comm));
}

typedef ncclResult_t errand_call(struct nccl *n, void *arg);

struct errand {
	struct nccl *n;
	errand_call *call;
	void *arg;
	int device;
	ncclResult_t result;
	atomic_bool done;
};

/* A new thread starts on device 0. */
static void *run_errand(void *arg)
{
	struct errand *e = arg;

	e->result = cudaSetDevice(e->device) ? ncclUnhandledCudaError : e->call(e->n, e->arg);
	atomic_store(&e->done, true);
	return NULL;
}

/* Waits for the call on a thread of its own. Past the deadline the process ends, and the thread with it: aborting the
 * communicator could itself hang. */
static void run_apart(struct nccl *n, errand_call *call, void *arg, const char *what)
{
	struct errand e = {.n = n, .call = call, .arg = arg};
	uint64_t since = now_ns();
	sigset_t all, old;
	pthread_t thread;
	int err;

	if (cudaGetDevice(&e.device))
		die("%s: no device", what);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the daemon's own threads handle signals */
	err = pthread_create(&thread, NULL, run_errand, &e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		die("%s: no thread: %s", what, strerror(err));
	while (!atomic_load(&e.done))
		wait_a_little(n, since, what);
	pthread_join(thread, NULL);
	nccl_must(n, e.result, what);
}

/* ---- start and end ---- */
struct joining {
	ncclUniqueId id;
	int rank, size;
};

/* Blocking, since NCCL starts a thread for every collective of a non-blocking communicator (2.23 and later). */
static ncclResult_t init(struct nccl *n, void *arg)
{
	const struct joining *j = arg;
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;

	config.blocking = 1;
	return ncclCommInitRankConfig(&n->comm, j->size, j->id, j->rank, &config);
}

int nccl_join(struct nccl *n, struct world *w, struct why *why)
{
	struct joining j = {.rank = w->rank, .size = w->size};
	ncclResult_t r = ncclSuccess;

	if (w->rank == 0)
		r = ncclGetUniqueId(&j.id);
	if (world_min(w, r ? 0 : 1) == 0) /* the others must not wait for an id that is none */
		return fail(why, ERR_UNKNOWN, "NCCL makes no id on rank 0: %s", ncclGetErrorString(r));
	world_bcast(w, &j.id, sizeof j.id);
	run_apart(n, init, &j, "NCCL start");
	nccl_must(n, ncclGetVersion(&n->version), "NCCL's version");
	return 0;
}

static ncclResult_t end(struct nccl *n, void *arg)
{
	ncclResult_t r = settle(n, ncclCommFinalize(n->comm), "NCCL end");

	(void)arg;
	return r ? r : ncclCommDestroy(n->comm);
}

void nccl_leave(struct nccl *n)
{
	run_apart(n, end, NULL, "NCCL end");
}

/* ---- windows ---- */
/* NCCL has these from 2.27 on. They are looked up by name, since the loaded library may be older than the headers. */
typedef ncclResult_t window_add(ncclComm_t comm, void *memory, size_t bytes, void **window, int flags);
typedef ncclResult_t window_drop(ncclComm_t comm, void *window);

static window_add *find_add(void)
{
	return (window_add *)dlsym(RTLD_DEFAULT, "ncclCommWindowRegister");
}

static window_drop *find_drop(void)
{
	return (window_drop *)dlsym(RTLD_DEFAULT, "ncclCommWindowDeregister");
}

/* NCCL launches its window kernels so that they may start before the kernel in front of them has ended, and our kernels
 * let the next one start early. From 2.28.3 to 2.30.4 they lack the wait that this requires, so that they would sum
 * what has not been written yet ("Reintroduce cudaGridDependencySynchronize in built-in symmetric kernels", in 2.30.7).
 */
static const char *no_window(int version)
{
	enum { WINDOWS_SINCE = 22703, WAIT_LOST = 22800, WAIT_BACK = 23007 };

	if (version < WINDOWS_SINCE)
		return "NCCL has them from 2.27.3 on";
	if (version >= WAIT_LOST && version < WAIT_BACK)
		return "those of NCCL 2.28.3 to 2.30.4 do not wait for the kernel before them";
	return find_add() && find_drop() ? NULL : "the library does not export ncclCommWindowRegister";
}

struct adding {
	void *memory;
	size_t bytes;
};

static ncclResult_t add(struct nccl *n, void *arg)
{
	enum { SYMMETRIC = 1 };
	const struct adding *a = arg;
	ncclResult_t r = find_add()(n->comm, a->memory, a->bytes, &n->window, SYMMETRIC);

	/* On a non-blocking communicator 2.28 to 2.30 report success while the registration still runs. */
	return r ? r : ncclInProgress;
}

static ncclResult_t drop(struct nccl *n, void *arg)
{
	(void)arg;
	return find_drop()(n->comm, n->window);
}

void nccl_open_window(struct nccl *n, struct world *w, void *memory, size_t bytes)
{
	struct adding a = {memory, bytes};

	n->why_no_window = no_window(n->version);
	if (!world_min(w, n->why_no_window ? 0 : 1)) {
		if (!n->why_no_window)
			n->why_no_window = "another rank's NCCL has none that are safe";
		return;
	}
	run_apart(n, add, &a, "NCCL, registering a window (NCCL_WIN_ENABLE=0 goes without)");
	if (world_min(w, n->window ? 1 : 0))
		return;
	nccl_close_window(n);
	n->why_no_window = "NCCL declined (NCCL_WIN_ENABLE=0, or GPUs without peer access)";
}

void nccl_close_window(struct nccl *n)
{
	if (n->window)
		run_apart(n, drop, NULL, "NCCL, giving up a window");
	n->window = NULL;
}
