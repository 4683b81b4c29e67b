/* rope_store and attention over a paged cache: the contract's bits, float64 bounds, and that nothing else in the step,
 * no cut of the prompt and no number of threads changes a bit. */
#include "tests/ops/attention_ref.h"

/* The cache of a scene: a pool, and each sequence's scattered blocks. */
struct cache {
	struct backend *b;
	struct kv kv;
	int32_t *blocks[MAX_SEQS];
	float *cos, *sin;
};

static struct scene make_scene(int heads, int kv_heads, int dim, int n_rot, int block_size, enum dtype type,
			       enum data how)
{
	struct scene s = {.n_rot = n_rot, .how = how};

	s.shape = (struct attn_shape){
		.heads = heads, .kv_heads = kv_heads, .head_dim = dim, .scale = (float)(1 / sqrt(dim))};
	s.kv = (struct kv_shape){kv_heads, dim, block_size, type};
	for (int h = 0; h < heads; h++)
		s.kv_of_head[h] = h * kv_heads / heads, s.slopes[h] = exp2f(-(float)(h + 1) / 2);
	return s;
}

static struct cache open_cache(struct scene *s, enum cpu_isa isa, int threads, enum dtype act)
{
	struct cache c = {.b = open_backend(isa, threads, act)};
	int per = div_up(MAX_POS, s->kv.block_size), total = 0, at = 0;
	size_t half = (size_t)MAX_POS * (size_t)(s->n_rot / 2) + 1;

	s->shape.kv_of_head = s->kv_of_head;
	s->shape.slopes = s->alibi ? s->slopes : NULL;
	for (int q = 0; q < s->n_seqs; q++)
		total += div_up(s->length[q], s->kv.block_size);
	kv_init(&c.kv, c.b, &s->kv, 1, total + 1);
	for (int q = 0; q < s->n_seqs; q++)
		c.blocks[q] = xalloc((size_t)per, sizeof(int32_t));
	for (int i = 0; i < per; i++) /* neighbouring blocks of a sequence lie apart, and in reverse order */
		for (int q = 0; q < s->n_seqs; q++)
			if (i < div_up(s->length[q], s->kv.block_size))
				c.blocks[q][i] = total - at++;
	c.cos = xalloc(half, sizeof(float));
	c.sin = xalloc(half, sizeof(float));
	fill_rope(s, c.cos, c.sin);
	return c;
}

static void close_cache(struct cache *c)
{
	for (int q = 0; q < MAX_SEQS; q++)
		free(c->blocks[q]);
	free(c->cos), free(c->sin);
	kv_finish(&c->kv);
	backend_destroy(c->b);
}

/* Tokens [first, first + count) of a sequence. */
struct piece {
	int seq, first, count;
};

struct built {
	struct step s;
	struct step_head head;
	int32_t token[256], pos[256], slot[256], seq[MAX_SEQS], q_start[MAX_SEQS + 1], kv_len[MAX_SEQS],
		block_start[MAX_SEQS + 1], row[1];
	int32_t blocks[4096];
};

static void build(struct built *b, const struct scene *s, const struct cache *c, const struct piece *p, int n)
{
	int t = 0, k = 0;

	*b = (struct built){0};
	for (int i = 0; i < n; i++) {
		b->q_start[i] = t, b->block_start[i] = k;
		b->seq[i] = p[i].seq, b->kv_len[i] = p[i].first + p[i].count;
		for (int pos = p[i].first; pos < p[i].first + p[i].count; pos++, t++) {
			b->pos[t] = pos;
			b->slot[t] =
				c->blocks[p[i].seq][pos / s->kv.block_size] * s->kv.block_size + pos % s->kv.block_size;
		}
		for (int j = 0; j < div_up(b->kv_len[i], s->kv.block_size); j++)
			b->blocks[k++] = c->blocks[p[i].seq][j];
	}
	b->q_start[n] = t, b->block_start[n] = k;
	b->head = (struct step_head){
		.kind = STEP_RUN, .n_seqs = n, .n_tokens = t, .n_blocks = k, .pad_seqs = n, .pad_tokens = t};
	b->s = (struct step){.head = &b->head,
			     .token = b->token,
			     .pos = b->pos,
			     .slot = b->slot,
			     .seq = b->seq,
			     .q_start = b->q_start,
			     .kv_len = b->kv_len,
			     .block_start = b->block_start,
			     .blocks = b->blocks,
			     .row = b->row};
}

