#include "daemon/rank/fits.h"

#include <limits.h>

#include "daemon/link.h"
#include "daemon/rank/memory.h"
#include "daemon/rank/model.h"
#include "engine/models/settle.h"
#include "engine/sched/sched.h"

static int blocks_of(const struct rank *self, int tokens)
{
	return div_up(tokens, (int)self->opt->block_size);
}

uint64_t fits_tables(const struct rank *self, int rank, int length)
{
	struct sched_limits lim = rank_sched_limits(self);
	uint64_t step;

	lim.max_model_len = length;
	lim.step.max_blocks = (int)((int64_t)lim.step.max_seqs * blocks_of(self, length) < INT_MAX
					    ? lim.step.max_seqs * blocks_of(self, length)
					    : INT_MAX);
	step = step_bytes_max(&lim.step);
	if (rank)
		return step;
	return sched_bytes(&lim, (int)self->opt->block_size) + 3 * step + link_bytes(lim.step.max_seqs) +
	       (uint64_t)lim.step.max_tokens * sizeof(struct sampled);
}

uint64_t fits_sampler(const struct rank *self)
{
	return (uint64_t)self->limits.rows * (uint64_t)self->cfg.vocab * sizeof(float) +
	       32 * (uint64_t)self->cfg.vocab + self->answers;
}

/* Bytes available for the KV cache and, on the host, for rank 0's tables. */
static uint64_t budget_of(const struct rank *self, int rank, uint64_t held, int local_size, int length)
{
	uint64_t share = memory_limit() / 10 * 8 / (uint64_t)local_size;

	if (self->device.ops->own_memory)
		return self->device.ops->room(self, held, (int)self->opt->gpu_percent);
	held += fits_tables(self, rank, length);
	return share > held ? share - held : 0;
}

/* The most blocks of the host's default cache: 8 full sequences, but no more bytes than this rank reads of weights, so
 * that touching them takes no longer than reading. One full sequence, and SMALL over all ranks, are always allowed. */
static int64_t default_blocks(const struct rank *self, uint64_t block, int length)
{
	enum { SMALL = 16 << 20, SEQUENCES = 8 };
	uint64_t read = model_parameters(&self->cfg) * dtype_size(model_stored_type(&self->cfg, self->files));
	int64_t one = blocks_of(self, length), quick;

	quick = (int64_t)((read > SMALL ? read : SMALL) / (uint64_t)self->world->size / (block ? block : 1));
	return quick < one ? one : quick < SEQUENCES * one ? quick : SEQUENCES * one;
}

int64_t fits_blocks(const struct rank *self, int rank, uint64_t held, uint64_t block, int local_size, int length)
{
	uint64_t budget =
		self->opt->kv_bytes ? (uint64_t)self->opt->kv_bytes : budget_of(self, rank, held, local_size, length);
	int64_t fit, most = INT_MAX / 2;

	if (!self->opt->kv_bytes && !self->device.ops->own_memory)
		most = default_blocks(self, block, length);
	block += self->device.ops->own_memory || rank || self->opt->kv_bytes ? 0
									     : blocks_bytes((int)self->opt->block_size);
	fit = (int64_t)(budget / (block ? block : 1));
	return fit < most ? fit : most;
}

