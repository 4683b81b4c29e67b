#include "daemon/rank/device_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wait.h"
#include "daemon/rank/links.h"
#include "engine/backend/cuda_plugin.h"
#include "engine/models/stored.h"
#include "parallel/board.h"

enum { CONTEXT_BYTES = 512 << 20, SPIN_NS = 30000 };

/* The GPU of this process. */
static struct {
	const struct plugin *plugin;
	struct cuda_device gpu;
	int number; /* among those that this process sees */
} cuda;

bool device_cuda_worth_trying(void)
{
	return plugin_worth_trying();
}

#define FORMS \
	{ \
		.codes = CUDA_CODES, .order = true, .aligned = true \
	}

/* Whether weights are rounded to int8 or int4: by the options, or since they are in no form of a file that is kept. */
static bool rounds_weights(const struct rank *self)
{
	const struct quant_forms forms = FORMS;
	int64_t how = self->opt->quantization;
	unsigned made = how == QUANTISE_AUTO ? model_stored_quants(&self->cfg, self->files, &forms, false) : 0;

	return how == QUANTISE_INT8 || how == QUANTISE_INT4 || (made & (1u << QUANT_INT8 | 1u << QUANT_INT4));
}

/* Why the kernels do not support the options or the model; NULL: they do. */
static const char *unfit(const struct rank *self)
{
	if (self->opt->compute == COMPUTE_F32)
		return "--compute f32 is not supported yet on CUDA";
	if (self->opt->deterministic && self->cfg.head_dim % 32 && self->world->size > 1 && rounds_weights(self))
		return "on several GPUs --enable-deterministic-inference needs heads of 32, 64, ... for int8 and int4 weights "
		       "and quantised files, since scales are for 32 columns: --quantization fp8 or none";
	return NULL;
}

/* The plug-in says what its kernels cover. */
static int check_network(const struct rank *self, struct why *why)
{
	const char *lacks = backend_lacks(model_needs(&self->cfg, self->max_model_len), cuda.plugin->covers);

	return lacks ? fail(why, ERR_UNSUPPORTED, "%s needs %s, which is not supported yet on CUDA",
			    self->cfg.architecture, lacks)
		     : 0;
}

/* e4m3 is a type of the tensor cores since compute capability 8.9. In a plan without a GPU (0.0) it is taken for
 * granted. */
static int check_fp8(const struct rank *self, struct why *why)
{
	int capability = 10 * cuda.gpu.major + cuda.gpu.minor;

	if ((self->opt->quantization != QUANTISE_FP8 && self->opt->quantization_head != QUANTISE_FP8) || !capability ||
	    capability >= 89)
		return 0;
	return fail(
		why, ERR_UNSUPPORTED,
		"fp8 weights need compute capability 8.9, and %s has %d.%d: --quantization int8 works there and takes "
		"as little memory",
		cuda.gpu.name, cuda.gpu.major, cuda.gpu.minor);
}

/* Ranks of a node are dealt round robin to the devices that they see. */
static int place(struct rank *self, struct why *why)
{
	struct world *w = self->world;
	int devices = 0, err;

	if (self->opt->dry_run && self->opt->device_memory) {
		self->device.sharing = self->device.on_gpu = self->device.most_on_gpu = 1;
		cuda.gpu = (struct cuda_device){.total = (uint64_t)self->opt->device_memory};
		snprintf(cuda.gpu.name, sizeof cuda.gpu.name, "CUDA device");
		return 0;
	}
	err = cuda.plugin->count(&devices, why);
	if (err)
		return err;
	cuda.number = w->local_rank % devices;
	self->device.sharing = self->device.on_gpu = self->device.most_on_gpu = div_up(w->local_size, devices);
	return cuda.plugin->describe(cuda.number, &cuda.gpu, why);
}

/* Two ranks are on one node; bus numbers are of a node. */
static bool together(const struct world *w, int a, int b)
{
	return w->nodes.n < 2 || w->nodes.of_rank[a] == w->nodes.of_rank[b];
}

/* Ranks on the GPU of a rank, on whatever slice of it. */
static int on_gpu(const struct world *w, const struct cuda_device *all, int rank)
{
	int count = 0;

	for (int r = 0; r < w->size; r++)
		count += together(w, r, rank) && !memcmp(all[r].bus, all[rank].bus, sizeof all->bus);
	return count;
}

