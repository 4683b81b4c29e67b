/* linear.c - how matrix products are cut into units of work. */
#include "engine/cpu/cpu.h"

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

/* Packs the activations of all rows into the form that the weight's kernel reads. A few rows are not worth waking the
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
				  .offset = cpu_x_offset(w),
				  .halves = cpu_x_halves(w),
				  .order = w->order,
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
	int panels, group;     /* panels of the weight; panels of a unit */
	int units, per;        /* units that cover all panels; tiles of a unit */
};

static void linear_unit(void *arg, int unit, int worker)
{
	const struct linear_units *u = arg;
	const struct cpu_kernels *k = u->cpu->k;
	struct linear_job j = u->job;
	int panel = unit % u->units * u->group;
	const struct band *band = cpu_band(u->w, panel);
	size_t col = (size_t)panel * PANEL;

	j.panel = cpu_panel(u->w, band, panel);
	j.panel_bytes = band->panel_bytes;
	j.heads = (size_t)u->w->units * w_unit(band->pack);
	j.out += col;
	j.bias = j.bias ? j.bias + col : NULL;
	j.first = unit / u->units * u->per;
	j.end = min_int(j.first + u->per, j.tiles.count);
	j.cols = min_int(PANEL * u->group, u->w->base.rows - (int)col);
	j.scratch = u->cpu->scratch + (size_t)worker * linear_scratch();
	(u->w->form == X_DOT ? k->linear_dot : k->linear[band->pack])(&j);
}

enum { GROUP_FROM = 8 /* tiles: the activations of few rows stay in the cache while panel after panel streams in */ };

/* Whether panels of a band may go in pairs. */
static bool even_bands(const struct cpu_weight *w)
{
	for (int i = 1; i < w->n_bands; i++)
		if (w->band[i].first % JOB_PANELS)
			return false;
	return true;
}

/* A unit is one panel or a few. Where that makes too few units for the workers, rows are cut as well. */
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
				    .tiles = tiles,
				    .out = out,
				    .out_stride = n,
				    .part_stride = n * (size_t)x->rows,
				    .bias = bias};
	u.group = !even_bands(w)                                                      ? 1
		  : tiles.count >= GROUP_FROM && u.panels >= 8 * threads * JOB_PANELS ? JOB_PANELS
										      : 1;
	u.units = div_up(u.panels, u.group);
	cuts = threads == 1 ? 1 : min_int(div_up(4 * threads, u.units), div_up(tiles.count, 2));
	u.per = div_up(tiles.count, cuts);
	pool_each(cpu_of(b)->pool, u.units * div_up(tiles.count, u.per), linear_unit, &u);
}
