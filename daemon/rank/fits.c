#include "daemon/rank/fits.h"

#include <limits.h>

#include "daemon/rank/device.h"
#include "daemon/link.h"
#include "daemon/rank/memory.h"
#include "daemon/rank/serve.h"

static int blocks_of(const struct node *n, int tokens)
{
	return div_up(tokens, (int)n->opt->block_size);
}

uint64_t fits_tables(const struct node *n, int rank, int length)
{
	struct sched_limits lim = serve_limits(n);
	uint64_t step;

	lim.max_model_len = length;
	lim.step.max_blocks = (int)((int64_t)lim.step.max_seqs * blocks_of(n, length) < INT_MAX
					    ? lim.step.max_seqs * blocks_of(n, length)
					    : INT_MAX);
	step = step_bytes_max(&lim.step);
	if (rank)
		return step;
	return sched_bytes(&lim, (int)n->opt->block_size) + 3 * step + link_bytes(lim.step.max_seqs) +
	       (uint64_t)lim.step.max_tokens * sizeof(struct sampled);
}

uint64_t fits_sampler(const struct node *n)
{
	return (uint64_t)n->limits.rows * (uint64_t)n->cfg.vocab * sizeof(float) + 32 * (uint64_t)n->cfg.vocab;
}

/* What is there for the cache and, on the host, for rank 0's tables. */
static uint64_t budget_of(const struct node *n, int rank, uint64_t held, int local_size, int length)
{
	uint64_t share = memory_limit() / 10 * 8 / (uint64_t)local_size;

	if (n->cuda)
		return device_room(n, held, (int)n->opt->gpu_percent);
	held += fits_tables(n, rank, length);
	return share > held ? share - held : 0;
}

int64_t fits_blocks(const struct node *n, int rank, uint64_t held, uint64_t block, int local_size, int length)
{
	uint64_t budget = n->opt->kv_bytes ? (uint64_t)n->opt->kv_bytes : budget_of(n, rank, held, local_size, length);
	int64_t fit;

	block += n->cuda || rank || n->opt->kv_bytes ? 0 : blocks_bytes((int)n->opt->block_size);
	fit = (int64_t)(budget / (block ? block : 1));
	if (!n->opt->kv_bytes && !n->cuda && fit > 8 * (int64_t)blocks_of(n, length))
		fit = 8 *
		      (int64_t)blocks_of(n, length); /* asked for by bytes only are there more than 8 full sequences */
	return fit < INT_MAX / 2 ? fit : INT_MAX / 2;
}

/* The tables grow with the length as the room for the cache shrinks: the longest is found by halving. */
int64_t fits_longest(const struct node *n, int rank, uint64_t held, uint64_t block, int local_size)
{
	int size = (int)n->opt->block_size;
	int64_t low = 0, high = blocks_of(n, n->max_model_len);

	while (low < high) {
		int64_t mid = low + (high - low + 1) / 2;
		int length = min_int((int)mid * size, n->max_model_len);

		if (fits_blocks(n, rank, held, block, local_size, length) >= mid)
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

static int no_room(const struct node *n, uint64_t block, int64_t longest, struct why *why)
{
	int size = (int)n->opt->block_size;

	if (longest > 0)
		return fail(
			why, ERR_LIMIT,
			"the KV cache holds %lld tokens, less than one sequence of --max-model-len %d; largest that fits: --max-model-len %lld",
			(long long)(longest * size), n->max_model_len, (long long)(longest * size));
	return fail(why, ERR_LIMIT,
		    "%s no room for a block of the KV cache, %.3f GiB a rank; --dry-run prints what is held",
		    n->opt->kv_bytes ? "--kv-cache-memory-bytes leaves" : "weights and workspace leave", gib(block));
}

/* A cache beyond the machine's memory would end in the kernel's killing somebody while it is touched. The same on all
 * ranks. */
static int check_asked(const struct node *n, uint64_t held, struct why *why)
{
	int64_t share = (int64_t)(n->cuda ? n->gpu.total / (uint64_t)n->sharing
					  : memory_limit() / (uint64_t)n->world->local_size),
		room;

	if (!n->opt->kv_bytes)
		return 0;
	room = n->cuda ? (int64_t)device_room(n, 0, 100)
		       : share - (int64_t)(held + fits_tables(n, n->world->rank, n->max_model_len));
	room = world_min(n->world, room);
	if (n->opt->kv_bytes <= room)
		return 0;
	return fail(
		why, ERR_LIMIT,
		"--kv-cache-memory-bytes: %.3f GiB are asked for; a rank has %.3f GiB of memory, and %.3f GiB beside its weights%s",
		gib((uint64_t)n->opt->kv_bytes), gib((uint64_t)share), gib((uint64_t)(room > 0 ? room : 0)),
		n->cuda ? ", workspace and graphs" : " and workspace");
}

int fits_cache(struct node *n, uint64_t held, uint64_t block, struct why *why)
{
	int local = n->world->local_size, rank = n->world->rank;
	int64_t longest = world_min(n->world, fits_longest(n, rank, held, block, local)),
		one = blocks_of(n, n->max_model_len);
	int err = check_asked(n, held, why);

	if (err)
		return err;
	if (longest < one && (n->opt->max_model_len || !longest))
		return no_room(n, block, longest, why);
	if (longest < one) {
		n->max_model_len = (int)longest * (int)n->opt->block_size;
		log_event(LOG_WARN, "--max-model-len is set to what the KV cache holds", " max_model_len=%d",
			  n->max_model_len);
	}
	n->n_blocks = (int)world_min(n->world, fits_blocks(n, rank, held, block, local, n->max_model_len));
	return 0;
}

int fits_cpu(const struct node *n, struct why *why)
{
	struct node plan = *n;
	struct comm_limits lim = model_comm_limits(&n->cfg, &n->limits, n->world->size);
	struct kv_shape shape;
	uint64_t held = 0, block = 1;
	int64_t longest, all, memory;
	int err;

	if (n->opt->pack_cache)
		return 0; /* its weights are pages of a file, which may go */
	err = node_make_model(&plan, NULL, true, why);

	if (!err) {
		shape = model_kv_shape(plan.model, (int)n->opt->block_size, n->kv_type);
		err = backend_kv_check(plan.backend, &shape, why);
	}
	if (!err) {
		block = (uint64_t)backend_kv_bytes(plan.backend, &shape) * (uint64_t)n->cfg.layers;
		held = plan.backend->held + (n->world->rank ? 0 : fits_sampler(n)) +
		       (n->world->size > 1 ? comm_host_bytes(n->world->size, &lim) : 0);
	}
	sample_phase_destroy(plan.sample);
	model_destroy(plan.model);
	backend_destroy(plan.backend);
	longest = world_min(n->world, err ? 0 : fits_longest(n, n->world->rank, held, block, n->world->local_size));
	all = world_sum(n->world, (int64_t)(held + fits_tables(n, n->world->rank, (int)n->opt->block_size)));
	memory = world_min(n->world, (int64_t)memory_limit());
	if (world_min(n->world, err) < 0)
		return err; /* what follows is collective, too */
	if (all > memory)
		return fail(
			why, ERR_LIMIT,
			"weights and workspace take %.2f GiB before any KV cache, of %.2f GiB (RAM or the control group's limit): "
			"give more memory, or --quantization; --dry-run prints what is held",
			gib((uint64_t)all), gib((uint64_t)memory));
	err = check_asked(n, held, why);
	if (err)
		return err;
	if (longest > 0 && (longest >= blocks_of(n, n->max_model_len) || !n->opt->max_model_len))
		return 0;
	return no_room(n, block, longest, why);
}
