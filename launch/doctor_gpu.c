/* doctor_gpu.c - driver, toolkit, NCCL and peer access. The libraries are opened by name, since this program is built
 * without them. */
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/facts.h"
#include "launch/finding.h"

enum { DEVICES = 64 };

/* The driver's functions (cuda.h); 0 is success. */
struct driver {
	int (*init)(unsigned);
	int (*version)(int *);
	int (*count)(int *);
	int (*get)(int *, int);
	int (*name)(char *, int, int);
	int (*reaches)(int *, int, int);
};

static bool open_driver(struct driver *f, const char **reason)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

	*reason = lib ? "libcuda.so.1 lacks a function" : dlerror();
	if (!lib)
		return false;
	*(void **)&f->init = dlsym(lib, "cuInit");
	*(void **)&f->version = dlsym(lib, "cuDriverGetVersion");
	*(void **)&f->count = dlsym(lib, "cuDeviceGetCount");
	*(void **)&f->get = dlsym(lib, "cuDeviceGet");
	*(void **)&f->name = dlsym(lib, "cuDeviceGetName");
	*(void **)&f->reaches = dlsym(lib, "cuDeviceCanAccessPeer");
	return f->init && f->version && f->count && f->get && f->name && f->reaches;
}

/* The plug-in with the toolkit's libraries that it needs, of which it calls nothing here. NULL: there is none. */
static void *open_plugin(struct doctor *d, const char **reason)
{
	char *path = facts_plugin(d->l->xversed);
	void *lib = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;

	*reason = path ? (lib ? "" : dlerror()) : "libxverse-cuda.so is not installed beside xversed";
	free(path);
	return lib;
}

static int version_of(void *lib, const char *function)
{
	int (*get)(int *) = NULL, version = 0;

	*(void **)&get = dlsym(lib, function);
	return get && !get(&version) ? version : 0;
}

/* A driver runs toolkits up to its own version, and minor versions beyond it. */
static void look_at_toolkit(struct doctor *d, int driver)
{
	const char *reason;
	void *plugin = open_plugin(d, &reason);
	int toolkit = plugin ? version_of(plugin, "cudaRuntimeGetVersion") : 0,
	    nccl = plugin ? version_of(plugin, "ncclGetVersion") : 0;

	if (!plugin) {
		doctor_say(d, MEND, "CUDA plug-in", "%.300s: without it GPUs are not used", reason);
		return;
	}
	if (!toolkit)
		doctor_say(d, NOTE, "CUDA toolkit", "the plug-in does not say its version");
	else if (toolkit / 1000 > driver / 1000)
		doctor_say(
			d, MEND, "CUDA toolkit",
			"%d.%d needs a newer driver than one of CUDA %d.%d: update it, or build with an older toolkit",
			toolkit / 1000, toolkit % 1000 / 10, driver / 1000, driver % 1000 / 10);
	else
		doctor_say(d, FINE, "CUDA toolkit", "%d.%d", toolkit / 1000, toolkit % 1000 / 10);
	if (nccl >= 22803 && nccl <= 23004)
		doctor_say(d, NOTE, "NCCL", "%d.%d.%d has a fault that costs speed: take 2.27.x, or 2.30.7 or later",
			   nccl / 10000, nccl % 10000 / 100, nccl % 100);
	else if (nccl)
		doctor_say(d, FINE, "NCCL", "%d.%d.%d", nccl / 10000, nccl % 10000 / 100, nccl % 100);
	else
		doctor_say(d, NOTE, "NCCL", "the plug-in does not say its version");
}

/* Pairs of GPUs that do not read each other's memory. */
static void look_at_peers(struct doctor *d, const struct driver *f, int n)
{
	int apart = 0, device[DEVICES], reaches;

	for (int i = 0; i < n; i++)
		if (f->get(&device[i], i))
			return;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < i; k++)
			apart += f->reaches(&reaches, device[i], device[k]) || !reaches;
	if (n < 2)
		return;
	if (apart)
		doctor_say(d, NOTE, "peer access",
			   "%d of %d pairs of GPUs have none: sums between them go through host memory, slowly", apart,
			   n * (n - 1) / 2);
	else
		doctor_say(d, FINE, "peer access", "between all %d GPUs", n);
}

static void look_at_devices(struct doctor *d, const struct driver *f)
{
	char name[64] = "";
	int version = 0, n = 0, first, err = f->init(0);

	f->version(&version);
	if (err || f->count(&n) || n < 1) {
		doctor_say(
			d, MEND, "CUDA driver",
			"CUDA %d.%d finds no GPU (error %d): look at nvidia-smi, CUDA_VISIBLE_DEVICES and the job's --gres",
			version / 1000, version % 1000 / 10, err);
		return;
	}
	if (!f->get(&first, 0))
		f->name(name, sizeof name, first);
	doctor_say(d, FINE, "CUDA driver", "CUDA %d.%d, %d of %s", version / 1000, version % 1000 / 10, n, name);
	look_at_toolkit(d, version);
	look_at_peers(d, f, min_int(n, DEVICES));
}

static bool has_interface(const char *name, size_t len, bool prefix)
{
	struct ifaddrs *all, *a;
	bool found = false;

	if (getifaddrs(&all))
		return true;
	for (a = all; a && !found; a = a->ifa_next)
		found = !strncmp(a->ifa_name, name, len) && (prefix || !a->ifa_name[len]) && a->ifa_flags & IFF_UP;
	freeifaddrs(all);
	return found;
}

/* NCCL_SOCKET_IFNAME: a list of prefixes, after = of whole names, after ^ of those to leave out. */
static void look_at_interface(struct doctor *d)
{
	const char *list = getenv("NCCL_SOCKET_IFNAME"), *at = list;
	bool whole = list && *list == '=';

	if (!list || *list == '^')
		return;
	for (at += whole; *at; at += strcspn(at, ","), at += *at == ',') {
		size_t n = strcspn(at, ",:");
		if (has_interface(at, n, !whole)) {
			doctor_say(d, FINE, "NCCL's interface", "%s", list);
			return;
		}
	}
	doctor_say(d, MEND, "NCCL's interface", "NCCL_SOCKET_IFNAME is %s, and no such interface is up (ip link)",
		   list);
}

void doctor_gpu(struct doctor *d)
{
	struct driver f = {0};
	const char *reason;

	if (d->l->options.device == DEVICE_CPU)
		return;
	if (!open_driver(&f, &reason)) {
		doctor_say(d, d->l->options.device == DEVICE_CUDA ? MEND : NOTE, "CUDA driver",
			   "none is installed, so that xversed computes on the CPU (%.200s)", reason);
		return;
	}
	look_at_devices(d, &f);
	look_at_interface(d);
}
