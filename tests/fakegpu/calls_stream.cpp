/* calls_stream.cpp - CUDA runtime calls: streams, events, graphs, errors. */
#include "runtime.h"
using namespace fake;

static bool follows_only(const Node &n, size_t i)
{
	return n.deps.size() == 1 && n.deps.count(i);
}
/* Kernels that follow node i and nothing else start early. */
static void start_followers(std::vector<Node> &nodes, size_t i)
{
	for (Node &n : nodes)
		if (lets_next_start(nodes[i].grid, nodes[i].name) && n.grid && n.grid->overlap && follows_only(n, i))
			run_early(*n.grid);
}
/* In any order that the edges allow. */
static void replay(std::vector<Node> &nodes)
{
	std::vector<char> ran(nodes.size());
	for (size_t left = nodes.size(); left && !sticky; left--) {
		std::vector<size_t> can;
		for (size_t i = 0; i < nodes.size(); i++) {
			bool ok = !ran[i];
			for (size_t d : nodes[i].deps)
				ok = ok && ran[d];
			if (ok)
				can.push_back(i);
		}
		size_t i = can[rng.next() % can.size()];
		start_followers(nodes, i);
		for (size_t e = 0; lets_next_start(nodes[i].grid, nodes[i].name) && e < nodes.size(); e++)
			if (nodes[e].early && follows_only(nodes[e], i)) {
				nodes[e].run();
				ran[e] = 1;
				left--;
			}
		running_op = nodes[i].name;
		nodes[i].run();
		ran[i] = 1;
	}
}