/* Runs one step and returns (tokens, heads * dim), bf16 widened. */
static float *run_step(const struct scene *s, struct cache *c, const struct piece *p, int n)
{
	struct built *b = xalloc(1, sizeof *b);
	int cols = s->shape.heads * s->shape.head_dim, tokens, t = 0;
	struct rope rope = {c->cos, c->sin, s->n_rot, MAX_POS};
	struct tensor qkv, out;
	float *in, *result;
	void *raw;

	build(b, s, c, p, n);
	tokens = b->head.n_tokens;
	in = xalloc((size_t)(tokens * row_floats(s)), sizeof *in);
	raw = xalloc((size_t)(tokens * cols), sizeof(float));
	result = xalloc((size_t)(tokens * cols), sizeof *result);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < p[i].count; k++, t++)
			token_row(s, p[i].seq, p[i].first + k, in + t * row_floats(s));
	qkv = tensor_of(in, DT_F32, tokens, row_floats(s));
	out = tensor_of(raw, c->b->act, tokens, cols);
	backend_rope_store(c->b, &qkv, &s->shape, s->n_rot ? &rope : NULL, c->kv.pool[0], &s->kv,
			   backend_step(c->b, &b->s));
	backend_attention(c->b, &out, &qkv, &s->shape, c->kv.pool[0], &s->kv, backend_step(c->b, &b->s));
	for (int i = 0; i < tokens * cols; i++)
		result[i] = get_as(raw, (size_t)i, c->b->act);
	free(b), free(in), free(raw);
	return result;
}

/* Runs a whole sequence in chunks; returns (length, heads * dim). */
static float *run_chunks(const struct scene *s, struct cache *c, int seq, int chunk)
{
	int cols = s->shape.heads * s->shape.head_dim;
	float *all = xalloc((size_t)(s->length[seq] * cols), sizeof *all);

	for (int at = 0, n; at < s->length[seq]; at += n) {
		n = min_int(chunk, s->length[seq] - at);
		float *out = run_step(s, c, &(struct piece){seq, at, n}, 1);
		memcpy(all + at * cols, out, (size_t)(n * cols) * sizeof *out);
		free(out);
	}
	return all;
}

static void check_token(const struct scene *s, const float *rows, int seq, int pos, enum dtype act, const float *got)
{
	int cols = s->shape.heads * s->shape.head_dim;
	float want[64 * 64];

	REQUIRE(cols <= 64 * 64);
	ref_token(s, rows, seq, pos, RIGHT, want);
	for (int i = 0; i < cols && act == DT_BF16; i++)
		want[i] = f32_from_bf16(bf16_from_f32(want[i]));
	check_bits("attention", got, want, (size_t)cols);
}

static struct scene scene_no(int i)
{
	static const struct {
		int heads, kv_heads, dim, n_rot, block;
		enum dtype type;
		enum data how;
		bool alibi;
		int window;
		float cap;
	} t[] = {{6, 2, 80, 0, 32, DT_BF16, PLAIN, true, 0, 0},   {3, 1, 64, 64, 32, DT_F32, PLAIN, false, 40, 0},
		 {6, 3, 32, 32, 32, DT_I8, PLAIN, false, 300, 5}, {5, 5, 24, 8, 16, DT_F16, WILD, true, 257, 20},
		 {2, 1, 256, 64, 32, DT_BF16, PLAIN, true, 1, 0}, {3, 3, 8, 8, 32, DT_F32, PLAIN, false, 0, 0},
		 {6, 2, 64, 64, 32, DT_BF16, PLAIN, false, 0, 0}, {5, 2, 80, 20, 16, DT_F16, PLAIN, false, 0, 0},
		 {2, 1, 128, 0, 64, DT_BF16, WILD, false, 0, 0},  {8, 1, 16, 16, 256, DT_F32, WILD, false, 0, 0},
		 {4, 4, 24, 12, 32, DT_F16, WILD, false, 0, 0},   {1, 1, 64, 2, 128, DT_F32, PLAIN, false, 0, 0},
		 {6, 2, 64, 64, 32, DT_I8, PLAIN, false, 0, 0},   {3, 1, 24, 8, 16, DT_I8, WILD, false, 0, 0}};
	struct scene s;

