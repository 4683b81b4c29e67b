#include "daemon/rank/device_cpu.h"

#include <stdio.h>

#include "base/wait.h"
#include "daemon/rank/place.h"

enum { SPIN_NS = 30000 };

static enum dtype cpu_compute(enum dtype stored)
{
	return stored == DT_BF16 ? DT_BF16 : DT_F32;
}

static void cpu_numerics(const struct rank *self, char *out, size_t size)
{
	(void)self;
	snprintf(out, size, "cpu");
}

static int cpu_backend(struct rank *self, bool dry, struct why *why)
{
	struct shard_shape shape = model_shard_shape(&self->cfg);
	struct shard s = shard_make(&shape, self->world->rank, self->world->size);
	struct cpu_options how = {
		.threads = self->threads,
		.isa = self->isa_forced ? self->isa : CPU_AUTO,
		.compute = self->compute,
		.max_tokens = self->limits.max_tokens,
		.max_context = self->max_model_len,
		.max_cols = max_int(self->cfg.hidden, max_int(self->cfg.ffn, self->cfg.heads * self->cfg.head_dim)),
		.max_heads = s.heads.count,
		.max_head_dim = self->cfg.head_dim,
		.dry = dry};

	if (dry)
		how.threads = 1;
	else {
		place_take(self->cores);
		wait_policy(self->cores->roomy && self->cores->pin == self->opt->pin ? SPIN_NS : 0);
		how.cpu = self->cores->pin ? self->cores->cpu : NULL;
	}
	return backend_cpu_create(&self->backend, &how, why);
}

static int cpu_comm(struct rank *self, const struct comm_limits *limits, struct why *why)
{
	(void)why;
	self->comm = self->world->size == 1 ? comm_self_create(limits) : comm_host_create(self->world, limits);
	return 0;
}

static uint64_t cpu_comm_bytes(const struct rank *self, const struct comm_limits *limits)
{
	return self->world->size > 1 ? comm_host_bytes(self->world, limits) : 0;
}

static const struct device_ops cpu_ops = {.name = "cpu",
					  .forms = {.codes = CPU_CODES, .order = true},
					  .step_tokens = STEP_TOKENS_CPU,
					  .step_seqs = STEP_SEQS_CPU,
					  .compute = cpu_compute,
					  .numerics = cpu_numerics,
					  .backend = cpu_backend,
					  .comm = cpu_comm,
					  .comm_bytes = cpu_comm_bytes};

int device_cpu_use(struct rank *self, struct why *why)
{
	if (self->opt->kv_dtype == KV_FP8)
		return fail(
			why, ERR_UNSUPPORTED,
			"--kv-cache-dtype fp8 is for CUDA; on the CPU --kv-cache-dtype int8 takes as little memory");
	if (self->opt->quantization == QUANTISE_FP8 || self->opt->quantization_head == QUANTISE_FP8)
		return fail(why, ERR_UNSUPPORTED,
			    "fp8 weights are for CUDA; on the CPU --quantization int8 takes as little memory");
	self->device = (struct device){.ops = &cpu_ops};
	snprintf(self->device.name, sizeof self->device.name, "%s", cpu_isa_name(self->isa));
	return 0;
}