extern "C" {
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned f)
{
	ENTER_START(cudaStreamCreateWithFlags);
	*s = new CUstream_st;
	(*s)->nonblocking = f & cudaStreamNonBlocking;
	streams.insert(*s);
	return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *s)
{
	return cudaStreamCreateWithFlags(s, 0);
}
cudaError_t cudaStreamSynchronize(cudaStream_t st)
{
	ENTER_START(cudaStreamSynchronize);
	CUstream_st *s = resolve(st);
	if (s->cap) {
		s->cap->broken = true;
		return set(cudaErrorStreamCaptureUnsupported);
	}
	NO_CAPTURE();
	wait_for(l, s, s->enq);
	return set(sticky);
}
cudaError_t cudaStreamQuery(cudaStream_t st)
{
	ENTER(cudaStreamQuery);
	CUstream_st *s = resolve(st);
	if (s->cap) {
		s->cap->broken = true;
		return set(cudaErrorStreamCaptureUnsupported);
	}
	if (s->done >= s->enq) {
		check_all();
		return cudaSuccess;
	}
	urge = true;
	cv_dev.notify_all();
	return cudaErrorNotReady;
}
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
	ENTER_START(cudaStreamDestroy);
	NO_CAPTURE();
	if (!s)
		return set(cudaErrorInvalidResourceHandle);
	wait_for(l, s, s->enq);
	streams.erase(s);
	return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned f)
{
	ENTER_START(cudaEventCreateWithFlags);
	*e = new CUevent_st;
	(*e)->timing = !(f & cudaEventDisableTiming);
	return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e)
{
	return cudaEventCreateWithFlags(e, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t)
{
	return cudaSuccess;
} /* kept: queued ops may still name it */
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t st)
{
	ENTER(cudaEventRecord);
	CUstream_st *s = resolve(st);
	if (s->cap) {
		e->cap = s->cap;
		e->node = s->tail;
		return cudaSuccess;
	}
	e->cap = nullptr;
	cudaError_t r = push(s, "event", [e] { e->when = now(); });
	e->s = s;
	e->count = s->enq;
	return set(r);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t st, cudaEvent_t e, unsigned)
{
	ENTER(cudaStreamWaitEvent);
	CUstream_st *s = resolve(st);
	if (e->cap) {
		if (s->cap && s->cap != e->cap)
			return set(cudaErrorStreamCaptureMerge);
		s->cap = e->cap;
		s->tail.insert(e->node.begin(), e->node.end());
	} else if (s->cap) {
		s->cap->broken = true;
		return set(cudaErrorStreamCaptureIsolation);
	} else if (e->s)
		s->waits.push_back({e->s, e->count});
	return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
	ENTER_START(cudaEventSynchronize);
	if (e->cap) {
		e->cap->broken = true;
		return set(cudaErrorCapturedEvent);
	}
	NO_CAPTURE();
	if (e->s)
		wait_for(l, e->s, e->count);
	return set(sticky);
}
cudaError_t cudaEventQuery(cudaEvent_t e)
{
	ENTER(cudaEventQuery);
	if (e->cap) {
		e->cap->broken = true;
		return set(cudaErrorCapturedEvent);
	}
	NO_CAPTURE();
	if (!e->s || e->s->done >= e->count) {
		check_all();
		return cudaSuccess;
	}
	urge = true;
	cv_dev.notify_all();
	return cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b)
{
	ENTER(cudaEventElapsedTime);
	if (!a->timing || !b->timing)
		return set(cudaErrorInvalidResourceHandle);
	*ms = (float)((b->when - a->when) * 1e3);
	return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t st, cudaHostFn_t f, void *u)
{
	ENTER(cudaLaunchHostFunc);
	return set(push(resolve(st), "hostfunc", [=] { f(u); }));
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode m)
{
	ENTER_START(cudaStreamBeginCapture);
	if (!s || s->cap || capturing)
		return set(cudaErrorStreamCaptureUnsupported);
	s->cap = capturing = new Capture;
	s->cap->origin = s;
	s->cap->mode = m;
	s->cap->thread = pthread_self();
	static unsigned captures;
	s->cap->number = ++captures;
	s->tail.clear();
	return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
	ENTER(cudaStreamEndCapture);
	*g = nullptr;
	Capture *c = s->cap;
	if (!c || c->origin != s)
		return set(cudaErrorIllegalState);
	std::set<size_t> loose; /* nodes of forked streams that never joined back */
	for (auto t : streams)
		if (t->cap == c) {
			if (t != s)
				loose.insert(t->tail.begin(), t->tail.end());
			t->cap = nullptr;
		}
	std::set<size_t> seen, todo = s->tail;
	while (!todo.empty()) {
		size_t n = *todo.begin();
		todo.erase(todo.begin());
		if (seen.insert(n).second)
			todo.insert(c->graph->nodes[n].deps.begin(), c->graph->nodes[n].deps.end());
	}
	capturing = nullptr;
	if (c->broken)
		return set(cudaErrorStreamCaptureInvalidated);
	for (size_t n : loose)
		if (!seen.count(n))
			return set(cudaErrorStreamCaptureUnjoined);
	*g = c->graph;
	return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus *v)
{
	ENTER(cudaStreamIsCapturing);
	*v = !resolve(s)->cap ? cudaStreamCaptureStatusNone
	     : s->cap->broken ? cudaStreamCaptureStatusInvalidated
			      : cudaStreamCaptureStatusActive;
	return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long)
{
	ENTER_START(cudaGraphInstantiate);
	size_t n = g->nodes.size() * (size_t)env_long("FAKEGPU_NODE", 64 << 10);
	if (n > limit - used)
		return set(cudaErrorMemoryAllocation);
	used += n;
	*x = new CUgraphExec_st{g->nodes, n};
	return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *, size_t *n)
{
	ENTER(cudaGraphGetNodes);
	*n = g->nodes.size();
	return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
	ENTER_START(cudaGraphUpload);
	return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t st)
{
	ENTER(cudaGraphLaunch);
	return set(push(resolve(st), "graph", [x] { replay(x->nodes); }));
}
cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
	ENTER(cudaGraphDestroy);
	delete g;
	return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x)
{
	ENTER_START(cudaGraphExecDestroy);
	drain(l, true);
	used -= x->bytes;
	delete x;
	return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *f, cudaFuncAttribute a, int v)
{
	ENTER_START(cudaFuncSetAttribute);
	if (a == cudaFuncAttributeMaxDynamicSharedMemorySize) {
		if (v > most_shared())
			return set(cudaErrorInvalidValue);
		max_shared[f] = v;
	}
	return cudaSuccess;
}
cudaError_t cudaGetLastError(void)
{
	std::lock_guard<std::mutex> l(mu);
	cudaError_t e = sticky ? sticky : last_error;
	last_error = cudaSuccess;
	return e;
}
cudaError_t cudaPeekAtLastError(void)
{
	std::lock_guard<std::mutex> l(mu);
	return sticky ? sticky : last_error;
}
const char *cudaGetErrorName(cudaError_t e)
{
	static char b[32];
	snprintf(b, sizeof b, "cudaError%d", (int)e);
	return b;
}
const char *cudaGetErrorString(cudaError_t e)
{
	switch (e) {
	case cudaSuccess:
		return "no error";
	case cudaErrorMemoryAllocation:
		return "out of memory";
	case cudaErrorInvalidValue:
		return "invalid argument";
	case cudaErrorInvalidConfiguration:
		return "invalid configuration argument";
	case cudaErrorIllegalAddress:
		return "an illegal memory access was encountered";
	case cudaErrorStreamCaptureUnsupported:
		return "operation not permitted when stream is capturing";
	case cudaErrorStreamCaptureInvalidated:
		return "operation failed due to a previous error during capture";
	case cudaErrorStreamCaptureUnjoined:
		return "capturing stream has unjoined work";
	case cudaErrorStreamCaptureImplicit:
		return "operation would make the legacy stream depend on a capturing blocking stream";
	case cudaErrorLaunchFailure:
		return "unspecified launch failure";
	default:
		return "error of the fake GPU";
	}
}
}
