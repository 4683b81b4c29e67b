/* Low-rank updates through the plug-in, against float64: rows of several slots, pieces with an A of their own or one
 * for all, every type of y, leaves. */
#include "engine/cuda/cuda.h"
#include "tests/cuda/device.h"

const struct plugin *xversed_plugin(void);

enum { ROWS = 7, COLS = 100, RANK = 32, SLOTS = 3 };

static struct backend *open_backend(enum dtype type, bool fixed)
{
	struct cuda_options how = {.compute = type,
				   .limits = {.max_seqs = 2, .max_tokens = 16, .max_blocks = 16, .rows = 4},
				   .max_context = 64,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64,
				   .fixed = fixed,
				   .wait_ns = 60000000000};
	struct backend *b;
	struct why why;

	if (xversed_plugin()->backend_create(&b, &how, &why))
		CHECK_FAIL("%s", why.text);
	return b;
}

/* What the slots hold, row by row. */
struct adapters {
	float *a[SLOTS][LORA_PIECES], *b[SLOTS][LORA_PIECES]; /* (rank, COLS), (outputs, rank) */
	struct lora_slot slot[SLOTS];
};

/* Slot 0 has an A for each piece, slot 1 one for all, slot 2 changes the last piece only. */
static struct lora_slot slot_of(int i, int pieces)
{
	struct lora_slot s = {.a_of = {-1, -1, -1}};

	for (int p = 0; p < pieces; p++)
		if (i < 2 || p + 1 == pieces)
			s.a_of[p] = i == 1 ? 0 : p, s.rank[i == 1 ? 0 : p] = i == 2 ? 3 : 17 + p;
	return s;
}

static void fill(struct backend *b, struct lora *l, struct adapters *all)
{
	struct rng r = {3};

	for (int i = 0; i < SLOTS; i++) {
		float *a = xalloc(lora_a_size(&l->shape), sizeof *a), *up = xalloc(lora_b_size(&l->shape), sizeof *up);
		all->slot[i] = slot_of(i, l->shape.pieces);
		for (int p = 0; p < l->shape.pieces; p++) {
			int from = all->slot[i].a_of[p], rank = from < 0 ? 0 : all->slot[i].rank[from];
			all->a[i][p] = random_floats(&r, (size_t)(RANK * COLS));
			all->b[i][p] = random_floats(&r, (size_t)(l->shape.rows[p] * RANK));
			for (int j = 0; j < all->slot[i].rank[p]; j++)
				lora_put_a(l, a, p, j, all->a[i][p] + j * COLS + (COLS - l->cols));
			for (int o = 0; o < l->shape.rows[p] && rank; o++)
				lora_put_b(l, up, p, o, all->b[i][p] + o * RANK, rank);
		}
		backend_upload(b, l->a + (size_t)i * lora_a_size(&l->shape), a, lora_a_size(&l->shape) * 4);
		backend_upload(b, l->b + (size_t)i * lora_b_size(&l->shape), up, lora_b_size(&l->shape) * 4);
		lora_switch(b, l, i, &all->slot[i]);
		free(a), free(up);
	}
}

static void drop(struct adapters *all, int pieces)
{
	for (int i = 0; i < SLOTS; i++)
		for (int p = 0; p < pieces; p++)
			free(all->a[i][p]), free(all->b[i][p]);
}

static const int32_t slots[ROWS] = {1, -1, 0, 2, 2, -1, 1};

