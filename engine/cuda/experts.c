/* experts.c - a routed FFN: rows are ordered by expert on the device, which alone knows how many each has. So launches
 * are for the most that there may be, and graphs replay them. Tokens are taken as many at a time as the memory for
 * their rows holds. */
#include "engine/cuda/experts.h"

enum { FEW = 8, MORE = 32 /* rows of a group */, FIXED_SEGMENTS = 24 /* more do not fit 48 KiB for 32 rows */ };

void cuda_route(struct backend *b, const struct routing *r, const struct tensor *logits, const float *shared)
{
	struct cuda *c = cuda_of(b);

	if (logits->rows)
		cuda_check(k_route(c->stream, r->expert, r->weight, logits->data, shared, logits->rows, r->experts,
				   r->k, r->norm),
			   "route");
}

/* Sums that a row has: one, or where their order is fixed one for each leaf. */
static int sums_of(const struct cuda *c, const struct expert_weights *w)
{
	return c->how.fixed ? w->down->k.count : 1;
}

/* What a token's rows take. */
static size_t token_bytes(const struct cuda *c, const struct routing *r, const struct expert_weights *w)
{
	size_t k = (size_t)r->k, out = (size_t)sums_of(c, w) * (size_t)w->down->each * sizeof(float),
	       shared = w->shared_down ? 3 * sizeof(uint16_t) * (size_t)w->shared_down->cols + out : 0;

	return k * (sizeof(uint16_t) * (size_t)w->down->cols + out + 2 * sizeof(int32_t)) + shared;
}

static int tokens_at_once(const struct cuda *c, const struct routing *r, const struct expert_weights *w)
{
	size_t most = max_int(1, c->how.limits.max_tokens), fit = c->experts_room / token_bytes(c, r, w);

	return (int)(fit < 1 ? 1 : fit < most ? fit : most);
}

/* Where the parts of the memory for `n` tokens lie. */
struct scratch {
	int32_t *token, *place, *n_groups;
	struct k_group *group;
	uint16_t *inner, *shared_inner, *shared_gate_up;
	float *y, *shared_y;
	size_t bytes;
};

static void *part(struct scratch *s, char *from, size_t n, size_t size)
{
	void *at = from ? from + s->bytes : NULL;

	s->bytes += round_up(n * size, 256);
	return at;
}

static struct scratch scratch_of(const struct cuda *c, const struct routing *r, const struct expert_weights *w, int n)
{
	char *from = c->experts;
	size_t tokens = (size_t)n, rows = tokens * (size_t)r->k, hidden = (size_t)w->down->each,
	       sums = (size_t)sums_of(c, w), ffn = (size_t)w->down->cols,
	       shared = w->shared_down ? (size_t)w->shared_down->cols : 0;
	struct scratch s = {0};

	s.n_groups = part(&s, from, 1, sizeof *s.n_groups);
	s.token = part(&s, from, rows, sizeof *s.token);
	s.place = part(&s, from, rows, sizeof *s.place);
	s.group = part(&s, from, (size_t)k_most_groups((int)rows, r->experts, FEW), sizeof *s.group);
	s.inner = part(&s, from, rows * ffn, sizeof *s.inner);
	s.y = part(&s, from, rows * sums * hidden, sizeof *s.y);
	s.shared_inner = part(&s, from, tokens * shared, sizeof *s.shared_inner);
	s.shared_gate_up = part(&s, from, 2 * tokens * shared, sizeof *s.shared_gate_up);
	s.shared_y = part(&s, from, shared ? tokens * sums * hidden : 0, sizeof *s.shared_y);
	return s;
}

void cuda_experts_reserve(struct cuda *c, const struct routing *r, const struct expert_weights *w)
{
	size_t bytes = scratch_of(c, r, w, tokens_at_once(c, r, w)).bytes;

	if (bytes <= c->experts_bytes)
		return;
	cuda_give(c, c->experts, c->experts_bytes);
	c->experts_bytes = bytes;
	c->experts = cuda_take(c, bytes);
}

/* Rows of a group: more where experts have as many on average, since each group reads its expert's weights. */
static int group_rows(const struct cuda *c, int rows, int experts, const struct expert_weights *w)
{
	const struct cuda_weight *a = (const struct cuda_weight *)w->gate_up, *b = (const struct cuda_weight *)w->down;

	if (c->how.fixed && max_int(a->n_segments, b->n_segments) > FIXED_SEGMENTS)
		return FEW;
	if (!c->how.fixed && rows > MORE * experts)
		return K_EXPERTS_TILE;
	return rows <= FEW * experts ? FEW : MORE;
}

