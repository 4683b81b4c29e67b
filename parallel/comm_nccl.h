/* comm_nccl.h - communicators over device memory, for the CUDA plug-in. All work is enqueued on one stream. Only a
 * gather on rank 0 waits and, if ranks share a device, a sum. */
#ifndef PARALLEL_COMM_NCCL_H
#define PARALLEL_COMM_NCCL_H

#include "parallel/comm.h"
#include "parallel/tree.h"

#include <cuda_runtime_api.h>

struct comm_device_options {
	void *stream; /* cudaStream_t, borrowed */
	bool fixed;   /* partials are sent as they are and combined by the tree: the same bits on any number of ranks */
	enum dtype sum;  /* what most sums are of, for the log: DT_F32 or DT_BF16 */
	int64_t wait_ns; /* longest wait for other ranks; 0: for ever */
	/* Waits until the stream is done; dies after its deadline or on a fault of the device. */
	void (*wait)(void *device);
	/* Called before the communicator ends: drops every CUDA graph that holds its calls. */
	void (*quiet)(void *device);
	/* Enqueues the tree sum of device arrays (tree.h). */
	void (*tree)(void *device, float *out, const struct tree_input *in, int n, size_t length);
	void (*idle)(void *arg); /* called in every wait loop. May be NULL */
	void *device, *idle_arg;
};

/* Collective. NCCL between ranks with a device each; one rank needs no NCCL. ERR_UNKNOWN with NCCL's reason. */
int comm_nccl_create(struct comm **out, struct world *w, const struct comm_limits *limits,
		     const struct comm_device_options *how, struct why *why);
/* Collective. Several ranks on one device, which NCCL refuses: sums go through a comm_host. For tests and small
 * machines. */
int comm_staged_create(struct comm **out, struct world *w, const struct comm_limits *limits,
		       const struct comm_device_options *how, struct why *why);
/* Whether p is memory of the device, of the host and pinned, or unregistered. */
enum cudaMemoryType comm_memory_of(const void *p);
/* Device bytes of one rank's communicator, for the memory plan. */
uint64_t comm_nccl_bytes(int size, const struct comm_limits *limits, bool fixed);

#endif
