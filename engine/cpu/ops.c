/* ops.c - how the simple operations are cut into units of work. */
#include "engine/cpu/cpu.h"

#include <string.h>

enum { CHUNK = 4096 /* elements worth a worker's waking */ };

struct embed_job {
	struct tensor *out;
	const int32_t *ids;
	const struct cpu_weight *table;
	int first_id;
};

static void embed_unit(void *arg, int row, int worker)
{
	const struct embed_job *j = arg;
	float *out = (float *)j->out->data + (size_t)row * (size_t)j->out->cols;
	int64_t at = (int64_t)j->ids[row] - j->first_id;

	(void)worker;
	if (at >= 0 && at < j->table->base.rows)
		cpu_weight_row(j->table, (int)at, out);
	else
		memset(out, 0, (size_t)j->out->cols * sizeof *out);
}

void cpu_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	struct embed_job j = {out, ids, (const struct cpu_weight *)table, first_id};

	pool_each(cpu_of(b)->pool, out->rows, embed_unit, &j);
}

struct rows_job {
	const struct cpu_kernels *k;
	struct norm_job norm; /* of row 0 */
	size_t out_row;       /* bytes */
	int rows, per;        /* rows of a unit */
};

static void norm_unit(void *arg, int unit, int worker)
{
	const struct rows_job *j = arg;

	(void)worker;
	for (int r = unit * j->per; r < min_int(j->rows, (unit + 1) * j->per); r++) {
		struct norm_job one = j->norm;
		one.out = (char *)one.out + (size_t)r * j->out_row;
		one.x += (size_t)r * (size_t)one.cols;
		if (one.delta)
			one.delta += (size_t)r * (size_t)one.cols;
		j->k->norm(&one);
	}
}

void cpu_add_norm(struct backend *b, struct tensor *out, struct tensor *x, const float *delta, const float *w,
		  const float *bias, enum norm_kind kind, float eps)
{
	struct rows_job j = {.k = cpu_of(b)->k, .rows = x->rows, .out_row = (size_t)out->cols * dtype_size(out->type)};

	j.norm = (struct norm_job){out->data, out->type, x->data, delta, w, bias, kind, eps, x->cols};
	j.per = max_int(1, CHUNK / max_int(1, x->cols));
	pool_each(cpu_of(b)->pool, div_up(x->rows, j.per), norm_unit, &j);
}

struct pack_units {
	const struct cpu_kernels *k;
	enum x_form form;
	struct pack_job job; /* of row 0 */
	struct tiles tiles;
};

static void pack_unit(void *arg, int tile, int worker)
{
	const struct pack_units *u = arg;
	struct pack_job j = u->job;

	(void)worker;
	j.row = tile_row(u->tiles, tile);
	j.rows = tile_row(u->tiles, tile + 1) - j.row;
	j.x += (size_t)j.row * j.x_stride;
	u->k->pack_x[u->form](&j);
}

/* Activations of all rows to the form that the weight's kernel reads; a few rows are not worth waking the
 * workers. */
static void pack_rows(struct cpu *cpu, const struct cpu_weight *w, const struct tensor *x, struct tiles tiles)
{
	struct pack_units u = {.k = cpu->k, .form = w->form, .tiles = tiles};

	REQUIRE(x->rows <= cpu->how.max_tokens);
	u.job = (struct pack_job){.seg = w->seg,
				  .n_seg = w->n_seg,
				  .x = x->data,
				  .x_stride = (size_t)x->cols * dtype_size(x->type),
				  .type = x->type,
				  .all = x->rows,
				  .offset = w->pack == PACK_INT8 ? 128 : 8,
				  .out = cpu->x};
	if (x->rows * x->cols > 4 * CHUNK)
		pool_each(cpu->pool, tiles.count, pack_unit, &u);
	else
		for (int i = 0; i < tiles.count; i++)
			pack_unit(&u, i, 0);
}

struct linear_units {
	const struct cpu *cpu;
	const struct cpu_weight *w;
	struct linear_job job; /* of panel 0 */
	int panels, group;     /* panels of the weight, of a unit */
	int units, per;        /* units that go through all panels; tiles of a unit */
};

