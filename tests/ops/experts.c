/* Mixtures of experts: which experts a row takes, and the sum of their outputs, in the bits of the contract and against
 * float64. */
#include "tests/ops/ref.h"

/* ---- route ---- */

struct routes {
	int rows, experts, k;
	float *logits, *shared, *weight;
	int32_t *expert;
};

static struct routes make_routes(int rows, int experts, int k, uint64_t seed)
{
	struct rng r = {seed};
	struct routes c = {rows,
			   experts,
			   k,
			   random_as(&r, (size_t)(rows * experts), DT_F32, PLAIN),
			   random_as(&r, (size_t)rows, DT_F32, PLAIN),
			   NULL,
			   NULL};

	for (int i = 0; i < rows * experts; i++) /* many are equal */
		c.logits[i] = i % 3 ? c.logits[i] * 8 : (float)(int)(c.logits[i] * 3);
	c.expert = xalloc((size_t)(rows * k), sizeof *c.expert);
	c.weight = xalloc((size_t)(rows * (k + 1)), sizeof *c.weight);
	return c;
}

static void drop_routes(struct routes *c)
{
	free(c->logits), free(c->shared), free(c->expert), free(c->weight);
}

static struct routing run_route(struct backend *b, const struct routes *c, bool norm, bool shared)
{
	struct routing r = {c->experts, c->k, norm, c->expert, c->weight};
	struct tensor logits = tensor_of(c->logits, DT_F32, c->rows, c->experts);

	backend_route(b, &r, &logits, shared ? c->shared : NULL);
	return r;
}

/* How many experts come before e. */
static int rank_of(const float *x, int n, int e)
{
	int before = 0;

	for (int i = 0; i < n; i++)
		before += x[i] > x[e] || (x[i] == x[e] && i < e);
	return before;
}

static void check_row(const struct routes *c, int row, bool norm, bool shared)
{
	const float *x = c->logits + row * c->experts, *w = c->weight + row * (c->k + 1);
	double sum = 0;
	int n = 0;

	for (int e = 0; e < c->experts; e++)
		if (!norm || rank_of(x, c->experts, e) < c->k)
			sum += exp((double)x[e]);
	for (int e = 0; e < c->experts; e++)
		if (rank_of(x, c->experts, e) < c->k) {
			CHECK_EQ(c->expert[row * c->k + n], e);
			CHECK(fabs((double)w[n] - exp((double)x[e]) / sum) < 2e-6);
			n++;
		}
	CHECK(fabs((double)w[c->k] - (shared ? 1 / (1 + exp(-(double)c->shared[row])) : 1)) < 1e-6);
}

TEST(routes_are_the_largest_logits)
{
	static const int shapes[][3] = {{9, 1, 1}, {40, 8, 2}, {33, 5, 5}, {17, 60, 4}, {7, 128, 8}, {5, 300, 1}};
	struct backend *b = open_backend(CPU_AUTO, 3, DT_F32);

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (int j = 0; j < 4; j++) {
			struct routes c = make_routes(shapes[i][0], shapes[i][1], shapes[i][2], i + 5);
			run_route(b, &c, j & 1, j & 2);
			for (int r = 0; r < c.rows; r++)
				check_row(&c, r, j & 1, j & 2);
			drop_routes(&c);
		}
	backend_destroy(b);
}

/* A faulty model: every row still names k experts. */
TEST(routes_of_numbers_that_are_not_finite)
{
	static const float odd[] = {NAN, INFINITY, -INFINITY, 0, 1e38f};
	struct backend *b = open_backend(CPU_AUTO, 1, DT_BF16);
	struct routes c = make_routes(25, 6, 3, 1);

	for (int i = 0; i < 25 * 6; i++)
		c.logits[i] = i < 30 ? NAN : odd[(i * i + i / 6) % 5];
	run_route(b, &c, false, false);
	for (int i = 0; i < 25 * 3; i++)
		CHECK(c.expert[i] >= (i % 3 ? c.expert[i - 1] + 1 : 0) && c.expert[i] < 6);
	drop_routes(&c);
	backend_destroy(b);
}

/* ---- experts ---- */

enum { LEAVES = 8 };

/* One stack: `experts` FFNs of `ffn` inner numbers, cut as the leaves of a rank. */
struct stack {
	int experts, hidden, ffn;
	enum dtype type;
	enum quant quant;
	char *gate_up, *down; /* (experts, 2 * ffn, hidden), (experts, hidden, ffn) of type */
	struct split k;       /* of down, all leaves */
};

