/* forward.c - runs a family's pass for one step, then the last norm and the head for the rows that need logits. */
#include "engine/models/lora_inside.h"
#include "engine/models/model.h"
#include "engine/models/nan.h"
#include "engine/models/pass.h"

struct pass {
	struct model *m;
	struct kv *kv;
	const struct step *s;
};

static void run_pass(void *arg)
{
	struct pass *p = arg;

	p->m->family->pass(p->m, p->kv, p->s);
}

void model_forward(struct model *m, struct kv *kv, const struct step *step)
{
	int named = step_named(step);
	struct pass p = {m, kv, backend_step(m->b, step)};

	lora_begin(m, step, p.s);
	REQUIRE(!named || m->b->sampled);
	if (named)
		comm_bcast(m->comm, m->b->sampled, named);
	if (!m->how.debug_nan) {
		backend_run(m->b, (uint64_t)(uintptr_t)m, run_pass, &p);
		return;
	}
	nan_begin(m->nan, step); /* a graph cannot hold the downloads between layers */
	run_pass(&p);
	nan_end(m->nan);
}

void model_logits(struct model *m, int first, int count, float *rows)
{
	size_t at = (size_t)first * (size_t)m->cfg.hidden;
	struct tensor x = f32(m->work.x_rows + at, count, m->cfg.hidden), h = act(m, count, m->cfg.hidden);
	const char *delta = (const char *)m->work.delta_rows + at * dtype_size(m->b->sum);
	struct delta before = sum_delta(m, delta, m->layer[m->cfg.layers - 1].down_bias);
	struct norm norm = norm_of(m, m->norm_out, m->norm_out_bias);
	float *mine;

	REQUIRE(count <= m->how.limits.rows);
	mine = comm_columns(m->comm, count, m->shard.vocab.count);
	backend_add_norm(m->b, &h, &x, before, &norm);
	if (m->head)
		backend_linear(m->b, mine, &h, m->head, m->head_bias);
	comm_gather(m->comm, rows, count, m->cols_of_rank);
}

void model_rows(struct model *m, int first, int count, float *rows)
{
	model_logits(m, first, count, rows);
	backend_sync(m->b);
}
