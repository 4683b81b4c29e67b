/* load.c - reads the targets of a loader in slices, by a few threads, and hands their rows to the backend. */
#include "engine/models/dummy.h"
#include "engine/models/loader.h"
#include "engine/models/lora_inside.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { STAGING = 4 << 20, MAX_THREADS = 8, WHOLE = 32 /* rows that are packed fastest together */ };

static double number_at(const void *row, enum dtype type, int64_t i)
{
	const uint16_t *h = row;

	return type == DT_F32    ? (double)((const float *)row)[i]
	       : type == DT_BF16 ? (double)f32_from_bf16(h[i])
				 : (double)f32_from_f16(h[i]);
}

static void number_put(void *row, enum dtype type, int64_t i, float x)
{
	uint16_t *h = row;

	if (type == DT_F32)
		((float *)row)[i] = x;
	else
		h[i] = type == DT_BF16 ? bf16_from_f32(x) : f16_from_f32(x);
}

static void convert(void *dst, enum dtype to, const void *src, enum dtype from, size_t n)
{
	const uint16_t *h = src;
	const double *d = src;
	float *f = dst;

	REQUIRE(to == DT_F32);
	for (size_t i = 0; i < n; i++)
		f[i] = from == DT_F64 ? (float)d[i] : from == DT_BF16 ? f32_from_bf16(h[i]) : f32_from_f16(h[i]);
}

/* Rows [first, first + count) of a piece and columns `col` of them, in the type and without the order of its tensor. */
static int read_source(struct loader *l, const struct target *t, const struct piece *p, struct span col, int64_t first,
		       int64_t count, char *raw, struct why *why)
{
	const size_t row = (size_t)col.count * dtype_size(p->t->type);
	int64_t run, at;
	int err = 0;

	for (int64_t r = 0; !err && r < count; r += run) {
		at = row_source(t->slot.row, &l->m->cfg, p->fused, (int)(p - t->piece), first + r, &run);
		run = run < count - r ? run : count - r;
		err = checkpoint_read(l->ck, p->t, at, run, col.first, col.count, raw + (size_t)r * row, why);
	}
	return err;
}

/* Scales each row to length 1, and rounds to its type, as Baichuan 2 does with its head. */
static void make_unit(void *rows, enum dtype type, int64_t n, int64_t cols)
{
	for (int64_t r = 0; r < n; r++) {
		char *row = (char *)rows + (size_t)(r * cols) * dtype_size(type);
		double sum = 0;
		for (int64_t i = 0; i < cols; i++) {
			double x = number_at(row, type, i);
			sum += x * x;
		}
		for (int64_t i = 0; i < cols; i++)
			number_put(row, type, i, (float)(number_at(row, type, i) / fmax(sqrt(sum), 1e-12)));
	}
}

/* Rows [first, first + count) of this rank's part of a piece and columns `col` of them, in the target's type, as the
 * files have them. */
static int read_stored(struct loader *l, const struct target *t, const struct piece *p, struct span col, int64_t first,
		       int64_t count, void *raw, void *out, struct why *why)
{
	size_t n = (size_t)(count * col.count), own = (size_t)(count * p->col.count);
	int err;

	if (!p->t) {
		dummy_fill(out, t->stored, l->m->how.dummy_seed, p->name, p->width, p->row.first + first, count,
			   col.first, col.count, p->mean, p->std);
		atomic_fetch_add(&l->progress->bytes, own * dtype_size(t->stored));
		return 0;
	}
	if (p->t->type == t->stored)
		raw = out;
	err = read_source(l, t, p, col, p->row.first + first, count, raw, why);
	if (err)
		return err;
	if (raw != out)
		convert(out, t->stored, raw, p->t->type, n);
	if (t->slot.row->kind == WEIGHT_HEAD && l->m->cfg.unit_head)
		make_unit(out, t->stored, count, col.count);
	atomic_fetch_add(&l->progress->bytes, own * dtype_size(p->t->type));
	return 0;
}