	if (i >= (int)(sizeof t / sizeof *t))
		return (struct scene){0};
	s = make_scene(t[i].heads, t[i].kv_heads, t[i].dim, t[i].n_rot, t[i].block, t[i].type, t[i].how);
	s.n_seqs = 4;
	memcpy(s.length, (int[]){1, 37, 300, 530}, 4 * sizeof(int));
	s.alibi = t[i].alibi, s.shape.window = t[i].window, s.shape.soft_cap = t[i].cap;
	return s;
}

static void contract(enum cpu_isa isa)
{
	for (int i = 0; scene_no(i).n_seqs; i++) {
		struct scene s = scene_no(i);
		enum dtype act = i & 1 ? DT_BF16 : DT_F32;
		struct cache c = open_cache(&s, isa, 2, act);
		int cols = s.shape.heads * s.shape.head_dim;
		for (int q = 0; q < s.n_seqs; q++) {
			float *rows = ref_rows(&s, q), *out = run_chunks(&s, &c, q, 45);
			for (int pos = 0; pos<s.length[q]; pos += pos> 250 && pos < 260 ? 1 : 29)
				check_token(&s, rows, q, pos, act, out + pos * cols);
			check_token(&s, rows, q, s.length[q] - 1, act, out + (s.length[q] - 1) * cols);
			free(rows), free(out);
		}
		close_cache(&c);
	}
}
EACH_ISA(contract)

TEST(mutants_differ)
{
	struct scene s = make_scene(2, 1, 64, 64, 32, DT_BF16, PLAIN);
	struct cache c;
	float *rows, *out, other[128];

	s.n_seqs = 1, s.length[0] = 1200, s.shape.window = 1000;
	c = open_cache(&s, CPU_AUTO, 2, DT_F32);
	rows = ref_rows(&s, 0), out = run_chunks(&s, &c, 0, 100);
	for (enum mutant m = RIGHT; m < MUTANTS; m++) {
		ref_token(&s, rows, 0, 1199, m, other);
		if ((count_differ(out + 1199 * 128, other, 128) > 0) != (m != RIGHT))
			CHECK_FAIL("mutant %d", m);
	}
	free(rows), free(out);
	close_cache(&c);
}

TEST(within_bound_of_float64)
{
	for (int i = 0; scene_no(i).n_seqs; i++) {
		struct scene s = scene_no(i);
		struct cache c;
		float *rows, *out;
		int dim = s.shape.head_dim, stride = row_floats(&s), pos = 529;

		if (s.how != PLAIN)
			continue;
		c = open_cache(&s, CPU_AUTO, 3, DT_F32);
		rows = ref_rows(&s, 3), out = run_chunks(&s, &c, 3, 128);
		for (int h = 0; h < s.shape.heads; h++) {
			const float *q = rows + pos * stride + h * dim,
				    *k = rows + (s.shape.heads + s.kv_of_head[h]) * dim,
				    *scale = ref_scales(&s, rows, 3, 0) + s.kv_of_head[h];
			int n_scales = 2 * s.shape.kv_heads;
			double p[530], sum = 0, cap = (double)s.shape.soft_cap;
			int from = window_from(&s.shape, pos);
			for (int key = from; key <= pos; key++) {
				double dot = 0;
				for (int d = 0; d < dim; d++)
					dot += (double)q[d] * (double)k[key * stride + d];
				dot *= (double)scale[key * n_scales] * (double)s.shape.scale;
				dot = cap > 0 ? cap * tanh(dot / cap) : dot;
				sum += p[key] = exp(dot + (s.alibi ? (double)s.slopes[h] * (key - pos) : 0));
			}
			for (int d = 0; d < dim; d++) {
				double want = 0;
				for (int key = from; key <= pos; key++)
					want += p[key] / sum * (double)scale[key * n_scales + s.shape.kv_heads] *
						(double)k[key * stride + s.shape.kv_heads * dim + d];
				CHECK(fabs((double)out[(pos * s.shape.heads + h) * dim + d] - want) <= 5e-6);
			}
		}
		free(rows), free(out);
		close_cache(&c);
	}
}

