/* step.c - a step on its way to the device: copied to pinned memory, its attention planned, then one copy for all. */
#include "engine/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 };

static size_t lists_at(size_t step_bytes)
{
	return round_up(step_bytes, ALIGN);
}

static int max_items(const struct cuda *c)
{
	return plan_max_items(&c->how.limits, c->how.max_context, c->how.fixed, c->max_parts);
}

static int max_tiles(const struct cuda *c)
{
	return c->how.limits.max_tokens / ATTN_TILE + c->how.limits.max_seqs + 1;
}

static size_t room_of(const struct cuda *c)
{
	size_t lists = (size_t)max_items(c) * (sizeof(struct attn_item) + sizeof(struct attn_join)) +
		       (size_t)max_tiles(c) * sizeof(struct attn_tile);

	return lists_at(step_bytes_max(&c->how.limits)) + lists + 3 * ALIGN;
}

void cuda_step_create(struct cuda *c)
{
	c->room = room_of(c);
	for (int i = 0; i < STEPS; i++) {
		struct cuda_step *s = &c->steps[i];
		void *host = NULL;
		s->device = cuda_take(c, c->room);
		if (c->how.dry)
			continue;
		cuda_check(cudaMallocHost(&host, c->room), "pinned memory for steps");
		s->host = host;
		cuda_check(cudaEventCreateWithFlags(&s->copied, cudaEventDisableTiming), "an event");
	}
}

void cuda_step_destroy(struct cuda *c)
{
	for (int i = 0; i < STEPS; i++) {
		cuda_give(c, c->steps[i].device, c->room);
		if (c->how.dry)
			continue;
		cudaFreeHost(c->steps[i].host);
		cudaEventDestroy(c->steps[i].copied);
	}
}

/* Plans behind the step block; returns the bytes that go to the device. */
static size_t plan(struct cuda *c, struct cuda_step *to, const struct step *s)
{
	size_t at = lists_at((size_t)s->head->bytes), items = (size_t)max_items(c);
	struct plan_limits lim = {.processors = c->processors,
				  .runs = c->n_runs ? c->n_runs : c->how.kv_heads,
				  .max_parts = c->max_parts,
				  .fixed = c->how.fixed,
				  .max_items = (int)items};
	struct attn_plan p = {.items = (struct attn_item *)(to->host + at)};

	p.joins = (struct attn_join *)(to->host + (at = round_up(at + items * sizeof *p.items, ALIGN)));
	p.tiles = (struct attn_tile *)(to->host + (at = round_up(at + items * sizeof *p.joins, ALIGN)));
	plan_attention(&p, s, &lim);
	/* close the gaps, so that the copy is short */
	at = lists_at((size_t)s->head->bytes);
	to->items = (struct attn_item *)(to->device + at), to->n_items = p.n_items;
	at = round_up(at + (size_t)p.n_items * sizeof *p.items, ALIGN);
	memmove(to->host + at, p.joins, (size_t)p.n_joins * sizeof *p.joins);
	to->joins = (struct attn_join *)(to->device + at), to->n_joins = p.n_joins;
	at = round_up(at + (size_t)p.n_joins * sizeof *p.joins, ALIGN);
	memmove(to->host + at, p.tiles, (size_t)p.n_tiles * sizeof *p.tiles);
	to->tiles = (struct attn_tile *)(to->device + at), to->n_tiles = p.n_tiles;
	return at + (size_t)p.n_tiles * sizeof *p.tiles;
}

const struct step *cuda_step(struct backend *b, const struct step *s)
{
	struct cuda *c = cuda_of(b);
	struct cuda_step *to = &c->steps[c->turn];
	size_t bytes;

	c->turn = (c->turn + 1) % STEPS;
	cuda_wait(c, to->copied, "the copy of an earlier step");
	memcpy(to->host, s->head, (size_t)s->head->bytes);
	bytes = plan(c, to, s);
	cuda_check(cudaMemcpyAsync(to->device, to->host, bytes, cudaMemcpyHostToDevice, c->stream), "copying a step");
	cuda_check(cudaEventRecord(to->copied, c->stream), "an event");
	step_layout_at(&to->step, (const struct step_head *)to->host, to->device);
	to->step.head = (struct step_head *)to->host;
	return &to->step;
}
