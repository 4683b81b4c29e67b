/* device.cpp - the thread that is the device: streams, launches, injected failures. Nothing starts until the host waits
 * or asks, or FAKEGPU_HOLD_US have passed; ready streams are served at random. */
#include "runtime.h"
#include <cxxabi.h>
#include <dlfcn.h>
#include <atomic>
#include <signal.h>
#include <unistd.h>

namespace fake
{

/* ---- injected failures: FAKEGPU_FAIL=CALL:n=CODE,..., on rank FAKEGPU_FAIL_RANK, or on all ---- */
bool inject(const char *api, int *code)
{
	struct Rule {
		std::string api;
		long n;
		int code;
	};
	static std::vector<Rule> rules;
	static bool parsed;
	static long any;
	if (!parsed) {
		parsed = true;
		const char *e = getenv("FAKEGPU_FAIL");
		char a[64];
		long n;
		int c, k;
		if (env_long("FAKEGPU_FAIL_RANK", -1) >= 0 &&
		    env_long("FAKEGPU_FAIL_RANK", -1) != env_long("OMPI_COMM_WORLD_LOCAL_RANK", 0))
			e = nullptr;
		for (; e && *e; e += k + (e[k] == ','))
			if (sscanf(e, "%63[^:]:%ld=%d%n", a, &n, &c, &k) == 3)
				rules.push_back({a, n, c});
			else
				die("bad FAKEGPU_FAIL near '%s'", e);
	}
	if (rules.empty())
		return false;
	bool counts = *api != '@' && strcmp(api, "cudaEventQuery"); /* asked as often as time allows */
	any += counts;
	for (auto &r : rules)
		if ((r.api == "any" && counts && r.n == any) || (r.api == api && --r.n == 0)) {
			*code = r.code;
			fprintf(stderr, "fakegpu: injected %d into %s (call %ld)\n", r.code, api, any);
			return true;
		}
	return false;
}
bool inject_locked(const char *api, int *code)
{
	std::lock_guard<std::mutex> l(mu);
	return inject(api, code);
}
void at_start_only(const char *api)
{
	const char *serving = getenv("FAKEGPU_QUIET");

	if (serving && !access(serving, F_OK))
		die("%s while steps are served", api);
}
void has_device(const char *api)
{
	if (devices_are_set && current_device < 0)
		die("%s from a thread that never set its device: it makes a second context, on device 0", api);
}
cudaError_t set(cudaError_t e)
{
	if (e != cudaSuccess && e != cudaErrorNotReady)
		last_error = e;
	return e;
}

/* ---- device thread ---- */
/* Kernels let the next one start before they end, those of cuBLASLt too; copies do not. */
bool lets_next_start(const std::shared_ptr<Grid> &grid, const char *name)
{
	return grid || !strncmp(name, "cublasLtMatmul", 14);
}
static bool ready(const Op &o)
{
	for (auto &d : o.deps)
		if (d.s->done < d.count)
			return false;
	return true;
}
static void device_loop()
{
	static char alt[65536];
	stack_t st = {};
	st.ss_sp = alt;
	st.ss_size = sizeof alt;
	sigaltstack(&st, nullptr);
	long hold = env_long("FAKEGPU_HOLD_US", 20000);
	std::unique_lock<std::mutex> l(mu);
	for (;;) {
		std::vector<CUstream_st *> can;
		for (auto s : streams)
			if (!s->q.empty() && ready(s->q.front()))
				can.push_back(s);
		if (can.empty()) {
			urge = false;
			cv_dev.wait(l);
			continue;
		}
		if (hold > 0 && !waiters && !urge) {
			double t = last_enqueue + hold * 1e-6 - now();
			if (t > 0) {
				cv_dev.wait_for(l, std::chrono::duration<double>(t));
				continue;
			}
		}
		CUstream_st *s = can[rng.next() % can.size()];
		Op o = std::move(s->q.front());
		s->q.pop_front();
		busy = true;
		running_op = o.name;
		std::shared_ptr<Grid> next =
			lets_next_start(o.grid, o.name) && !s->q.empty() && s->q.front().deps.empty()
				? s->q.front().grid
				: nullptr;
		Op first;
		if (lets_next_start(o.grid, o.name) && !s->q.empty() && s->q.front().deps.empty() &&
		    s->q.front().early) {
			first = std::move(s->q.front());
			s->q.pop_front();
		}
		l.unlock();
		if (!sticky && next && next->overlap)
			run_early(*next);
		if (!sticky && first.run)
			first.run();
		if (!sticky)
			o.run();
		l.lock();
		running_op = nullptr;
		busy = false;
		s->done += first.run ? 2 : 1;
		cv_host.notify_all();
	}
}
void start()
{ /* mu held */
	if (started)
		return;
	started = true;
	rng.s = env_seed();
	init_memory();
	legacy_stream.legacy = true;
	streams.insert(&legacy_stream);
	std::thread t(device_loop);
	dev_thread = t.native_handle();
	t.detach();
}
CUstream_st *resolve(cudaStream_t s)
{
	return s && s != cudaStreamLegacy ? s : &legacy_stream;
}
cudaError_t push(CUstream_st *s, const char *name, std::function<void()> fn, std::shared_ptr<Grid> grid, bool early)
{ /* mu held */
	start();
	if (s->cap) {
		size_t id = s->cap->graph->nodes.size();
		s->cap->graph->nodes.push_back({std::move(fn), name, s->tail, std::move(grid), early});
		s->tail = {id};
		return cudaSuccess;
	}
	if (s->legacy && capturing && !capturing->origin->nonblocking) {
		capturing->broken = true;
		return cudaErrorStreamCaptureImplicit;
	}
	Op o{std::move(fn), name, std::move(s->waits), std::move(grid), early};
	s->waits.clear();
	if (s->legacy) {
		for (auto t : streams)
			if (t != s && !t->nonblocking)
				o.deps.push_back({t, t->enq});
	} else if (!s->nonblocking)
		o.deps.push_back({&legacy_stream, legacy_stream.enq});
	s->q.push_back(std::move(o));
	s->enq++;
	last_enqueue = now();
	cv_dev.notify_all();
	return cudaSuccess;
}
unsigned captured(cudaStream_t s)
{
	std::lock_guard<std::mutex> l(mu);
	return resolve(s)->cap ? resolve(s)->cap->number : 0;
}
cudaError_t enqueue(cudaStream_t s, const char *name, std::function<void()> fn, bool early)
{
	std::lock_guard<std::mutex> l(mu);
	return push(resolve(s), name, std::move(fn), nullptr, early);
}
void wait_for(std::unique_lock<std::mutex> &l, CUstream_st *s, uint64_t count)
{
	waiters++;
	cv_dev.notify_all();
	cv_host.wait(l, [&] { return s->done >= count; });
	waiters--;
	check_all();
}
/* calls that hardware refuses while a capture is on */
bool illegal_in_capture()
{
	if (!capturing || capturing->mode == cudaStreamCaptureModeRelaxed)
		return false;
	if (capturing->mode == cudaStreamCaptureModeThreadLocal && !pthread_equal(capturing->thread, pthread_self()))
		return false;
	capturing->broken = true;
	return true;
}

/* the name from the symbol table: link with -rdynamic */
static const char *kernel_of(const void *k)
{
	static std::map<const void *, std::string> names;
	std::string &n = names[k];
	if (n.empty()) {
		Dl_info d;
		int st = 1;
		char *s = dladdr(k, &d) && d.dli_sname ? abi::__cxa_demangle(d.dli_sname, nullptr, nullptr, &st)
						       : nullptr;
		n = st == 0 ? std::string(s, strcspn(s, "(")) : d.dli_sname ? d.dli_sname : "?";
		free(s);
	}
	return n.c_str();
}
/* FAKEGPU_KERNELS=FILE: the name and the grid of each kernel at its first launch. */
static void tell_launched(const char *name, dim3 g)
{
	static std::set<std::string> &told = *new std::set<std::string>;
	const char *file = getenv("FAKEGPU_KERNELS");
	FILE *f = file && told.insert(name).second ? fopen(file, "a") : nullptr;
	if (f) {
		fprintf(f, "%s\t%u %u %u\n", name, g.x, g.y, g.z);
		fclose(f);
	}
}
cudaError_t launch(const Launch &how, std::function<void()> bind, std::function<void()> body)
{
	std::lock_guard<std::mutex> l(mu);
	dim3 g = how.grid, b = how.block;
	int code;
	if (sticky)
		return sticky;
	if (inject("launch", &code))
		return set((cudaError_t)code);
	size_t threads = (size_t)b.x * b.y * b.z;
	int cap = max_shared.count(how.kernel) ? max_shared[how.kernel] : 48 * 1024;
	if (!threads || threads > 1024 || b.z > 64 || !g.x || !g.y || !g.z || g.y > 65535 || g.z > 65535)
		return set(cudaErrorInvalidConfiguration);
	if (how.smem > (size_t)cap)
		return set(cudaErrorInvalidValue);
	if (how.overlap && resolve(how.stream)->cap && env_long("FAKEGPU_DRIVER", CUDART_VERSION) < 12030) {
		resolve(how.stream)->cap->broken = true;
		return set(cudaErrorNotSupported);
	}
	const char *name = kernel_of(how.kernel);
	tell_launched(name, g);
	auto grid =
		std::make_shared<Grid>(Grid{name, g, b, how.smem, how.overlap, std::move(bind), std::move(body), {}});
	return set(push(
		resolve(how.stream), name,
		[grid] {
			int c;
			if (inject_locked((std::string("@") + grid->name).c_str(), &c))
				sticky = (cudaError_t)c;
			else
				run_grid(*grid);
		},
		grid));
}
void drain(std::unique_lock<std::mutex> &l, bool all)
{
	for (bool more = true; more;) {
		more = false;
		for (auto s : streams)
			if ((all || !s->nonblocking) && s->done < s->enq) {
				wait_for(l, s, s->enq);
				more = true;
				break;
			}
	}
}
} // namespace fake
