/* memory.c - device memory, waiting, and copies at start. */
#include "engine/cuda/cuda.h"

#include <string.h>
#include <time.h>

void cuda_check(cudaError_t e, const char *what)
{
	if (e)
		die("CUDA, %s: %s (%s)", what, cudaGetErrorString(e), cudaGetErrorName(e));
}

void cuda_wait(struct cuda *c, cudaEvent_t event, const char *what)
{
	uint64_t start = now_ns(), gone;
	struct timespec nap = {0, 20000};
	cudaError_t e;

	while ((e = cudaEventQuery(event)) == cudaErrorNotReady) {
		gone = now_ns() - start;
		if (c->how.wait_ns && gone > (uint64_t)c->how.wait_ns)
			die("the GPU is stuck: %s is not done after %.0f s", what, (double)gone / 1e9);
		if (c->how.idle)
			c->how.idle(c->how.idle_arg);
		if (gone > 200000)
			nanosleep(&nap, NULL);
	}
	cuda_check(e, what);
}

void cuda_drain(struct cuda *c)
{
	cuda_check(cudaEventRecord(c->done, c->stream), "an event");
	cuda_wait(c, c->done, "the work of the stream");
}

/* As the driver hands memory out: whole pages of 2 MiB, small pieces together. */
static size_t charged(size_t bytes)
{
	return round_up(bytes, bytes >= 1 << 20 ? 2 << 20 : 512);
}

void *cuda_take(struct cuda *c, size_t bytes)
{
	void *p = NULL;
	cudaError_t e;

	if (!bytes)
		return NULL;
	if (c->how.dry)
		p = (void *)(uintptr_t)(4096 + c->base.held);
	else if ((e = cudaMalloc(&p, bytes)))
		die("CUDA: no %.3f GiB of device memory (%.3f GiB are held): %s", (double)bytes / (1 << 30),
		    (double)c->base.held / (1 << 30), cudaGetErrorString(e));
	c->base.held += charged(bytes);
	return p;
}

void cuda_give(struct cuda *c, void *p, size_t bytes)
{
	if (!p)
		return;
	c->base.held -= charged(bytes);
	if (!c->how.dry)
		cuda_check(cudaFree(p), "freeing memory");
}
