#include "daemon/rank/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/agree.h"
#include "parallel/board.h"
#include "base/wait.h"
#include "daemon/rank/memory.h"

/* Why the kernels do not cover what was asked for; NULL: they do. */
static const char *unfit(const struct node *n)
{
	if (n->opt->compute == COMPUTE_F32)
		return "--compute f32 is not supported yet on CUDA";
	if (n->opt->quantization == QUANTISE_INT4 || n->opt->quantization_head == QUANTISE_INT4)
		return "int4 weights are not supported yet on CUDA: int8 are";
	if (n->cfg.head_dim != 64 && n->cfg.head_dim != 128)
		return "the model's head size is not supported yet on CUDA (64 and 128 are)";
	return NULL;
}

/* Ranks of a node take the devices that they see in turn. */
static int place(struct node *n, struct why *why)
{
	struct world *w = n->world;
	int devices = 0, err;

	if (n->opt->dry_run && n->opt->device_memory) {
		n->sharing = 1;
		n->gpu = (struct cuda_device){.total = (uint64_t)n->opt->device_memory};
		snprintf(n->gpu.name, sizeof n->gpu.name, "CUDA device");
		return 0;
	}
	err = n->cuda->count(&devices, why);
	if (err)
		return err;
	n->device = w->local_rank % devices;
	n->sharing = div_up(w->local_size, devices);
	return n->cuda->describe(n->device, &n->gpu, why);
}

static int try_cuda(struct node *n, struct why *why)
{
	const char *reason = unfit(n);
	int err;

	if (reason)
		return fail(why, ERR_UNSUPPORTED, "%s", reason);
	err = plugin_open(&n->cuda, why);
	return err ? err : place(n, why);
}

static int fits_cpu(const struct node *n, struct why *why)
{
	if (n->opt->kv_dtype == KV_FP8)
		return fail(
			why, ERR_UNSUPPORTED,
			"--kv-cache-dtype fp8 is for CUDA; on the CPU --kv-cache-dtype int8 takes as little memory");
	return 0;
}

/* Ranks that have this one's device: each may see devices of its own, all under the same numbers. */
static void count_sharers(struct node *n)
{
	struct world *w = n->world;
	struct cuda_device *all = xalloc((size_t)w->size, sizeof *all);

	world_gather(w, &n->gpu, sizeof n->gpu, all);
	world_bcast(w, all, (size_t)w->size * sizeof *all);
	n->sharing = 0;
	for (int r = 0; r < w->size; r++)
		n->sharing += !memcmp(all[r].id, n->gpu.id, sizeof n->gpu.id);
	free(all);
}

/* The same on all ranks, but for a plan, which has no others. */
int device_choose(struct node *n, struct why *why)
{
	bool plan = n->opt->dry_run, asked = n->opt->device == DEVICE_CUDA || n->opt->device_memory;
	struct why reason = {"no NVIDIA driver is installed"};
	int err = ERR_UNKNOWN;

	n->cuda = NULL;
	if (n->opt->device == DEVICE_CPU)
		return fits_cpu(n, why);
	if (asked || plugin_worth_trying())
		err = try_cuda(n, &reason);
	if (!plan)
		err = world_agree(n->world, err, &reason);
	if (!err && !plan)
		count_sharers(n);
	if (!err)
		return 0;
	n->cuda = NULL;
	if (asked)
		return fail(why, err, "%s", reason.text);
	if (n->world->rank == 0 && !plan)
		log_at(LOG_INFO, "computing on the CPU: %s", reason.text);
	return fits_cpu(n, why);
}

const char *device_name(const struct node *n)
{
	return n->cuda ? n->gpu.name : cpu_isa_name(n->isa);
}

void device_class(const struct node *n, char *out, size_t size)
{
	if (!n->cuda)
		snprintf(out, size, "cpu");
	else if (n->gpu.major)
		snprintf(out, size, "cuda-sm%d%d%s", n->gpu.major, n->gpu.minor, n->opt->deterministic ? "-fixed" : "");
	else
		snprintf(out, size, "cuda%s", n->opt->deterministic ? "-fixed" : "");
}

int device_backend(struct node *n, bool dry, struct why *why)
{
	struct shard_shape shape = model_shard_shape(&n->cfg);
	struct shard s = shard_make(&shape, n->world->rank, n->world->size);
	struct cuda_options how = {.compute = n->compute,
				   .limits = n->limits,
				   .max_context = n->max_model_len,
				   .heads = s.heads.count,
				   .kv_heads = s.kv_heads.count,
				   .head_dim = n->cfg.head_dim,
				   .ranks = n->world->size,
				   .device = n->device,
				   .fixed = n->opt->deterministic,
				   .graphs = n->opt->graphs && n->sharing == 1, /* else sums wait on the host */
				   .wgmma = n->opt->wgmma,
				   .overlap = n->opt->overlap,
				   .tune = n->opt->tuning,
				   .dry = dry,
				   .wait_ns = n->opt->watchdog_timeout_s * 1000000000,
				   .idle = dry ? NULL : board_idle,
				   .idle_arg = n->world->board};

	how.limits.max_blocks = how.limits.max_seqs * div_up(n->max_model_len, (int)n->opt->block_size);
	if (!dry)
		wait_policy(n->cores->alone ? 30000 : 0);
	return n->cuda->backend_create(&n->backend, &how, why);
}

int device_comm(struct node *n, const struct comm_limits *lim, struct why *why)
{
	int most = -(int)world_min(n->world, -n->sharing);

	if (most > 1 && n->world->rank == 0)
		log_event(LOG_WARN, "ranks share a GPU: sums go through the host, slowly", " ranks=%d", most);
	return n->cuda->comm_create(&n->comm, n->backend, n->world, lim, most > 1, why);
}

int device_fits(const struct node *n, struct why *why)
{
	struct comm_limits lim = model_comm_limits(&n->cfg, &n->limits, n->world->size);
	struct node plan = *n;
	struct cuda_device now;
	uint64_t need;
	int err = n->cuda->describe(n->device, &now, why);

	if (!err)
		err = node_make_model(&plan, NULL, true, why);
	if (!err) {
		need = (plan.backend->held + plan.backend->graphs +
			n->cuda->comm_bytes(n->world->size, &lim, n->opt->deterministic)) *
		       (uint64_t)n->sharing;
		if (need > now.free)
			err = fail(
				why, ERR_LIMIT,
				"rank %d needs %.2f GiB of %s before any KV cache, %.2f GiB are free: take more ranks, or see "
				"--dry-run --device cuda",
				n->world->rank, (double)need / (1 << 30), now.name, (double)now.free / (1 << 30));
	}
	sample_phase_destroy(plan.sample);
	model_destroy(plan.model);
	backend_destroy(plan.backend);
	return err;
}

uint64_t device_room(const struct node *n, uint64_t held, int percent)
{
	struct cuda_device now = n->gpu;
	struct why why;
	uint64_t may = n->gpu.total / 100 * (uint64_t)percent, used = held;

	if (!(n->opt->dry_run && n->opt->device_memory)) {
		if (n->cuda->describe(n->device, &now, &why))
			die("%s", why.text);
		if (!n->opt->dry_run)
			used = now.total - now.free /* by whomever */ + n->backend->graphs;
	}
	return may > used ? (may - used) / (uint64_t)n->sharing : 0;
}