/* Rank 0 says how the GPUs reach each other, and warns where that is slow. */
static void say_links(struct rank *self, const struct cuda_device *all)
{
	struct world *w = self->world;
	enum gpu_link *own = xalloc((size_t)w->size, sizeof *own), *link = NULL;
	char slow[sizeof self->device.links];

	if (!w->rank)
		link = xalloc((size_t)w->size * (size_t)w->size, sizeof *link);
	cuda.plugin->links(cuda.number, all, w->size, own);
	for (int r = 0; r < w->size; r++) /* a slice of its own (MIG) is the same GPU */
		if (!together(w, r, w->rank))
			own[r] = GPU_NODES;
		else if (!memcmp(all[r].bus, cuda.gpu.bus, sizeof cuda.gpu.bus))
			own[r] = GPU_SAME;
	world_gather(w, own, (size_t)w->size * sizeof *own, link);
	if (!w->rank) {
		links_text(link, w->size, self->device.links, sizeof self->device.links);
		if (links_pairs(link, w->size, GPU_HOST, slow, sizeof slow))
			log_event(LOG_WARN,
				  "GPUs cannot reach each other: sums between them go through host memory, slowly",
				  " pairs_of_ranks=\"%s\"", slow);
	}
	free(own);
	free(link);
}

/* Devices are compared by id, since each rank may see devices of its own under the same numbers. */
void device_cuda_count_sharers(struct rank *self)
{
	struct world *w = self->world;
	struct cuda_device *all = xalloc((size_t)w->size, sizeof *all);

	world_gather(w, &cuda.gpu, sizeof cuda.gpu, all);
	world_bcast(w, all, (size_t)w->size * sizeof *all);
	self->device.sharing = self->device.most_on_gpu = 0;
	for (int r = 0; r < w->size; r++) {
		self->device.sharing += together(w, r, w->rank) && !memcmp(all[r].id, cuda.gpu.id, sizeof cuda.gpu.id);
		self->device.most_on_gpu = max_int(self->device.most_on_gpu, on_gpu(w, all, r));
	}
	self->device.on_gpu = on_gpu(w, all, w->rank);
	say_links(self, all);
	free(all);
}

static enum dtype cuda_compute(enum dtype stored)
{
	return stored == DT_F16 ? DT_F16 : DT_BF16;
}

/* Sums between GPUs are of 16 bits where those cannot overflow: what f32 sums of an f16 model reach may be more than
 * f16 holds. */
static enum dtype sum_type(const struct rank *self)
{
	bool by_nccl = self->world->size > 1 && self->device.most_on_gpu == 1;

	return by_nccl && self->compute == DT_BF16 && !self->opt->deterministic ? DT_BF16 : DT_F32;
}

static void cuda_numerics(const struct rank *self, char *out, size_t size)
{
	const char *fixed = self->loras.slots ? "-fixed-lora" : "-fixed"; /* gate and up are rounded for adapters */
	const char *sums = self->opt->deterministic ? fixed : sum_type(self) == DT_F32 ? "" : "-sum16";

	if (cuda.gpu.major)
		snprintf(out, size, "cuda-sm%d%d%s", cuda.gpu.major, cuda.gpu.minor, sums);
	else
		snprintf(out, size, "cuda%s", sums);
}

static int cuda_backend(struct rank *self, bool dry, struct why *why)
{
	struct shard_shape shape = model_shard_shape(&self->cfg);
	struct shard s = shard_make(&shape, self->world->rank, self->world->size);
	struct cuda_options how = {.compute = self->compute,
				   .sum = sum_type(self),
				   .limits = self->limits,
				   .max_context = self->max_model_len,
				   .heads = s.heads.count,
				   .kv_heads = s.kv_heads.count,
				   .head_dim = self->cfg.head_dim,
				   .window = self->cfg.window < self->max_model_len ? self->cfg.window : 0,
				   .ranks = self->world->size,
				   .loras = self->loras.slots,
				   .device = cuda.number,
				   .fixed = self->opt->deterministic,
				   .graphs = self->opt->graphs &&
					     self->device.on_gpu == 1, /* else sums wait on the host */
				   .wgmma = self->opt->wgmma,
				   .overlap = self->opt->overlap,
				   .tune = self->opt->tuning,
				   .dry = dry,
				   .wait_ns = self->opt->watchdog_timeout_s * (int64_t)NS_PER_S,
				   .idle = dry ? NULL : board_idle,
				   .idle_arg = self->world->board};

	how.limits.max_blocks = how.limits.max_seqs * div_up(self->max_model_len, (int)self->opt->block_size);
	if (!dry)
		wait_policy(self->cores->alone ? SPIN_NS : 0);
	return cuda.plugin->backend_create(&self->backend, &how, why);
}