static void linear_unit(void *arg, int unit, int worker)
{
	const struct linear_units *u = arg;
	const struct cpu_kernels *k = u->cpu->k;
	struct linear_job j = u->job;
	int panel = unit % u->units * u->group;
	size_t col = (size_t)panel * PANEL;

	j.panel = u->w->panels + (size_t)panel * u->w->panel_bytes;
	j.out += col;
	j.bias = j.bias ? j.bias + col : NULL;
	j.first = unit / u->units * u->per;
	j.end = min_int(j.first + u->per, j.tiles.count);
	j.cols = min_int(PANEL * u->group, u->w->base.rows - (int)col);
	j.scratch = u->cpu->scratch + (size_t)worker * linear_scratch();
	(u->w->form == X_DOT ? k->linear_dot : k->linear[u->w->pack])(&j);
}

enum { GROUP_FROM = 8 /* tiles: few rows stay in the cache while panel after panel streams in */ };

/* Units are one panel or a few; where these are too few for the workers, rows are cut as well. */
void cpu_linear(struct backend *b, float *out, const struct tensor *x, const struct weight *weight, const float *bias)
{
	const struct cpu_weight *w = (const struct cpu_weight *)weight;
	const size_t n = (size_t)weight->rows;
	struct linear_units u = {.cpu = cpu_of(b), .w = w, .panels = div_up(weight->rows, PANEL)};
	struct tiles tiles;
	int threads = pool_threads(cpu_of(b)->pool), cuts;

	if (!u.panels || !x->rows || !w->n_parts)
		return;
	tiles = tiles_of(x->rows, cpu_tile_rows(w));
	pack_rows(cpu_of(b), w, x, tiles);
	u.job = (struct linear_job){.seg = w->seg,
				    .n_seg = w->n_seg,
				    .x = cpu_of(b)->x,
				    .panel_bytes = w->panel_bytes,
				    .tiles = tiles,
				    .out = out,
				    .out_stride = n,
				    .part_stride = n * (size_t)x->rows,
				    .bias = bias};
	u.group = tiles.count >= GROUP_FROM && u.panels >= 8 * threads * JOB_PANELS ? JOB_PANELS : 1;
	u.units = div_up(u.panels, u.group);
	cuts = threads == 1 ? 1 : min_int(div_up(4 * threads, u.units), div_up(tiles.count, 2));
	u.per = div_up(tiles.count, cuts);
	pool_each(cpu_of(b)->pool, u.units * div_up(tiles.count, u.per), linear_unit, &u);
}

struct silu_job {
	const struct cpu_kernels *k;
	struct tensor *out;
	const float *gate_up;
	int pieces; /* of a row */
};

static void silu_unit(void *arg, int unit, int worker)
{
	const struct silu_job *j = arg;
	size_t row = (size_t)(unit / j->pieces), ffn = (size_t)j->out->cols;
	int col = unit % j->pieces * CHUNK, n = min_int(CHUNK, j->out->cols - col);
	const float *gate = j->gate_up + row * 2 * ffn + (size_t)col;

	(void)worker;
	j->k->silu_mul(j->out->data, row * ffn + (size_t)col, gate, gate + ffn, n, j->out->type);
}

void cpu_silu_mul(struct backend *b, struct tensor *out, const struct tensor *gate_up)
{
	struct silu_job j = {cpu_of(b)->k, out, gate_up->data, div_up(out->cols, CHUNK)};

	pool_each(cpu_of(b)->pool, out->rows * j.pieces, silu_unit, &j);
}

void cpu_rows(struct backend *b, struct tensor *out, const struct tensor *x, const int32_t *row)
{
	size_t bytes = (size_t)x->cols * dtype_size(x->type);

	(void)b;
	for (int i = 0; i < out->rows; i++) {
		REQUIRE(row[i] >= 0 && row[i] < x->rows);
		memcpy((char *)out->data + (size_t)i * bytes, (const char *)x->data + (size_t)row[i] * bytes, bytes);
	}
}