/* Tables grow with the length while room for the KV cache shrinks, so the longest length is found by bisection. */
int64_t fits_longest(const struct rank *self, int rank, uint64_t held, uint64_t block, int local_size)
{
	int size = (int)self->opt->block_size;
	int64_t low = 0, high = blocks_of(self, self->max_model_len);

	while (low < high) {
		int64_t mid = low + (high - low + 1) / 2;
		int length = min_int((int)mid * size, self->max_model_len);

		if (fits_blocks(self, rank, held, block, local_size, length) >= mid)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static double gib(uint64_t bytes)
{
	return (double)bytes / (1 << 30);
}

static int no_room(const struct rank *self, uint64_t block, int64_t longest, struct why *why)
{
	int size = (int)self->opt->block_size;

	if (longest > 0)
		return fail(
			why, ERR_LIMIT,
			"the KV cache holds %lld tokens, less than one sequence of --max-model-len %d; largest that fits: --max-model-len %lld",
			(long long)(longest * size), self->max_model_len, (long long)(longest * size));
	return fail(why, ERR_LIMIT,
		    "%s no room for a block of the KV cache, %.3f GiB a rank; --dry-run prints what is held",
		    self->opt->kv_bytes ? "--kv-cache-memory-bytes leaves" : "weights and workspace leave", gib(block));
}

/* Refuses a KV cache larger than memory: the OOM killer would strike while pages are first touched. All ranks agree. */
static int check_asked(const struct rank *self, uint64_t held, struct why *why)
{
	int64_t share = (int64_t)(self->device.ops->own_memory ? self->device.memory / (uint64_t)self->device.sharing
							       : memory_limit() / (uint64_t)self->world->local_size),
		room;

	if (!self->opt->kv_bytes)
		return 0;
	room = self->device.ops->own_memory
		       ? (int64_t)self->device.ops->room(self, 0, 100)
		       : share - (int64_t)(held + fits_tables(self, self->world->rank, self->max_model_len));
	room = world_min(self->world, room);
	if (self->opt->kv_bytes <= room)
		return 0;
	return fail(
		why, ERR_LIMIT,
		"--kv-cache-memory-bytes: %.3f GiB are asked for; a rank has %.3f GiB of memory, and %.3f GiB beside its weights%s",
		gib((uint64_t)self->opt->kv_bytes), gib((uint64_t)share), gib((uint64_t)(room > 0 ? room : 0)),
		self->device.ops->own_memory ? ", workspace and graphs" : " and workspace");
}

int fits_cache(struct rank *self, uint64_t held, uint64_t block, struct why *why)
{
	int local = self->world->local_size, rank = self->world->rank;
	int64_t longest = world_min(self->world, fits_longest(self, rank, held, block, local)),
		one = blocks_of(self, self->max_model_len);
	int err = check_asked(self, held, why);

	if (err)
		return err;
	if (longest < one && (self->opt->max_model_len || !longest))
		return no_room(self, block, longest, why);
	if (longest < one) {
		self->max_model_len = (int)longest * (int)self->opt->block_size;
		log_event(LOG_WARN, "--max-model-len is set to what the KV cache holds", " max_model_len=%d",
			  self->max_model_len);
	}
	self->n_blocks = (int)world_min(self->world, fits_blocks(self, rank, held, block, local, self->max_model_len));
	return 0;
}

/* The device's memory must hold what comes before the KV cache. */
static int fits_device(const struct rank *self, struct why *why)
{
	struct rank_need need;
	uint64_t free, all;
	int err = self->device.ops->free(self, &free, why);

	if (!err)
		err = rank_need(self, &need, why);
	if (err)
		return err;
	all = (need.weights + need.loras + need.work + need.graphs + need.comm) * (uint64_t)self->device.sharing;
	if (all <= free)
		return 0;
	return fail(why, ERR_LIMIT,
		    "rank %d needs %.2f GiB of %s before any KV cache, %.2f GiB are free: take more ranks, or see "
		    "--dry-run --device %s",
		    self->world->rank, gib(all), self->device.name, gib(free), self->device.ops->name);
}

/* Each host's memory must hold its ranks, and one sequence. */
static int fits_host(const struct rank *self, struct why *why)
{
	struct rank_need need;
	int64_t longest, all, memory, over;
	int err = rank_need(self, &need, why), rank = self->world->rank;
	uint64_t held = need.weights + need.loras + need.work + need.comm + (err || rank ? 0 : fits_sampler(self));

	longest = world_min(self->world, err ? 0 : fits_longest(self, rank, held, need.block, self->world->local_size));
	all = node_sum(self->world, (int64_t)(held + fits_tables(self, rank, (int)self->opt->block_size)));
	memory = node_min(self->world, (int64_t)memory_limit());
	over = all > memory ? self->world->rank : self->world->size;
	over = world_min(self->world, over); /* the first rank of a node that has too little */
	if (world_min(self->world, err) < 0)
		return err; /* what follows is collective, and all ranks must take part */
	if (over < self->world->size && self->world->nodes.n > 1)
		return fail(why, ERR_LIMIT,
			    "node %s has too little memory for its ranks; --dry-run --nodes prints what is held",
			    self->world->nodes.node[self->world->nodes.of_rank[over]].name);
	if (all > memory)
		return fail(
			why, ERR_LIMIT,
			"weights and workspace take %.2f GiB before any KV cache, of %.2f GiB (RAM or the control group's limit): "
			"give more memory, or --quantization; --dry-run prints what is held",
			gib((uint64_t)all), gib((uint64_t)memory));
	err = check_asked(self, held, why);
	if (err)
		return err;
	if (longest > 0 && (longest >= blocks_of(self, self->max_model_len) || !self->opt->max_model_len))
		return 0;
	return no_room(self, need.block, longest, why);
}

int fits_start(const struct rank *self, struct why *why)
{
	if (self->device.ops->own_memory)
		return fits_device(self, why);
	return self->opt->pack_cache
		       ? 0
		       : fits_host(self, why); /* its weights are pages of a file, which the kernel may drop */
}