/* The bits are the same however the prompt is cut, whatever other sequences run beside it, for any thread count. */
TEST(cuts_batches_and_threads_change_nothing)
{
	for (int i = 0; scene_no(i).n_seqs; i++) {
		struct scene s = scene_no(i);
		struct cache c = open_cache(&s, CPU_AUTO, 1, DT_F32);
		int cols = s.shape.heads * s.shape.head_dim, q = 3, n = s.length[3];
		float *want = run_chunks(&s, &c, q, 128);
		close_cache(&c);
		for (int chunk = 1; chunk <= 125; chunk += 31) {
			c = open_cache(&s, CPU_AUTO, 1 + chunk % 3, DT_F32);
			float *got = run_chunks(&s, &c, q, chunk);
			check_bits("chunks", got, want, (size_t)(n * cols));
			free(got);
			for (int other = 0; other < 3; other++)
				free(run_chunks(&s, &c, other, 60));
			struct piece mix[] = {{0, 0, 1}, {2, 250, 12}, {q, 250, 9}, {1, 36, 1}};
			got = run_step(&s, &c, mix, 4);
			check_bits("batch", got + 13 * cols, want + 250 * cols, (size_t)(9 * cols));
			free(got);
			close_cache(&c);
		}
		free(want);
	}
}

/* On several threads one long sequence is cut over the key axis. */
TEST(long_context_is_cut_between_threads)
{
	struct scene s = make_scene(3, 1, 32, 32, 32, DT_BF16, PLAIN);
	float *want = NULL;

	s.n_seqs = 2, s.length[0] = 3001, s.length[1] = 40;
	for (int threads = 1; threads <= 5; threads++) {
		struct cache c = open_cache(&s, CPU_AUTO, threads, DT_F32);
		struct piece mix[] = {{1, 38, 2}, {0, 2996, 5}};
		float *got;
		free(run_chunks(&s, &c, 0, 128));
		free(run_chunks(&s, &c, 1, 40));
		got = run_step(&s, &c, mix, 2);
		if (!want) {
			float *rows = ref_rows(&s, 0);
			want = got;
			check_token(&s, rows, 0, 3000, DT_F32, want + 6 * 96);
			free(rows);
		} else {
			check_bits("threads", got, want, 7 * 96);
			free(got);
		}
		close_cache(&c);
	}
	free(want);
}

/* Windows over many pieces, that begin and end inside groups of ranges, in long and short sequences together. */
TEST(windows_are_cut_between_threads)
{
	static const int windows[] = {1, 255, 256, 300, 700, 1030, 2999, 3001};
	struct scene s = make_scene(3, 1, 32, 32, 32, DT_BF16, PLAIN);

	s.n_seqs = 3, s.length[0] = 3001, s.length[1] = 40, s.length[2] = 1400;
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
		float *want = NULL, *rows[3];
		s.shape.window = windows[i], s.alibi = i & 1;
		for (int threads = 1; threads <= 4; threads++) {
			struct cache c = open_cache(&s, CPU_AUTO, threads, DT_F32);
			struct piece mix[] = {{1, 38, 2}, {0, 2990, 11}, {2, 1200, 99}};
			float *got;
			for (int q = 0; q < 3; q++)
				free(run_chunks(&s, &c, q, threads & 1 ? 128 : 91));
			got = run_step(&s, &c, mix, 3);
			if (want) {
				check_bits("threads", got, want, 112 * 96);
				free(got);
			} else {
				for (int q = 0; q < 3; q++)
					rows[q] = ref_rows(&s, q);
				want = got;
				check_token(&s, rows[1], 1, 39, DT_F32, want + 96);
				for (int t = 0; t < 11; t += 5)
					check_token(&s, rows[0], 0, 2990 + t, DT_F32, want + (2 + t) * 96);
				for (int t = 0; t < 99; t += 33)
					check_token(&s, rows[2], 2, 1200 + t, DT_F32, want + (13 + t) * 96);
				free(rows[0]), free(rows[1]), free(rows[2]);
			}
			close_cache(&c);
		}
		free(want);
	}
}

