/* calls_memory.cpp - CUDA runtime calls: devices, memory, copies. */
#include "runtime.h"
#include <algorithm>
using namespace fake;

/* FAKEGPU_MIG=1: the devices are slices of one GPU. FAKEGPU_EACH=1: a rank sees one device, its own. FAKEGPU_NONE_ON=r:
 * rank r sees none. */
static long local_rank()
{
	return env_long("OMPI_COMM_WORLD_LOCAL_RANK", 0);
}

extern "C" {
cudaError_t cudaGetDeviceCount(int *n)
{
	ENTER_ASKING(cudaGetDeviceCount);
	*n = env_long("FAKEGPU_NONE_ON", -1) == local_rank() ? 0 : (int)env_long("FAKEGPU_DEVICES", 1);
	return *n > 0 ? cudaSuccess : set(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int d)
{
	ENTER_ASKING(cudaSetDevice);
	if (d < 0 || d >= env_long("FAKEGPU_DEVICES", 1))
		return set(cudaErrorInvalidDevice);
	current_device = d;
	devices_are_set = true;
	return cudaSuccess;
}
cudaError_t cudaGetDevice(int *d)
{
	ENTER_ASKING(cudaGetDevice);
	*d = current_device < 0 ? 0 : current_device;
	return cudaSuccess;
}
/* FAKEGPU_LINKS: a letter for each pair of devices, (0,1), (0,2), ..., (1,2), ...: n NVLink, p PCIe, h the host; the
 * last one stands for all that follow. */
static char link_of(int a, int b)
{
	const char *e = getenv("FAKEGPU_LINKS");
	int n = (int)env_long("FAKEGPU_DEVICES", 1), at = 0, x = a < b ? a : b, y = a < b ? b : a;
	for (int i = 0; i < x; i++)
		at += n - 1 - i;
	at += y - x - 1;
	return e && *e ? e[std::min(at, (int)strlen(e) - 1)] : 'n';
}
cudaError_t cudaDeviceCanAccessPeer(int *can, int d, int peer)
{
	ENTER_START(cudaDeviceCanAccessPeer);
	*can = d != peer && link_of(d, peer) != 'h';
	return cudaSuccess;
}
cudaError_t cudaDeviceGetP2PAttribute(int *v, cudaDeviceP2PAttr a, int d, int peer)
{
	ENTER_START(cudaDeviceGetP2PAttribute);
	if (a != cudaDevP2PAttrNativeAtomicSupported || d == peer)
		return set(cudaErrorInvalidValue);
	*v = link_of(d, peer) == 'n';
	return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int d)
{
	ENTER_ASKING(cudaGetDeviceProperties);
	at_start_only("cudaGetDeviceProperties");
	memset(p, 0, sizeof *p);
	snprintf(p->name, sizeof p->name, "Fake GPU %d", d);
	p->uuid.bytes[0] = (char)(1 + d + (env_long("FAKEGPU_EACH", 0) ? local_rank() : 0));
	p->pciBusID = env_long("FAKEGPU_MIG", 0) ? 1 : p->uuid.bytes[0];
	p->totalGlobalMem = limit;
	p->major = (int)env_long("FAKEGPU_CC", 90) / 10;
	p->minor = (int)env_long("FAKEGPU_CC", 90) % 10;
	p->multiProcessorCount = (int)env_long("FAKEGPU_SMS", 4);
	p->sharedMemPerBlock = 48 * 1024;
	p->sharedMemPerBlockOptin = most_shared();
	p->warpSize = 32;
	p->maxThreadsPerBlock = 1024;
	return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int)
{
	ENTER_ASKING(cudaDeviceGetAttribute);
	switch (a) {
	case cudaDevAttrMultiProcessorCount:
		*v = (int)env_long("FAKEGPU_SMS", 4);
		break;
	case cudaDevAttrMaxSharedMemoryPerBlockOptin:
		*v = most_shared();
		break;
	case cudaDevAttrComputeCapabilityMajor:
		*v = (int)env_long("FAKEGPU_CC", 90) / 10;
		break;
	case cudaDevAttrComputeCapabilityMinor:
		*v = (int)env_long("FAKEGPU_CC", 90) % 10;
		break;
	default:
		return set(cudaErrorInvalidValue);
	}
	return cudaSuccess;
}
cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache)
{
	ENTER(cudaDeviceSetCacheConfig);
	return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *v)
{
	*v = CUDART_VERSION;
	return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *v)
{
	*v = (int)env_long("FAKEGPU_DRIVER", CUDART_VERSION);
	return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *f, size_t *t)
{
	ENTER_START(cudaMemGetInfo);
	*f = limit - used;
	*t = limit;
	return cudaSuccess;
}
cudaError_t cudaMalloc(void **p, size_t n)
{
	ENTER_START(cudaMalloc);
	NO_CAPTURE();
	*p = dev_alloc(n);
	return *p || !n ? cudaSuccess : set(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void *p)
{
	ENTER_START(cudaFree);
	NO_CAPTURE();
	if (!p)
		return cudaSuccess;
	drain(l, true);
	return set(nccl_memory.count((char *)p) ? cudaErrorInvalidValue : dev_free(p));
}
cudaError_t cudaHostAlloc(void **p, size_t n, unsigned)
{
	ENTER_START(cudaHostAlloc);
	NO_CAPTURE();
	if (posix_memalign(p, 4096, n ? n : 1))
		return set(cudaErrorMemoryAllocation);
	memset(*p, 0xFF, n);
	pinned[(char *)*p] = {(char *)*p, n, 0, ++alloc_ids};
	return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p)
{
	ENTER(cudaPointerGetAttributes);
	memset(a, 0, sizeof *a);
	a->type = is_device(p)              ? cudaMemoryTypeDevice
		  : find(pinned, (char *)p) ? cudaMemoryTypeHost
					    : cudaMemoryTypeUnregistered;
	return cudaSuccess;
}
cudaError_t cudaMallocHost(void **p, size_t n)
{
	return cudaHostAlloc(p, n, 0);
}
cudaError_t cudaFreeHost(void *p)
{
	ENTER_START(cudaFreeHost);
	NO_CAPTURE();
	if (!p)
		return cudaSuccess;
	drain(l, true);
	if (!pinned.erase((char *)p))
		return set(cudaErrorInvalidValue);
	free(p);
	return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void)
{
	ENTER_START(cudaDeviceSynchronize);
	NO_CAPTURE();
	drain(l, true);
	return sticky;
}

/* copies: which side is device is taken from the address, and must agree with kind */
static cudaError_t copy2d(void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, cudaMemcpyKind k,
			  CUstream_st *st, bool pageable_ok)
{
	bool dd = is_device(d), sd = is_device(s);
	if ((k == cudaMemcpyHostToDevice && (!dd || sd)) || (k == cudaMemcpyDeviceToHost && (dd || !sd)) ||
	    (k == cudaMemcpyDeviceToDevice && (!dd || !sd)) || (k == cudaMemcpyHostToHost && (dd || sd)))
		return set(cudaErrorInvalidValue);
	if (dp < w || sp < w)
		return set(cudaErrorInvalidPitchValue);
	size_t dn = h ? dp * (h - 1) + w : 0, sn = h ? sp * (h - 1) + w : 0;
	bool dpin = dd || find(pinned, (char *)d), spin = sd || find(pinned, (char *)s);
	if (!pageable_ok && (!dpin || !spin))
		die("asynchronous copy from or to pageable memory: it would be slow and synchronous on "
		    "hardware");
	return set(push(st, "memcpy", [=] {
		char *dr = (char *)(dpin ? reach(d, dn, "copy target") : d);
		const char *sr = (const char *)(spin ? reach(s, sn, "copy source") : s);
		for (size_t i = 0; i < h; i++)
			memmove(dr + i * dp, sr + i * sp, w);
	}));
}
cudaError_t cudaMemcpyAsync(void *d, const void *s, size_t n, cudaMemcpyKind k, cudaStream_t st)
{
	ENTER(cudaMemcpyAsync);
	return copy2d(d, n, s, n, n, n ? 1 : 0, k, resolve(st), false);
}
cudaError_t cudaMemcpy2DAsync(void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, cudaMemcpyKind k,
			      cudaStream_t st)
{
	ENTER(cudaMemcpy2DAsync);
	return copy2d(d, dp, s, sp, w, h, k, resolve(st), false);
}
cudaError_t cudaMemcpy(void *d, const void *s, size_t n, cudaMemcpyKind k)
{
	ENTER_START(cudaMemcpy);
	NO_CAPTURE();
	cudaError_t e = copy2d(d, n, s, n, n, n ? 1 : 0, k, &legacy_stream, true);
	if (e == cudaSuccess)
		wait_for(l, &legacy_stream, legacy_stream.enq);
	return e ? e : sticky;
}
cudaError_t cudaMemsetAsync(void *d, int v, size_t n, cudaStream_t st)
{
	ENTER(cudaMemsetAsync);
	return set(push(resolve(st), "memset", [=] { memset(reach(d, n, "memset"), v, n); }));
}
cudaError_t cudaMemset(void *d, int v, size_t n)
{
	return cudaMemsetAsync(d, v, n, nullptr);
}
}
