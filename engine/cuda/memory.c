/* memory.c - device memory, waiting, and copies between host and device. */
#include "engine/cuda/cuda.h"

#include <string.h>
#include <time.h>

void cuda_check(cudaError_t e, const char *what)
{
	if (e)
		die("CUDA, %s: %s (%s)", what, cudaGetErrorString(e), cudaGetErrorName(e));
}

/* True while the event is pending. Dies past the deadline or on a fault of the device. */
static bool pending(struct cuda *c, cudaEvent_t event, uint64_t since, const char *what)
{
	cudaError_t e = cudaEventQuery(event);
	uint64_t gone = now_ns() - since;

	if (e != cudaErrorNotReady) {
		cuda_check(e, what);
		return false;
	}
	if (c->peers)
		comm_check(c->peers);
	if (c->how.wait_ns && gone > (uint64_t)c->how.wait_ns)
		die("the GPU is stuck: %s is not done after %.0f s", what, (double)gone / 1e9);
	return true;
}

void cuda_wait(struct cuda *c, cudaEvent_t event, const char *what)
{
	uint64_t start = now_ns(), gone;

	while (pending(c, event, start, what)) {
		if (c->how.idle)
			c->how.idle(c->how.idle_arg);
		gone = now_ns() - start; /* a long wait polls less often: it ends at most half a percent late */
		if (gone > 200000)
			nanosleep(&(struct timespec){0, gone < 250000000 ? 20000 + (long)gone / 256 : 1000000}, NULL);
	}
}

static const char of_stream[] = "the work of the stream";

bool cuda_busy(struct backend *b)
{
	struct cuda *c = cuda_of(b);

	if (!c->marked_ns) {
		cuda_check(cudaEventRecord(c->done, c->stream), "an event");
		c->marked_ns = now_ns();
	}
	return pending(c, c->done, c->marked_ns, of_stream);
}

void cuda_drain(struct cuda *c)
{
	cuda_check(cudaEventRecord(c->done, c->stream), "an event");
	cuda_wait(c, c->done, of_stream);
}

void cuda_stages_create(struct cuda *c)
{
	for (int i = 0; i < STAGES; i++) {
		void *p = NULL;
		cuda_check(cudaMallocHost(&p, STAGE_BYTES), "pinned memory for loading");
		cuda_check(cudaEventCreateWithFlags(&c->stage[i].sent, cudaEventDisableTiming), "an event");
		c->stage[i].memory = p;
		pthread_mutex_init(&c->stage[i].lock, NULL);
	}
}

void cuda_stages_destroy(struct cuda *c)
{
	for (int i = 0; i < STAGES; i++) {
		cudaFreeHost(c->stage[i].memory);
		cudaEventDestroy(c->stage[i].sent);
		pthread_mutex_destroy(&c->stage[i].lock);
	}
}

struct cuda_stage *cuda_stage(struct cuda *c)
{
	struct cuda_stage *s = &c->stage[atomic_fetch_add(&c->stage_turn, 1) % STAGES];

	/* Without this a loader's thread would make a context on device 0, which may be another rank's. */
	cuda_check(cudaSetDevice(c->how.device), "the device of a thread");
	pthread_mutex_lock(&s->lock);
	cuda_wait(c, s->sent, "a copy to the device");
	return s;
}

void cuda_stage_sent(struct cuda *c, struct cuda_stage *s)
{
	cuda_check(cudaEventRecord(s->sent, c->stream), "an event");
	pthread_mutex_unlock(&s->lock);
}

/* What the driver takes for an allocation: whole pages of 2 MiB; small ones share a page. */
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
		die("CUDA: cannot allocate %.3f GiB of device memory (%.3f GiB are allocated): %s",
		    (double)bytes / (1 << 30), (double)c->base.held / (1 << 30), cudaGetErrorString(e));
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

void *cuda_alloc(struct backend *b, size_t bytes)
{
	struct cuda *c = cuda_of(b);
	void *p = cuda_take(c, bytes);

	if (p && !c->how.dry)
		cuda_check(cudaMemsetAsync(p, 0, bytes, c->stream), "clearing memory");
	return p;
}

void *cuda_host_alloc(struct backend *b, size_t bytes)
{
	void *p = NULL;

	(void)b;
	cuda_check(cudaMallocHost(&p, bytes), "pinned memory");
	return memset(p, 0, bytes);
}

void cuda_host_free(struct backend *b, void *p)
{
	(void)b;
	cudaFreeHost(p);
}

void cuda_free(struct backend *b, void *p, size_t bytes)
{
	cuda_give(cuda_of(b), p, bytes);
}

/* Copies through a stage and may wait for it: used at start, and for the few numbers of steps with adapters. */
void cuda_upload(struct backend *b, void *dst, const void *src, size_t bytes)
{
	struct cuda *c = cuda_of(b);

	for (size_t at = 0; at < bytes; at += STAGE_BYTES) {
		size_t n = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
		struct cuda_stage *s = cuda_stage(c);
		memcpy(s->memory, (const char *)src + at, n);
		cuda_check(cudaMemcpyAsync((char *)dst + at, s->memory, n, cudaMemcpyHostToDevice, c->stream),
			   "copying to the device");
		cuda_stage_sent(c, s);
	}
}

void cuda_download(struct backend *b, void *dst, const void *src, size_t bytes)
{
	struct cuda *c = cuda_of(b);

	for (size_t at = 0; at < bytes; at += STAGE_BYTES) {
		size_t n = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
		struct cuda_stage *s = cuda_stage(c);
		cuda_check(cudaMemcpyAsync(s->memory, (const char *)src + at, n, cudaMemcpyDeviceToHost, c->stream),
			   "copying to the host");
		cuda_drain(c);
		memcpy((char *)dst + at, s->memory, n);
		cuda_stage_sent(c, s);
	}
}

void cuda_sync(struct backend *b)
{
	cuda_drain(cuda_of(b));
}
