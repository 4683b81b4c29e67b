/* facts - what this machine has, as lines "name <tab> value": the driver and its GPUs, and the versions of the
 * libraries named on the command line (paths of libcudart, libcublasLt and libnccl). It is built before anything else,
 * without NVIDIA's headers, and opens everything at run time. Exit 1: no GPU can be used; the line `device` says why.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { SMS = 16, MAJOR = 75, MINOR = 76, CLOCK_KHZ = 13, L2_BYTES = 38 }; /* CUdevice_attribute of cuda.h */

static void *driver;

static void *call(const char *name)
{
	void *f = driver ? dlsym(driver, name) : NULL;

	if (!f)
		printf("driver\tlibcuda.so.1 has no %s\n", name);
	return f;
}

static int attribute(int device, int what)
{
	int (*get)(int *, int, int) = (int (*)(int *, int, int))call("cuDeviceGetAttribute"), v = 0;

	return get && !get(&v, what, device) ? v : 0;
}

static int no_device(const char *why, int status)
{
	int (*name_of)(int, const char **) = driver ? (int (*)(int, const char **))call("cuGetErrorName") : NULL;
	const char *name = "";

	if (status && name_of)
		name_of(status, &name);
	printf("device\tnone: %s %s\n", why, name ? name : "");
	return 1;
}

/* Which pairs of GPUs read each other's memory. */
static void print_peers(int n)
{
	int (*can)(int *, int, int) = (int (*)(int *, int, int))call("cuDeviceCanAccessPeer"), yes = 0, one;

	for (int i = 0; can && i < n; i++)
		for (int j = 0; j < n; j++)
			if (i != j && !can(&one, i, j))
				yes += one != 0;
	if (n > 1)
		printf("peers\t%d of %d pairs of GPUs access each other's memory\n", yes / 2, n * (n - 1) / 2);
}

static int print_gpus(void)
{
	int (*init)(unsigned) = (int (*)(unsigned))call("cuInit");
	int (*version)(int *) = (int (*)(int *))call("cuDriverGetVersion");
	int (*count)(int *) = (int (*)(int *))call("cuDeviceGetCount");
	int (*name_of)(char *, int, int) = (int (*)(char *, int, int))call("cuDeviceGetName");
	int (*memory)(size_t *, int) = (int (*)(size_t *, int))call("cuDeviceTotalMem_v2");
	int n = 0, v = 0, status;

	if (!init || !version || !count || !name_of || !memory)
		return no_device("the driver's library is not one of CUDA 11 or later", 0);
	version(&v);
	printf("driver API\tCUDA %d.%d\n", v / 1000, v % 1000 / 10);
	status = init(0);
	if (status)
		return no_device("cuInit fails with", status);
	status = count(&n);
	if (status || !n)
		return no_device("the driver shows no GPU", status);
	for (int i = 0; i < n; i++) {
		char name[128] = "?";
		size_t bytes = 0;
		name_of(name, sizeof name, i), memory(&bytes, i);
		printf("gpu %d\t%s, compute capability %d.%d, %d SMs, %.1f GiB, L2 %.0f MiB, %.0f MHz\n", i, name,
		       attribute(i, MAJOR), attribute(i, MINOR), attribute(i, SMS), (double)bytes / (1 << 30),
		       attribute(i, L2_BYTES) / 1048576.0, attribute(i, CLOCK_KHZ) / 1000.0);
	}
	print_peers(n);
	return 0;
}

static void print_library(const char *path)
{
	void *lib = dlopen(path, RTLD_NOW), *f;
	int v = 0;

	if (!lib) {
		printf("library\t%s\n", dlerror());
		return;
	}
	if ((f = dlsym(lib, "cublasLtGetVersion")))
		printf("cuBLASLt\t%zu, %s\n", ((size_t(*)(void))f)(), path);
	else if ((f = dlsym(lib, "ncclGetVersion")) && !((int (*)(int *))f)(&v))
		printf("NCCL\t%d, %s\n", v, path);
	else if ((f = dlsym(lib, "cudaRuntimeGetVersion")) && !((int (*)(int *))f)(&v))
		printf("CUDA runtime\t%d, %s\n", v, path);
	else
		printf("library\t%s: its version is not known\n", path);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		print_library(argv[i]);
	driver = dlopen("libcuda.so.1", RTLD_NOW);
	return driver ? print_gpus() : no_device(dlerror(), 0);
}