/* x: of tokens, or of rows, where `of` has none. */
static void products(struct cuda *c, void *out, enum k_form form, const void *x, const struct k_rows_of *of, int rows,
		     const struct weight *weight, bool by_token)
{
	const struct cuda_weight *w = (const struct cuda_weight *)weight;
	struct k_experts a = {.form = form,
			      .n = weight->each,
			      .step = weight_stack_step(weight->each),
			      .k = weight->cols,
			      .x = x,
			      .token = by_token ? of->token : NULL,
			      .w = cuda_matrix(w, 0),
			      .group = of->group,
			      .n_groups = of->n_groups,
			      .most_groups = k_most_groups(rows, weight->experts, of->most),
			      .most = of->most,
			      .rows = rows,
			      .n_segments = w->n_segments,
			      .segments = w->segments};

	cuda_check((of->most == K_EXPERTS_TILE ? k_experts_tiles : k_experts_products)(c->stream, c->type, out, a),
		   "experts");
}

static void routed(struct cuda *c, const struct scratch *s, const uint16_t *x, int n, const struct routing *r,
		   const int32_t *expert, const struct expert_weights *w)
{
	int rows = n * r->k;
	struct k_rows_of of = {.token = s->token,
			       .place = s->place,
			       .group = s->group,
			       .n_groups = s->n_groups,
			       .most = group_rows(c, rows, r->experts, w)};

	cuda_check(k_order_rows(c->stream, of, expert, n, r->experts, r->k), "rows of experts");
	products(c, s->inner, K_OUT_SILU, x, &of, rows, w->gate_up, true);
	products(c, s->y, K_OUT_F32, s->inner, &of, rows, w->down, false);
}

/* The one matrix of a stack. */
static struct cuda_weight only(const struct weight *w)
{
	struct cuda_weight one = *(const struct cuda_weight *)w;

	one.base.rows = w->each;
	return one;
}

static void shared(struct cuda *c, const struct scratch *s, const uint16_t *x, int n, const struct expert_weights *w)
{
	struct cuda_weight gate_up = only(w->shared_gate_up), down = only(w->shared_down);
	int ffn = down.base.cols;
	enum dtype type = c->base.act;
	struct tensor in = tensor_of((void *)(uintptr_t)x, type, n, gate_up.base.cols),
		      out = tensor_of(s->shared_inner, type, n, ffn),
		      both = tensor_of(s->shared_gate_up, type, n, 2 * ffn);

	out = cuda_linear_silu_mul(&c->base, &out, &both, &in, &gate_up.base, NULL);
	cuda_linear(&c->base, s->shared_y, &out, &down.base, NULL);
}

/* Adds up the rows of tokens [at, at + n): each part of the split, from the leaves that it has. */
static void add(struct cuda *c, void *out, const struct scratch *s, int at, int n, int all, const struct routing *r,
		const struct expert_weights *w)
{
	struct part parts[SHARD_MAX_PARTS] = {{0, 1}};
	int n_parts = c->how.fixed ? split_parts(&w->down->k, parts) : 1, first = w->down->k.first;
	size_t hidden = (size_t)w->down->each, size = dtype_size(c->base.sum);
	struct k_experts_sum a = {.place = s->place,
				  .weight = r->weight + (size_t)at * (size_t)(r->k + 1),
				  .n = n,
				  .k = r->k,
				  .rows = n * r->k,
				  .cols = w->down->each,
				  .form = c->base.sum == DT_F32 ? K_OUT_F32 : K_OUT_16};

	for (int i = 0; i < n_parts; i++) {
		size_t leaf = c->how.fixed ? (size_t)(parts[i].first - first) : 0;
		a.leaves = parts[i].count;
		a.y = w->gate_up ? s->y + leaf * (size_t)a.rows * hidden : NULL;
		a.shared = w->shared_gate_up ? s->shared_y + leaf * (size_t)n * hidden : NULL;
		cuda_check(k_experts_add(c->stream,
					 (char *)out + ((size_t)i * (size_t)all + (size_t)at) * hidden * size, a),
			   "experts");
	}
}

void cuda_experts(struct backend *b, void *out, const struct tensor *x, const struct routing *r,
		  const struct expert_weights *w)
{
	struct cuda *c = cuda_of(b);
	int per = tokens_at_once(c, r, w);
	struct scratch s;

	if (!x->rows || !w->down->k.count)
		return;
	cuda_experts_reserve(c, r, w);
	for (int at = 0, n; at < x->rows; at += n) {
		const uint16_t *from = (const uint16_t *)x->data + (size_t)at * (size_t)x->cols;
		n = min_int(per, x->rows - at);
		s = scratch_of(c, r, w, n);
		if (w->gate_up)
			routed(c, &s, from, n, r, r->expert + (size_t)at * (size_t)r->k, w);
		if (w->shared_gate_up)
			shared(c, &s, from, n, w);
		add(c, out, &s, at, n, x->rows, r, w);
	}
}

int cuda_experts_kernels(const struct cuda *c, int rows, const struct routing *r, const struct expert_weights *w,
			 int shared)
{
	struct part parts[SHARD_MAX_PARTS];
	int sums = c->how.fixed ? split_parts(&w->down->k, parts) : 1;

	if (!w->down->k.count)
		return 0;
	return div_up(rows, tokens_at_once(c, r, w)) * ((w->gate_up ? 3 : 0) + (w->shared_gate_up ? shared : 0) + sums);
}
