/* plugin.h - the CUDA plug-in (libxverse-cuda.so): a backend and a communicator behind one table, opened at run time,
 * so that the main binary needs no CUDA library. It uses base, board, world and comm of the program that opens it. */
#ifndef ENGINE_BACKEND_CUDA_PLUGIN_H
#define ENGINE_BACKEND_CUDA_PLUGIN_H

#include "engine/backend/backend.h"
#include "engine/step.h"
#include "parallel/comm.h"

struct cuda_device {
	char name[64];
	unsigned char id[16]; /* whatever number it has in this process */
	int major, minor;     /* compute capability */
	int processors;
	uint64_t total, free; /* bytes */
};

struct cuda_options {
	enum dtype compute; /* DT_BF16 or DT_F16: of weights, activations and cache */
	struct step_limits limits;
	int max_context;
	int heads, kv_heads, head_dim; /* of this rank */
	int layers, ranks;             /* how much a step enqueues: for the plan of graphs */
	int device;                    /* among those visible */
	bool fixed;      /* the same bits whatever the batch, the chunks and the number of ranks: own kernels only */
	bool graphs;     /* small steps are captured as graphs and replayed */
	bool wgmma;      /* Hopper's products where the device has them and they are right */
	bool overlap;    /* a kernel may start before the one before it has ended */
	bool tune;       /* time cuBLASLt's algorithms at start */
	bool dry;        /* takes addresses, no memory, calls no driver: only `held` is true. For plans */
	int64_t wait_ns; /* longest wait for the device; 0: for ever */
	void (*idle)(void *arg); /* called in every wait loop; may end the process. May be NULL */
	void *idle_arg;
};

/* Changes with the tables that both sides share. */
enum {
	PLUGIN_ABI = 1 << 20 | (int)(sizeof(struct backend_ops) + sizeof(struct backend) + sizeof(struct comm_ops) +
				     sizeof(struct cuda_options) + sizeof(struct cuda_device) + sizeof(struct step))
};

struct plugin {
	int abi;
	const char *build; /* version of the sources: must be the program's own */
	/* ERR_UNKNOWN with the driver's reason where there is none. */
	int (*count)(int *devices, struct why *why);
	int (*describe)(int device, struct cuda_device *out, struct why *why);
	/* ERR_UNSUPPORTED with the reason for a model or device that the kernels do not cover. */
	int (*backend_create)(struct backend **out, const struct cuda_options *how, struct why *why);
	/* Collective. shared: several ranks on one device, which sum through the host. */
	int (*comm_create)(struct comm **out, struct backend *b, struct world *w, const struct comm_limits *limits,
			   bool shared, struct why *why);
	/* Device bytes that the communicator of one of `size` ranks takes. */
	uint64_t (*comm_bytes)(int size, const struct comm_limits *limits, bool fixed);
};

/* The one symbol of the plug-in. */
typedef const struct plugin *plugin_entry(void);
#define PLUGIN_ENTRY "xversed_plugin"

/* Opens XVERSED_CUDA_LIB, else libxverse-cuda.so beside the program or in ../lib, and checks that it fits. ERR_UNKNOWN
 * names the file and what is wrong with it. Never closed. */
int plugin_open(const struct plugin **out, struct why *why);
/* False where no NVIDIA driver is installed and no other plug-in is named: then opening it is of no use. */
bool plugin_worth_trying(void);

#endif