/* y of one row before and after. */
static void check_row(const struct lora *l, const struct adapters *all, int slot, const uint16_t *x, enum k_type in,
		      const float *was, const float *got, enum k_type type)
{
	int n = 0;

	for (int p = 0; p < l->shape.pieces; p++)
		for (int o = 0; o < l->shape.rows[p]; o++, n++) {
			int from = slot < 0 ? -1 : all->slot[slot].a_of[p], at = l->shape.paired ? 2 * o + p : n;
			double sum = 0, size = 0;
			for (int j = 0; from >= 0 && j < all->slot[slot].rank[from]; j++) {
				double t = 0, b = all->b[slot][p][o * RANK + j];
				for (int c = 0; c < COLS; c++)
					t += (double)up(x[c], in) * all->a[slot][from][j * COLS + c];
				sum += b * t, size += fabs(b * t);
			}
			CHECK_NEAR(got[at], was[at] + sum,
				   from < 0 ? 0 : 1e-5 * (1 + size) + fabs(was[at] + sum) * rounding(type) * 1.02,
				   "slot %d piece %d output %d", slot, p, o);
		}
}

static void read_y(const void *d, enum dtype type, size_t n, float *out)
{
	uint16_t *half = xalloc(n, sizeof *half);

	if (type == DT_F32)
		dev_get(out, d, n * 4);
	else
		dev_get(half, d, n * 2);
	for (size_t i = 0; i < n && type != DT_F32; i++)
		out[i] = up(half[i], type == DT_F16 ? K_F16 : K_BF16);
	free(half);
}

/* y_type: of y; the shape's leaves, one or eight, all owned. */
static void update(enum dtype type, enum dtype y_type, bool fixed, struct lora_shape s)
{
	struct backend *b = open_backend(type, fixed);
	struct rng r = {9};
	enum k_type in = type == DT_F16 ? K_F16 : K_BF16, out = y_type == DT_F32   ? K_F32
								: y_type == DT_F16 ? K_F16
										   : K_BF16;
	int n = s.rows[0] + s.rows[1] + s.rows[2];
	size_t all_y = (size_t)ROWS * (size_t)n, a = lora_a_size(&s) * SLOTS, up_size = lora_b_size(&s) * SLOTS,
	       t_size = (size_t)(ROWS * s.pieces * RANK);
	float *da = backend_alloc(b, a * 4), *db = backend_alloc(b, up_size * 4), *was = xalloc(all_y, 4),
	      *got = xalloc(all_y, 4), *y = random_floats(&r, all_y), *t = dev_new(t_size * 4);
	uint16_t *x = random_halves(&r, ROWS * COLS, in),
		 *half = random_halves(&r, all_y, out == K_F16 ? K_F16 : K_BF16);
	struct lora_slot *on_device = backend_alloc(b, SLOTS * sizeof *on_device);
	struct lora *l = lora_create(&s, da, db, on_device);
	void *dy = dev_put(y_type == DT_F32 ? (void *)y : half, all_y * dtype_size(y_type)),
	     *dx = dev_put(x, ROWS * COLS * 2), *ds = dev_put(slots, sizeof slots);
	struct tensor tx = tensor_of(dx, type, ROWS, COLS), ty = tensor_of(dy, y_type, ROWS, n);
	struct adapters all;

	fill(b, l, &all);
	read_y(dy, y_type, all_y, was);
	backend_lora_down(b, t, &tx, l, ds);
	backend_lora_up(b, &ty, t, l, ds);
	backend_sync(b);
	read_y(dy, y_type, all_y, got);
	for (int i = 0; i < ROWS; i++)
		check_row(l, &all, slots[i], x + i * COLS, in, was + i * n, got + i * n, out);
	drop(&all, s.pieces);
	lora_destroy(l);
	backend_free(b, da, a * 4), backend_free(b, db, up_size * 4),
		backend_free(b, on_device, SLOTS * sizeof *on_device);
	dev_free(t), dev_free(dy), dev_free(dx), dev_free(ds);
	free(was), free(got), free(y), free(x), free(half);
	backend_destroy(b);
}

