#include "daemon/rank/cross.h"

#include <stdio.h>

/* Partials that a node sends for each of a layer's two sums and for the embedding's. */
static uint64_t host_bytes(const struct rank *self, const struct shard *s, int node)
{
	const struct world *w = self->world;
	struct part part[SHARD_MAX_LEAVES];
	int layer = nodes_parts(&w->nodes, w->size, node, s->o.n_leaves, part) +
		    nodes_parts(&w->nodes, w->size, node, s->down.n_leaves, part);
	int embedding = nodes_parts(&w->nodes, w->size, node, s->vocab_sum.n_leaves, part);

	return (uint64_t)(self->cfg.layers * layer + embedding) * (uint64_t)self->cfg.hidden * sizeof(float) *
	       (uint64_t)(w->nodes.n - 1);
}

uint64_t cross_token_bytes(const struct rank *self)
{
	struct shard_shape shape = model_shard_shape(&self->cfg);
	struct shard s = shard_make(&shape, 0, self->world->size);
	uint64_t most = 0;

	if (self->world->nodes.n < 2)
		return 0;
	if (self->device.ops->own_memory)
		return 2 * (uint64_t)(2 * self->cfg.layers + 1) * (uint64_t)self->cfg.hidden *
		       (self->opt->deterministic ? sizeof(float) : dtype_size(self->compute));
	for (int i = 0; i < self->world->nodes.n; i++) {
		uint64_t bytes = host_bytes(self, &s, i);

		most = bytes > most ? bytes : most;
	}
	return most;
}

/* Microseconds that so many bytes take at so many Gbit/s. */
static double micros(uint64_t bytes, double gbit)
{
	return (double)bytes * 8 / gbit / 1e3;
}

void cross_print(const struct rank *self)
{
	uint64_t bytes = cross_token_bytes(self);

	printf("network:  a node sends %.2f MiB for each token, about %.0f us at 10 Gbit/s and %.0f us at 100 Gbit/s beside %d "
	       "round trips a step (an estimate)\n",
	       (double)bytes / (1 << 20), micros(bytes, 10), micros(bytes, 100), 2 * self->cfg.layers + 2);
}

void cross_warn(const struct rank *self)
{
	uint64_t bytes = cross_token_bytes(self);

	if (self->world->nodes.n > 1 && self->world->rank == 0)
		log_event(LOG_WARN, "every sum of a layer crosses nodes",
			  " nodes=%d bytes_per_token=%ju us_at_10_gbit=%.0f us_at_100_gbit=%.0f", self->world->nodes.n,
			  (uintmax_t)bytes, micros(bytes, 10), micros(bytes, 100));
}