struct mix {
	int rows, k, hidden;
	enum dtype act;
	struct stack routed, shared; /* shared.experts 0: there are none */
	struct routes routes;
	char *x; /* (rows, hidden) of act */
};

static struct stack make_stack(int experts, int hidden, int ffn, enum dtype type, enum quant quant, uint64_t seed)
{
	struct rng r = {seed};
	struct stack s = {experts, hidden, ffn, type, quant, NULL, NULL, {.n_leaves = LEAVES, .count = LEAVES}};
	int groups = div_up(ffn, 32);

	s.gate_up = random_as(&r, (size_t)(experts * 2 * ffn * hidden), type, PLAIN);
	s.down = random_as(&r, (size_t)(experts * hidden * ffn), type, PLAIN);
	for (int j = 0; j <= LEAVES; j++)
		s.k.start[j] = min_int(ffn, 32 * (groups * j / LEAVES));
	return s;
}

static void put_matrix(struct weight *w, int at, const char *src, int rows, int width, struct span col, enum dtype type)
{
	for (int r = 0, n; r < rows; r += n) {
		n = min_int(5, rows - r);
		weight_rows(w, at + r, n, src + ((size_t)r * (size_t)width + (size_t)col.first) * dtype_size(type),
			    (size_t)width);
	}
}

/* gate_up of expert e for the inner numbers of k; NULL for an empty share. */
static void put_gate_up(struct weight *w, int at, const struct stack *s, int e, struct span own)
{
	const char *src = s->gate_up + (size_t)(e * 2 * s->ffn) * (size_t)s->hidden * dtype_size(s->type);

	for (int half = 0; half < 2; half++)
		put_matrix(w, at + half * own.count,
			   src + (size_t)(half * s->ffn + own.first) * (size_t)s->hidden * dtype_size(s->type),
			   own.count, s->hidden, (struct span){0, s->hidden}, s->type);
}

static void put_down(struct weight *w, int at, const struct stack *s, int e, struct span own)
{
	put_matrix(w, at, s->down + (size_t)(e * s->hidden) * (size_t)s->ffn * dtype_size(s->type), s->hidden, s->ffn,
		   own, s->type);
}

static void pack_stack(struct backend *b, const struct stack *s, const struct split *k, struct weight **gate_up,
		       struct weight **down)
{
	struct split whole = split_whole(s->hidden);
	struct span own = split_columns(k);
	int step = weight_stack_step(2 * own.count), step_down = weight_stack_step(s->hidden);

	*gate_up = NULL;
	if (own.count) {
		*gate_up = weight_create_quant(b, s->experts * step, s->hidden, s->type, s->quant, &whole);
		weight_pair(*gate_up);
		weight_stack(*gate_up, s->experts, 2 * own.count);
	}
	*down = weight_create_quant(b, s->experts * step_down, own.count, s->type, s->quant, k);
	weight_stack(*down, s->experts, s->hidden);
	for (int e = 0; e < s->experts; e++) {
		if (own.count)
			put_gate_up(*gate_up, e * step, s, e, own);
		put_down(*down, e * step_down, s, e, own);
	}
}

static struct mix make_mix(int rows, int experts, int k, int hidden, int ffn, int shared, enum dtype act,
			   enum dtype type, enum quant quant)
{
	struct mix m = {.rows = rows, .k = k, .hidden = hidden, .act = act};
	struct rng r = {(uint64_t)(rows + ffn)};

	m.routed = make_stack(experts, hidden, ffn, type, quant, 3);
	m.shared = make_stack(shared ? 1 : 0, hidden, shared, type, quant, 4);
	m.routes = make_routes(rows, experts, k, 7);
	m.x = random_as(&r, (size_t)(rows * hidden), act, PLAIN);
	return m;
}

static void drop_mix(struct mix *m)
{
	free(m->routed.gate_up), free(m->routed.down), free(m->shared.gate_up), free(m->shared.down), free(m->x);
	drop_routes(&m->routes);
}