TEST(updates_of_rows)
{
	struct split whole = split_whole(COLS), eight = {.n_leaves = 8, .count = 8};
	struct lora_shape qkv = {.slots = SLOTS, .rank = RANK, .pieces = 3, .rows = {40, 24, 24}, .k = whole},
			  pair = {.slots = SLOTS,
				  .rank = RANK,
				  .pieces = 2,
				  .rows = {300, 300},
				  .k = whole,
				  .paired = true},
			  down = {.slots = SLOTS, .rank = RANK, .pieces = 1, .rows = {50}};

	for (int i = 0; i < 8; i++)
		eight.start[i + 1] = min_int(COLS, 16 * (i + 1) - (i > 5 ? 8 : 0));
	down.k = eight;
	for (int fixed = 0; fixed < 2; fixed++) {
		update(DT_BF16, DT_BF16, fixed, qkv);
		update(DT_F16, DT_F16, fixed, pair);
		update(DT_BF16, DT_F32, fixed, down);
	}
}

/* The parts of two owners add up to the bits of one. */
TEST(owners_give_the_bits_of_one)
{
	struct split k = {.n_leaves = 8, .count = 8};
	struct backend *b = open_backend(DT_BF16, true);
	struct rng r = {4};
	uint16_t *x = random_halves(&r, ROWS * COLS, K_BF16);
	float *sum[3], *got = xalloc((size_t)(ROWS * RANK), 4);
	struct adapters all;

	for (int i = 0; i < 8; i++)
		k.start[i + 1] = i == 7 ? COLS : 12 * (i + 1);
	for (int o = 0; o < 3; o++) { /* all; the first four leaves; the others */
		struct lora_shape s = {.slots = SLOTS, .rank = RANK, .pieces = 1, .rows = {8}, .k = k};
		int from, cols;
		uint16_t *mine;
		struct lora *l;
		float *da, *db, *t = dev_new(ROWS * RANK * 4);
		struct lora_slot *on_device = backend_alloc(b, SLOTS * sizeof *on_device);
		void *dx, *ds = dev_put(slots, sizeof slots);
		struct tensor tx;
		if (o)
			s.k.first = o == 2 ? 4 : 0, s.k.count = 4;
		from = split_columns(&s.k).first, cols = split_columns(&s.k).count;
		mine = xalloc((size_t)(ROWS * cols), 2);
		for (int i = 0; i < ROWS * cols; i++)
			mine[i] = x[i / cols * COLS + from + i % cols];
		da = backend_alloc(b, lora_a_size(&s) * SLOTS * 4), db = backend_alloc(b, lora_b_size(&s) * SLOTS * 4);
		l = lora_create(&s, da, db, on_device);
		all.slot[0] = (struct lora_slot){.rank = {16}, .a_of = {0, -1, -1}};
		for (int i = 0; i < SLOTS; i++) {
			struct rng same = {5};
			float *a = xalloc(lora_a_size(&s), 4), *rows = random_floats(&same, (size_t)(16 * COLS));
			for (int j = 0; j < 16; j++)
				lora_put_a(l, a, 0, j, rows + j * COLS + from);
			backend_upload(b, l->a + (size_t)i * lora_a_size(&s), a, lora_a_size(&s) * 4);
			lora_switch(b, l, i, &all.slot[0]);
			free(a), free(rows);
		}
		dx = dev_put(mine, (size_t)(ROWS * cols) * 2), tx = tensor_of(dx, DT_BF16, ROWS, cols);
		backend_lora_down(b, t, &tx, l, ds);
		backend_sync(b);
		sum[o] = xalloc(ROWS * RANK, 4);
		dev_get(sum[o], t, ROWS * RANK * 4);
		lora_destroy(l);
		backend_free(b, da, lora_a_size(&s) * SLOTS * 4), backend_free(b, db, lora_b_size(&s) * SLOTS * 4);
		backend_free(b, on_device, SLOTS * sizeof *on_device);
		dev_free(t), dev_free(dx), dev_free(ds);
		free(mine);
	}
	for (int i = 0; i < ROWS * RANK; i++)
		if (slots[i / RANK] >= 0 && i % RANK < 16)
			CHECK(sum[1][i] + sum[2][i] == sum[0][i]);
	for (int o = 0; o < 3; o++)
		free(sum[o]);
	free(x), free(got);
	backend_destroy(b);
}

CHECK_MAIN()
