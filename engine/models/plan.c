/* plan.c - lets the backend plan for what a pass enqueues: it runs the pass on operations that only count. */
#include "engine/models/inside.h"
#include "engine/models/lora_inside.h"
#include "engine/models/plan.h"

#include <limits.h>
#include <stdlib.h>

struct plan {
	struct comm comm; /* what the pass sums with */
	struct model *m;
	struct kv kv;
	int sums;
};

static void *parts(struct comm *c, const struct split *k, int rows, int cols)
{
	(void)c, (void)k, (void)rows, (void)cols;
	return NULL;
}

static void sum(struct comm *c, void *out, enum dtype type, const struct split *k, int rows, int cols)
{
	(void)out, (void)type, (void)k, (void)rows, (void)cols;
	((struct plan *)c)->sums++;
}

static const struct comm_ops counting = {.name = "counting", .parts = parts, .sum = sum};

static int count_pass(void *arg, const struct step *s)
{
	struct plan *p = arg;
	struct model *m = p->m;
	struct comm *own = m->comm;

	p->sums = 0;
	lora_plan(m, s->adapter != NULL);
	m->comm = &p->comm;
	m->family->pass(m, &p->kv, s);
	m->comm = own;
	return p->sums;
}

void plan_pass(struct model *m)
{
	struct plan p = {.m = m,
			 .comm = {.ops = &counting,
				  .rank = m->shard.rank,
				  .size = m->shard.size,
				  .limits = {.max_rows = INT_MAX, .max_cols = INT_MAX, .max_parts = SHARD_MAX_PARTS}},
			 .kv = {.shape = {.kv_heads = m->shard.kv_heads.count,
					  .head_dim = m->cfg.head_dim,
					  .block_size = 1,
					  .type = m->b->act}}};

	p.kv.pool = xalloc((size_t)m->cfg.layers, sizeof *p.kv.pool);
	backend_plan(m->b, count_pass, &p);
	free(p.kv.pool);
}