/* The same, with adapters that are to be merged. */
static int read_rows(struct loader *l, const struct target *t, const struct piece *p, struct span col, int64_t first,
		     int64_t count, void *raw, void *out, struct why *why)
{
	int err = read_stored(l, t, p, col, first, count, raw, out, why);

	return err ? err
		   : lora_merge_rows(l->m, &t->slot, (int)(p - t->piece), p->row.first + first, count, col, out,
				     t->stored, why);
}

/* `at`: where the piece begins in the target's rows. */
static int load_piece(struct loader *l, const struct target *t, const struct piece *p, int at, void *raw, void *out,
		      struct why *why)
{
	const struct model *m = l->m;
	bool vector = slot_is_vector(&t->slot), whole = !vector && weight_reads_whole_rows(*slot_weight(m, &t->slot));
	struct span col = whole ? (struct span){0, (int)p->width} : p->col;
	int64_t step = STAGING / (col.count * 8 > 0 ? col.count * 8 : 1);
	int err = 0;

	step = step < 1 ? 1 : step > WHOLE ? step / WHOLE * WHOLE : step;
	for (int64_t r = 0, n; !err && p->col.count && r < p->row.count; r += n) {
		n = step > WHOLE ? step - (at + r) % WHOLE : step;
		n = p->row.count - r < n ? p->row.count - r : n;
		err = read_rows(l, t, p, col, r, n, raw, out, why);
		if (!err && vector)
			backend_upload(m->b, *slot_vector(m, &t->slot) + at + r, out, (size_t)n * sizeof(float));
		else if (!err)
			weight_rows(*slot_weight(m, &t->slot), at + (int)r, (int)n, out, (size_t)col.count);
	}
	return err;
}

static size_t staging_bytes(const struct loader *l)
{
	int64_t widest = 1;

	for (int i = 0; i < l->n_targets; i++)
		for (int j = 0; j < l->target[i].n_pieces; j++)
			widest = l->target[i].piece[j].width > widest ? l->target[i].piece[j].width : widest;
	return STAGING + 8 * (size_t)widest;
}

static void *load_thread(void *arg)
{
	struct loader *l = arg;
	void *raw = xalloc(staging_bytes(l), 1), *out = xalloc(staging_bytes(l), 1);
	struct why why = {""};
	int i;

	while (!atomic_load(&l->err) && (i = atomic_fetch_add(&l->next, 1)) < l->n_targets) {
		const struct target *t = &l->target[i];
		int at = t->at, err = 0;
		for (int j = 0; !err && j < t->n_pieces; at += t->piece[j++].row.count)
			err = !t->codes ? load_piece(l, t, &t->piece[j], at, raw, out, &why)
			      : t->piece[j].t && t->piece[j].t->block ? load_blocks(l, t, &t->piece[j], at, &why)
								      : load_codes(l, t, &t->piece[j], at, &why);
		if (!err)
			continue;
		pthread_mutex_lock(&l->lock);
		if (!atomic_exchange(&l->err, err) && l->why)
			*l->why = why;
		pthread_mutex_unlock(&l->lock);
	}
	free(raw);
	free(out);
	return NULL;
}

/* Backends pack into memory that is zero where no row is put. */
static void touch_all(struct loader *l)
{
	for (int i = 0; i < l->n_targets; i++) {
		const struct slot *s = &l->target[i].slot;
		struct weight *w = slot_is_vector(s) || s->expert ? NULL : *slot_weight(l->m, s);

		if (w)
			weight_touch(w);
		load_add(l->progress, w ? w->bytes : 0);
	}
}

int loader_read(struct loader *l)
{
	pthread_t threads[MAX_THREADS];
	int n = min_int(MAX_THREADS, max_int(1, (int)sysconf(_SC_NPROCESSORS_ONLN)));

	touch_all(l);
	load_begin(l->progress, LOAD_WEIGHTS, 0);
	if (l->ck)
		checkpoint_prefetch(l->ck, l->m->shard.rank, l->m->shard.size);
	for (int i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, load_thread, l))
			die("cannot start a loader thread");
	load_thread(l);
	for (int i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&l->err);
}