/* Many short windows beside each other, each over the end of a group of ranges, must not run out of memory for pieces.
 */
TEST(many_windows)
{
	struct scene s = make_scene(12, 12, 8, 8, 32, DT_F32, PLAIN);

	s.n_seqs = MAX_SEQS, s.shape.window = 20;
	for (int q = 0; q < MAX_SEQS; q++)
		s.length[q] = q ? 260 : 3000;
	for (int threads = 1; threads <= 3; threads++) {
		struct cache c = open_cache(&s, CPU_AUTO, threads, DT_F32);
		struct piece mix[MAX_SEQS];
		float *rows = ref_rows(&s, 3), *got;
		for (int q = 0; q < MAX_SEQS; q++) {
			free(run_chunks(&s, &c, q, 128));
			mix[q] = (struct piece){q, s.length[q] - 3, 3};
		}
		got = run_step(&s, &c, mix, MAX_SEQS);
		check_token(&s, rows, 3, 259, DT_F32, got + 11 * 96);
		free(rows), free(got);
		close_cache(&c);
	}
}

TEST(no_slot_no_store)
{
	struct scene s = make_scene(2, 2, 16, 16, 32, DT_F32, PLAIN);
	struct cache c;
	struct built *b = xalloc(1, sizeof *b);
	struct tensor qkv;
	struct rope rope;
	char *before;
	float row[6 * 16];

	s.n_seqs = 1, s.length[0] = 20;
	c = open_cache(&s, CPU_AUTO, 1, DT_F32);
	free(run_chunks(&s, &c, 0, 20));
	before = xalloc(c.kv.layer_bytes, 1);
	memcpy(before, c.kv.pool[0], c.kv.layer_bytes);
	build(b, &s, &c, &(struct piece){0, 5, 1}, 1);
	token_row(&s, 0, 9, row);
	qkv = tensor_of(row, DT_F32, 1, 96);
	rope = (struct rope){c.cos, c.sin, s.n_rot, MAX_POS};
	b->slot[0] = -1;
	backend_rope_store(c.b, &qkv, &s.shape, &rope, c.kv.pool[0], &s.kv, &b->s);
	CHECK(!memcmp(before, c.kv.pool[0], c.kv.layer_bytes));
	b->slot[0] = c.blocks[0][0] * 32 + 5;
	backend_rope_store(c.b, &qkv, &s.shape, &rope, c.kv.pool[0], &s.kv, &b->s);
	CHECK(memcmp(before, c.kv.pool[0], c.kv.layer_bytes));
	free(before), free(b);
	close_cache(&c);
}

TEST(cache_types_are_refused_by_name)
{
	struct backend *b = open_backend(CPU_AUTO, 1, DT_F32);
	struct kv_shape kv = {1, 64, 32, DT_I16};
	struct why why;

	CHECK_EQ(backend_kv_check(b, &kv, &why), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "i16");
	kv.type = DT_BF16, kv.block_size = 48;
	CHECK_EQ(backend_kv_check(b, &kv, &why), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "48");
	kv.block_size = 32;
	CHECK_EQ(backend_kv_check(b, &kv, &why), 0);
	CHECK_EQ(backend_kv_bytes(b, &kv), 2 * 64 * 32 * 2);
	kv.type = DT_I8;
	CHECK_EQ(backend_kv_bytes(b, &kv), 2 * (64 + 4) * 32);
	backend_destroy(b);
}

CHECK_MAIN()