/* The parts of a rank that owns leaves [first, first + count). Returns (parts, rows, hidden). */
static float *run_mix(struct backend *b, const struct mix *m, const struct routing *r, int first, int count)
{
	struct split k = m->routed.k, k_shared = m->shared.k;
	struct part parts[SHARD_MAX_PARTS];
	struct weight *w[4] = {NULL};
	struct tensor x = tensor_of(m->x, m->act, m->rows, m->hidden);
	float *out;

	k.first = k_shared.first = first, k.count = k_shared.count = count;
	pack_stack(b, &m->routed, &k, &w[0], &w[1]);
	if (m->shared.experts)
		pack_stack(b, &m->shared, &k_shared, &w[2], &w[3]);
	out = xalloc((size_t)(split_parts(&k, parts) * m->rows * m->hidden) + 1, sizeof *out);
	backend_experts(b, out, &x, r, &(struct expert_weights){w[0], w[1], w[2], w[3]});
	for (int i = 0; i < 4; i++)
		weight_destroy(w[i]);
	return out;
}

/* One leaf of one expert's output for all rows, by plain products. */
static void leaf_output(struct backend *b, const struct mix *m, const struct stack *s, int e, int leaf, float *y)
{
	struct split k = s->k, whole = split_whole(m->hidden);
	struct span all = {0, s->ffn}, own;
	struct weight *gate_up = weight_create_quant(b, 2 * s->ffn, m->hidden, s->type, s->quant, &whole), *down;
	struct tensor x = tensor_of(m->x, m->act, m->rows, m->hidden);
	struct tensor both = tensor_of(xalloc((size_t)(m->rows * 2 * s->ffn), 4), DT_F32, m->rows, 2 * s->ffn);
	struct tensor inner = tensor_of(xalloc((size_t)(m->rows * s->ffn), 4), m->act, m->rows, s->ffn), part = inner;
	size_t size = dtype_size(m->act);

	k.first = leaf, k.count = 1;
	own = split_columns(&k);
	put_gate_up(gate_up, 0, s, e, all);
	weight_pair(gate_up);
	backend_linear_silu_mul(b, &inner, &both, &x, gate_up, NULL);
	part.cols = own.count;
	part.data = xalloc((size_t)(m->rows * own.count) + 1, 4);
	for (int r = 0; r < m->rows; r++)
		memcpy((char *)part.data + (size_t)(r * own.count) * size,
		       (char *)inner.data + (size_t)(r * s->ffn + own.first) * size, (size_t)own.count * size);
	down = weight_create_quant(b, m->hidden, own.count, s->type, s->quant, &k);
	put_down(down, 0, s, e, own);
	backend_linear(b, y, &part, down, NULL);
	weight_destroy(gate_up), weight_destroy(down);
	free(both.data), free(inner.data), free(part.data);
}

/* The sums of each leaf, (LEAVES, rows, hidden), by the contract, or with the experts in descending order. */
static float *ref_leaves(struct backend *b, const struct mix *m, const struct routing *r, bool descending)
{
	size_t n = (size_t)(m->rows * m->hidden);
	float *acc = xalloc(LEAVES * n, sizeof *acc), *y = xalloc(n, sizeof *y);

	for (int leaf = 0; leaf < LEAVES; leaf++)
		for (int no = 0; no <= m->routed.experts; no++) {
			int e = descending ? m->routed.experts - no : no;
			bool shared = e == m->routed.experts;
			if (shared && !m->shared.experts)
				continue;
			leaf_output(b, m, shared ? &m->shared : &m->routed, shared ? 0 : e, leaf, y);
			for (int t = 0; t < m->rows; t++)
				for (int j = 0; j <= m->k; j++) {
					float *a = acc + (size_t)leaf * n + (size_t)(t * m->hidden);
					if (shared != (j == m->k) || (!shared && r->expert[t * m->k + j] != e))
						continue;
					for (int i = 0; i < m->hidden; i++)
						a[i] = ref_fma(r->weight[t * (m->k + 1) + j], y[t * m->hidden + i],
							       a[i]);
				}
		}
	free(y);
	return acc;
}

static float tree(const float *leaf, size_t n, int first, int count)
{
	return count == 1 ? leaf[(size_t)first * n]
			  : ref_add(tree(leaf, n, first, count / 2), tree(leaf, n, first + count / 2, count / 2));
}

/* Every cut of the leaves between ranks gives the parts of the same sums. */
static void check_mix(struct backend *b, const struct mix *m, bool norm)
{
	struct routing r = run_route(b, &m->routes, norm, m->shared.experts);
	float *leaves = ref_leaves(b, m, &r, false);
	size_t n = (size_t)(m->rows * m->hidden);

	for (int ranks = 1; ranks <= 9; ranks += ranks < 5 ? 1 : 4)
		for (int rank = 0; rank < ranks; rank++) {
			struct span own = split_leaves(LEAVES, rank, ranks);
			struct part parts[SHARD_MAX_PARTS];
			int n_parts = leaf_parts(own.first, own.count, parts);
			float *out = run_mix(b, m, &r, own.first, own.count), *want = xalloc(n, sizeof *want);
			for (int p = 0; p < n_parts; p++) {
				for (size_t i = 0; i < n; i++)
					want[i] = tree(leaves + i, n, parts[p].first, parts[p].count);
				check_bits("experts", out + (size_t)p * n, want, n);
			}
			free(out), free(want);
		}
	free(leaves);
}

