#include "daemon/rank/model.h"

#include <stdlib.h>

#include "engine/backend/lora.h"
#include "engine/models/lora.h"

/* What sums and gathers need, low-rank numbers of adapters included. */
static struct comm_limits comm_limits(const struct rank *self)
{
	struct comm_limits lim = model_comm_limits(&self->cfg, &self->limits, self->world->size);

	lim.max_cols = max_int(lim.max_cols, (int)round_up((size_t)self->loras.rank, LORA_LANES));
	return lim;
}

static void fill_options(const struct rank *self, bool dry, struct adapter **merge, struct model_options *how)
{
	const struct rank_loras *l = &self->loras;

	*how = (struct model_options){.limits = self->limits,
				      .max_context = self->max_model_len,
				      .rank = self->world->rank,
				      .size = self->world->size,
				      .dummy_seed = (uint64_t)self->opt->dummy_seed,
				      .pack_cache = self->opt->pack_cache,
				      .quant = self->quant,
				      .quant_head = self->quant_head,
				      .as_files = self->as_files,
				      .head_as_files = self->head_as_files,
				      .forms = self->device.ops->forms,
				      .loras = l->slots,
				      .lora_rank = l->rank,
				      .merge = merge,
				      .n_merge = l->merge ? l->n : 0,
				      .debug_nan = self->opt->debug_nan,
				      .dry = dry};
	for (int i = 0; i < how->n_merge; i++)
		merge[i] = l->at[i].adapter;
}

static int load_model(struct rank *self, struct load_progress *progress, bool dry, struct why *why)
{
	struct comm_limits lim = comm_limits(self);
	struct adapter **merge = xalloc((size_t)self->loras.n + 1, sizeof *merge);
	struct model_options how;
	int err = dry ? 0 : self->device.ops->comm(self, &lim, why);

	fill_options(self, dry, merge, &how);
	if (!err)
		err = model_create(&self->model, &self->cfg, self->files, self->backend, self->comm, &how, progress,
				   why);
	free(merge);
	return err;
}

/* With --hash-rows logits are sampled on the host, where a test reads them. */
static void make_sample(struct rank *self, bool dry)
{
	if (self->world->rank == 0)
		self->sample = sample_phase_create(self->backend, self->limits.rows, self->cfg.vocab,
						   self->opt->device_sample && !self->opt->hash_rows, dry);
}

int rank_load_model(struct rank *self, struct load_progress *progress, struct why *why)
{
	int err = load_model(self, progress, false, why);

	if (!err)
		make_sample(self, false);
	return err;
}

static int plan_model(struct rank *plan, struct kv_shape *kv, struct why *why)
{
	int err = plan->device.ops->backend(plan, true, why);

	if (!err)
		err = load_model(plan, NULL, true, why);
	if (err)
		return err;
	make_sample(plan, true);
	*kv = model_kv_shape(plan->model, (int)plan->opt->block_size, plan->kv_type);
	return backend_kv_check(plan->backend, kv, why);
}

int rank_need(const struct rank *self, struct rank_need *need, struct why *why)
{
	struct comm_limits lim = comm_limits(self);
	struct rank plan = *self;
	struct kv_shape kv;
	int err = plan_model(&plan, &kv, why);

	*need = (struct rank_need){0};
	if (!err) {
		need->weights = model_weight_bytes(plan.model);
		need->loras = model_lora_bytes(plan.model);
		need->work = plan.backend->held - need->weights - need->loras;
		need->graphs = plan.backend->graphs;
		need->comm = self->device.ops->comm_bytes(self, &lim);
		need->block = (uint64_t)backend_kv_bytes(plan.backend, &kv) * (uint64_t)self->cfg.layers;
	}
	sample_phase_destroy(plan.sample);
	model_destroy(plan.model);
	backend_destroy(plan.backend);
	return err;
}
