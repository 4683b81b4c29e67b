/* cuda_plugin.h - the CUDA plug-in (libxverse-cuda.so): a backend and a communicator behind one table, opened at run
 * time, so that the main binary needs no CUDA library. It uses base, board, world and comm of the program that opens
 * it. */
#ifndef ENGINE_BACKEND_CUDA_PLUGIN_H
#define ENGINE_BACKEND_CUDA_PLUGIN_H

#include "engine/backend/backend.h"
#include "engine/step.h"
#include "parallel/comm.h"

struct cuda_device {
	char name[64];
	unsigned char id[16]; /* the same whatever number the device has in this process; each MIG slice has its own */
	int bus[3];           /* PCI domain, bus and device: slices of one GPU have the same */
	int major, minor;     /* compute capability */
	int sms;
	uint64_t total, free; /* bytes of memory */
};

/* How two GPUs reach each other, the best way first. */
enum gpu_link {
	GPU_SAME,
	GPU_NVLINK,
	GPU_PCIE /* peer to peer */,
	GPU_UNSEEN /* by this process */,
	GPU_HOST,
	GPU_NODES /* on several nodes */
};

struct cuda_options {
	enum dtype compute; /* DT_BF16 or DT_F16: of weights, activations and a 16-bit cache */
	enum dtype sum; /* of partial sums between GPUs: DT_F32; or DT_BF16, where compute is DT_BF16 and not `fixed` */
	struct step_limits limits;
	int max_context;
	int heads, kv_heads, head_dim; /* of this rank */
	int window;                    /* attn_shape.window of layers that have one; 0: none has */
	int ranks;                     /* sums between them are part of a graph */
	int loras;                     /* slots of adapters: steps with some have graphs of their own */
	int device;                    /* its number among the visible devices */
	bool fixed;      /* the same bits for any batch, chunks and number of ranks: our own kernels only */
	bool graphs;     /* capture small steps as CUDA graphs and replay them */
	bool wgmma;      /* use Hopper's wgmma where the device has it and it gives right results */
	bool overlap;    /* a kernel may start before the one before it has ended */
	bool tune;       /* time cuBLASLt's algorithms at start */
	bool dry;        /* for plans: reserves addresses but no memory and calls no driver; only `held` is true */
	int64_t wait_ns; /* longest wait for the device; 0: for ever */
	void (*idle)(void *arg); /* called in every wait loop; may end the process. May be NULL */
	void *idle_arg;
};

/* Classes whose weights may be put as files hold them (weight_codes()). */
enum { CUDA_CODES = 1 << QUANT_INT8 | 1 << QUANT_INT4 | 1 << QUANT_UINT8 | 1 << QUANT_UINT4 | 1 << QUANT_E4M3 };
/* Which sizes of heads the kernels take, to end a sentence, where this is none of them; else NULL. Where bits are fixed
 * (`fixed`) a head is a leaf of o's axis, which the kernel reads eight columns at a time. */
static inline const char *cuda_lacks_heads(int dim, bool fixed)
{
	if (dim < 2 || dim > 256 || dim % 2)
		return ": even sizes up to 256 are";
	return fixed && dim % 8 ? " with --enable-deterministic-inference: multiples of 8 are" : NULL;
}

/* Changes whenever a table that both sides share changes. */
enum {
	PLUGIN_ABI = 1 << 20 | (int)(sizeof(struct backend_ops) + sizeof(struct backend) + sizeof(struct comm_ops) +
				     sizeof(struct comm) + sizeof(struct cuda_options) + sizeof(struct cuda_device) +
				     sizeof(struct step))
};

struct plugin {
	int abi;
	const char *build; /* version of the sources; must equal the program's own */
	unsigned covers;   /* enum backend_need: what its kernels do of it */
	/* Counts devices. ERR_UNKNOWN with the driver's reason where there is none. */
	int (*count)(int *devices, struct why *why);
	int (*describe)(int device, struct cuda_device *out, struct why *why);
	/* link (n): how `device` reaches each GPU of all (n), by what CUDA says. */
	void (*links)(int device, const struct cuda_device *all, int n, enum gpu_link *link);
	/* ERR_UNSUPPORTED with the reason for a model or device that the kernels do not cover. The caller owns *out. */
	int (*backend_create)(struct backend **out, const struct cuda_options *how, struct why *why);
	/* Collective over w. shared: several ranks use one device and sum through the host. The caller owns *out. */
	int (*comm_create)(struct comm **out, struct backend *b, struct world *w, const struct comm_limits *limits,
			   bool shared, struct why *why);
	/* Device bytes that the communicator of one of `size` ranks allocates. */
	uint64_t (*comm_bytes)(int size, const struct comm_limits *limits, bool fixed);
};

/* The plug-in's only exported symbol. */
typedef const struct plugin *plugin_entry(void);
#define PLUGIN_ENTRY "xversed_plugin"

/* Opens XVERSED_CUDA_LIB, else libxverse-cuda.so beside the program or in ../lib, and checks that it fits this program.
 * ERR_UNKNOWN names the file and the reason. The library stays open. */
int plugin_open(const struct plugin **out, struct why *why);
/* False where no NVIDIA driver is installed and XVERSED_CUDA_LIB is not set: opening the plug-in would be pointless. */
bool plugin_worth_trying(void);

#endif
