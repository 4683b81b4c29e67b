/* plugin.c - the table that the plug-in exports. */
#include "engine/cuda/cuda.h"
#include "parallel/comm_nccl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count(int *devices, struct why *why)
{
	cudaError_t e = cudaGetDeviceCount(devices);
	int driver = 0;

	if (e == cudaErrorInsufficientDriver && !cudaDriverGetVersion(&driver) && !driver)
		return fail(why, ERR_UNKNOWN, "no CUDA device: no NVIDIA driver is installed");
	if (e || !*devices)
		return fail(why, ERR_UNKNOWN, "no CUDA device: %s", e ? cudaGetErrorString(e) : "none is visible");
	return 0;
}

static int describe(int device, struct cuda_device *out, struct why *why)
{
	struct cudaDeviceProp p;
	size_t unused = 0, total = 0;
	cudaError_t e = cudaGetDeviceProperties(&p, device);

	if (!e)
		e = cudaSetDevice(device);
	if (!e)
		e = cudaMemGetInfo(&unused, &total);
	if (e)
		return fail(why, ERR_UNKNOWN, "CUDA device %d: %s", device, cudaGetErrorString(e));
	*out = (struct cuda_device){.major = p.major,
				    .minor = p.minor,
				    .sms = p.multiProcessorCount,
				    .total = total,
				    .free = unused,
				    .bus = {p.pciDomainID, p.pciBusID, p.pciDeviceID}};
	snprintf(out->name, sizeof out->name, "%.63s", p.name);
	memcpy(out->id, p.uuid.bytes, sizeof out->id);
	return 0;
}

/* This process's number of a GPU; -1: it does not see it. */
static int number_of(const unsigned char *id)
{
	struct cudaDeviceProp p;
	int n = 0;

	if (cudaGetDeviceCount(&n))
		n = 0;
	for (int i = 0; i < n; i++)
		if (!cudaGetDeviceProperties(&p, i) && !memcmp(p.uuid.bytes, id, sizeof p.uuid.bytes))
			return i;
	return -1;
}

/* Between GPUs only NVLink has native atomics. */
static enum gpu_link link_to(int device, int peer)
{
	const char *off = getenv("NCCL_P2P_DISABLE");
	int can = 0, atomics = 0;

	if (peer < 0)
		return GPU_UNSEEN;
	if (off && *off && strcmp(off, "0"))
		return GPU_HOST;
	if (cudaDeviceCanAccessPeer(&can, device, peer) ||
	    (can && cudaDeviceGetP2PAttribute(&atomics, cudaDevP2PAttrNativeAtomicSupported, device, peer))) {
		cudaGetLastError(); /* it is only for information */
		return GPU_UNSEEN;
	}
	return !can ? GPU_HOST : atomics ? GPU_NVLINK : GPU_PCIE;
}

static void links(int device, const struct cuda_device *all, int n, enum gpu_link *link)
{
	for (int i = 0; i < n; i++) {
		int peer = number_of(all[i].id);
		link[i] = peer == device ? GPU_SAME : link_to(device, peer);
	}
}

static void wait_stream(void *backend)
{
	cuda_drain(backend);
}

/* Computes the binary counter's merges from the leaves of the inputs. */
static void tree(void *backend, float *out, const struct tree_input *in, int n, size_t length)
{
	struct k_tree t = {.count = n};
	int leaves[TREE_MAX_INPUTS], depth = 0;

	REQUIRE(n >= 1 && n <= K_MAX_INPUTS);
	for (int i = 0; i < n; i++) {
		t.data[i] = in[i].data;
		leaves[depth++] = in[i].leaves;
		while (depth > 1 && (i + 1 == n || leaves[depth - 2] == leaves[depth - 1])) {
			leaves[depth - 2] += leaves[depth - 1];
			depth--, t.merges[i]++;
		}
	}
	cuda_check(k_tree_sum(((struct cuda *)backend)->stream, out, t, length), "sum of partials");
}

static void quiet(void *backend)
{
	cuda_drop_graphs(backend);
	((struct cuda *)backend)->peers = NULL;
}

static int comm_create(struct comm **out, struct backend *b, struct world *w, const struct comm_limits *limits,
		       bool shared, struct why *why)
{
	struct cuda *c = cuda_of(b);
	struct comm_device_options how = {.stream = c->stream,
					  .fixed = c->how.fixed,
					  .sum = b->sum,
					  .wait_ns = c->how.wait_ns,
					  .wait = wait_stream,
					  .tree = tree,
					  .quiet = quiet,
					  .idle = c->how.idle,
					  .idle_arg = c->how.idle_arg,
					  .device = c};
	int err;

	if (shared) /* their sums wait on the host, so a step can neither be captured nor run ahead */
		c->graphs = c->how.graphs = false, b->sampled = NULL;
	err = (shared ? comm_staged_create : comm_nccl_create)(out, w, limits, &how, why);
	if (!err)
		c->peers = *out;
	return err;
}

__attribute__((visibility("default"))) const struct plugin *xversed_plugin(void);

const struct plugin *xversed_plugin(void)
{
	static const struct plugin p = {.abi = PLUGIN_ABI,
					.build = XV_VERSION,
					.covers = CUDA_COVERS,
					.count = count,
					.describe = describe,
					.links = links,
					.backend_create = cuda_create,
					.comm_create = comm_create,
					.comm_bytes = comm_nccl_bytes};

	return &p;
}