static int cuda_comm(struct rank *self, const struct comm_limits *lim, struct why *why)
{
	int most = self->device.most_on_gpu;

	if (most > 1 && self->world->rank == 0)
		log_event(LOG_WARN, "ranks share a GPU: sums go through the host, slowly", " ranks=%d", most);
	return cuda.plugin->comm_create(&self->comm, self->backend, self->world, lim, most > 1, why);
}

static uint64_t cuda_comm_bytes(const struct rank *self, const struct comm_limits *limits)
{
	return cuda.plugin->comm_bytes(self->world->size, limits, self->opt->deterministic);
}

static int cuda_free(const struct rank *self, uint64_t *bytes, struct why *why)
{
	struct cuda_device now;
	int err = cuda.plugin->describe(cuda.number, &now, why);

	(void)self;
	if (!err)
		*bytes = now.free;
	return err;
}

static uint64_t cuda_room(const struct rank *self, uint64_t held, int percent)
{
	struct cuda_device now = cuda.gpu;
	struct why why;
	uint64_t may = cuda.gpu.total / 100 * (uint64_t)percent, used = held;

	if (!(self->opt->dry_run && self->opt->device_memory)) {
		if (cuda.plugin->describe(cuda.number, &now, &why))
			die("%s", why.text);
		if (!self->opt->dry_run)
			used = now.total - now.free /* by any process */ + self->backend->graphs;
	}
	return may > used ? (may - used) / (uint64_t)self->device.sharing : 0;
}

static const struct device_ops cuda_ops = {.name = "cuda",
					   .own_memory = true,
					   .forms = FORMS,
					   .context_bytes = CONTEXT_BYTES,
					   .step_tokens = STEP_TOKENS_CUDA,
					   .step_seqs = STEP_SEQS_CUDA,
					   .compute = cuda_compute,
					   .numerics = cuda_numerics,
					   .backend = cuda_backend,
					   .comm = cuda_comm,
					   .comm_bytes = cuda_comm_bytes,
					   .free = cuda_free,
					   .room = cuda_room};

/* A plan needs the plug-in, which counts kernels and workspace, but neither driver nor GPU. */
static int open_plugin(const struct rank *self, struct why *why)
{
	struct why inner;
	int err = plugin_open(&cuda.plugin, &inner);

	if (!err)
		return 0;
	if (!self->opt->dry_run)
		return fail(why, err, "%s", inner.text);
	return fail(why, err,
		    "%.300s; a plan for GPUs needs no GPU but the plug-in, which CMake builds where it finds NVIDIA's "
		    "toolkit; --device cpu plans for the CPU",
		    inner.text);
}

int device_cuda_use(struct rank *self, struct why *why)
{
	const char *reason = unfit(self), *heads = cuda_lacks_heads(self->cfg.head_dim, self->opt->deterministic);
	int err;

	if (heads)
		return fail(why, ERR_UNSUPPORTED, "the model's head size, %d, is not supported yet on CUDA%s",
			    self->cfg.head_dim, heads);
	if (reason)
		return fail(why, ERR_UNSUPPORTED, "%s", reason);
	self->device = (struct device){.ops = &cuda_ops};
	err = open_plugin(self, why);
	if (!err)
		err = check_network(self, why);
	if (!err)
		err = place(self, why);
	if (!err)
		err = check_fp8(self, why);
	self->device.memory = cuda.gpu.total;
	snprintf(self->device.name, sizeof self->device.name, "%s", cuda.gpu.name);
	return err;
}
