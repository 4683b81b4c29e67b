/* experts_scratch.c - memory for the rows that experts read and write, sized as their weights are made. */
#include "engine/cpu/cpu.h"

static size_t reserved(const struct cpu *c)
{
	size_t tokens = (size_t)c->how.max_tokens;

	return cpu_pages_bytes(c->experts.in_row * tokens) + 2 * cpu_pages_bytes(c->experts.out_row * tokens);
}

void cpu_experts_free(struct cpu *c)
{
	size_t tokens = (size_t)c->how.max_tokens;

	cpu_pages_free(c->experts.in, c->experts.in_row * tokens);
	cpu_pages_free(c->experts.out, c->experts.out_row * tokens);
	cpu_pages_free(c->experts.acc, c->experts.out_row * tokens);
	c->base.held -= reserved(c);
}

void cpu_experts_reserve(struct cpu *c, const struct cpu_weight *w)
{
	size_t tokens = (size_t)c->how.max_tokens, in = (size_t)w->base.cols * dtype_size(c->base.act);
	size_t out = (size_t)w->n_parts * (size_t)w->base.each * sizeof(float);

	if (in <= c->experts.in_row && out <= c->experts.out_row)
		return;
	cpu_experts_free(c);
	c->experts.in_row = in > c->experts.in_row ? in : c->experts.in_row;
	c->experts.out_row = out > c->experts.out_row ? out : c->experts.out_row;
	c->experts.in = cpu_pages(c->pool, c->experts.in_row * tokens, c->how.max_tokens);
	c->experts.out = cpu_pages(c->pool, c->experts.out_row * tokens, c->how.max_tokens);
	c->experts.acc = cpu_pages(c->pool, c->experts.out_row * tokens, c->how.max_tokens);
	c->base.held += reserved(c);
}