static void contract_on(enum cpu_isa isa)
{
	static const enum quant quants[] = {QUANT_NONE, QUANT_NONE, QUANT_INT8, QUANT_INT4};

	for (int i = 0; i < 4; i++) {
		enum dtype act = i % 2 ? DT_BF16 : DT_F32, type = i % 2 ? DT_BF16 : i ? DT_F16 : DT_F32;
		struct backend *b = open_backend(isa, 2, act);
		/* More rows than scratch memory holds at once; shares that are empty; shared experts alone in a leaf.
		 */
		struct mix large = make_mix(100, 5, 3, 40, 70, 300, act, type, quants[i]),
			   small = make_mix(3, 7, 2, 34, 301, 0, act, type, quants[i]);
		check_mix(b, &large, i & 1);
		check_mix(b, &small, !(i & 1));
		drop_mix(&large), drop_mix(&small);
		backend_destroy(b);
	}
}
TEST(experts_contract_portable)
{
	contract_on(CPU_PORTABLE);
}
TEST(experts_contract_avx2)
{
	contract_on(CPU_AVX2);
}
TEST(experts_contract_avx512)
{
	contract_on(CPU_AVX512);
}
TEST(experts_contract_avx512_bf16)
{
	contract_on(CPU_AVX512_BF16);
}

/* What the contract's tests compare could tell another order. */
TEST(another_order_has_other_bits)
{
	struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
	struct mix m = make_mix(20, 5, 3, 40, 70, 90, DT_F32, DT_F32, QUANT_NONE);
	struct routing r = run_route(b, &m.routes, false, true);
	float *up = ref_leaves(b, &m, &r, false), *down = ref_leaves(b, &m, &r, true);

	CHECK(count_differ(up, down, LEAVES * 20 * 40) > 100);
	free(up), free(down);
	drop_mix(&m);
	backend_destroy(b);
}

static double silu64(double g)
{
	return g / (1 + exp(-g));
}

/* y (hidden) += weight times expert e's output for a row. */
static void add64(const struct stack *s, int e, const float *x, double weight, double *y)
{
	const float *g = (const float *)(const void *)s->gate_up + (size_t)(e * 2 * s->ffn) * (size_t)s->hidden;
	const float *d = (const float *)(const void *)s->down + (size_t)(e * s->hidden) * (size_t)s->ffn;

	for (int f = 0; f < s->ffn; f++) {
		double gate = 0, up = 0, inner;
		for (int i = 0; i < s->hidden; i++) {
			gate += (double)x[i] * (double)g[f * s->hidden + i];
			up += (double)x[i] * (double)g[(s->ffn + f) * s->hidden + i];
		}
		inner = silu64(gate) * up;
		for (int i = 0; i < s->hidden; i++)
			y[i] += weight * inner * (double)d[i * s->ffn + f];
	}
}

TEST(experts_near_float64)
{
	struct backend *b = open_backend(CPU_AUTO, 3, DT_F32);
	struct mix m = make_mix(21, 6, 2, 50, 90, 64, DT_F32, DT_F32, QUANT_NONE);
	struct routing r = run_route(b, &m.routes, true, true);
	float *out = run_mix(b, &m, &r, 0, LEAVES);

	for (int t = 0; t < m.rows; t++) {
		const float *x = (const float *)(const void *)m.x + t * m.hidden;
		double y[50] = {0};
		for (int j = 0; j < m.k; j++)
			add64(&m.routed, r.expert[t * m.k + j], x, (double)r.weight[t * (m.k + 1) + j], y);
		add64(&m.shared, 0, x, (double)r.weight[t * (m.k + 1) + m.k], y);
		for (int i = 0; i < m.hidden; i++)
			CHECK(fabs((double)out[t * m.hidden + i] - y[i]) < 1e-5 * (100 + fabs(y[i])));
	}
	free(out);
	drop_mix(&m);
	backend_destroy(b);
}

CHECK_MAIN()
