/* lora_bind.c - the modules of an adapter are products of a family's table, by the names of their tensors. */
#include "engine/models/lora_inside.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FUSED = sizeof((struct weight_row *)NULL)->fused / sizeof *((struct weight_row *)NULL)->fused };

const struct weight_row *lora_row(const struct family *f, enum lora_product which)
{
	static const size_t place[] = {[LORA_QKV] = offsetof(struct layer, qkv),
				       [LORA_O] = offsetof(struct layer, o),
				       [LORA_GATE_UP] = offsetof(struct layer, gate_up),
				       [LORA_DOWN] = offsetof(struct layer, down)};

	for (const struct weight_row *row = f->rows; row_pieces(row); row++)
		if (row->per_layer && row->place == place[which])
			return row;
	return NULL;
}

bool lora_is_there(const struct model_config *c, const struct weight_row *row, int layer)
{
	return row && row_is_there(row, c, layer);
}

/* The module of a tensor "....weight", also where the adapter's names leave out what files may leave out. */
static const struct adapter_module *find(const struct family *f, const struct adapter *a, const struct weight_row *row,
					 const char *tensor, int layer)
{
	const struct adapter_module *m;
	char name[TENSOR_NAME];
	size_t n = f->prefix ? strlen(f->prefix) : 0;

	row_tensor(f, row, tensor, layer, 0, name);
	name[strlen(name) - strlen(".weight")] = 0;
	m = adapter_find(a, name);
	return m || !n || strncmp(name, f->prefix, n) ? m : adapter_find(a, name + n);
}

const struct adapter_module *lora_module(const struct family *f, const struct adapter *a, const struct weight_row *row,
					 int layer, int i, bool *fused)
{
	const struct adapter_module *m = row->order == QKV_THIRDS ? find(f, a, row, row->piece[i].name, layer) : NULL;

	*fused = false;
	for (int j = 0; !m && j < FUSED && row->fused[j]; j++) {
		m = find(f, a, row, row->fused[j], layer);
		*fused = m;
	}
	return m;
}

int lora_read_b(const struct model_config *c, const struct adapter *a, const struct adapter_module *m,
		const struct weight_row *row, bool fused, int i, int64_t first, int64_t count, float *dst,
		struct why *why)
{
	int64_t run, at;
	int err = 0;

	for (int64_t r = 0; !err && r < count; r += run) {
		at = row_source(row, c, fused, i, first + r, &run);
		run = run < count - r ? run : count - r;
		err = adapter_read(a, m->b, at, run, 0, m->rank, dst + r * m->rank, why);
	}
	return err;
}

/* ---- checks ---- */

struct check {
	const struct model_config *c;
	const struct family *f;
	const struct adapter *a;
	int rank;
	bool *used; /* (modules of the adapter) */
	struct why *why;
};

static int check_shape(const struct check *k, const struct adapter_module *m, int64_t outputs, int64_t inputs)
{
	const struct ck_tensor *odd = m->a->shape[1] != inputs ? m->a : m->b->shape[0] != outputs ? m->b : NULL;
	bool is_a = odd == m->a;
	char found[96];

	if (odd)
		return fail(
			k->why, ERR_FORMAT,
			"%.150s: tensor %.150s has shape %s; for this model it must be [%lld, %lld]: the adapter is another model's",
			k->a->dir, odd->name, ck_shape_text(odd, found, sizeof found),
			(long long)(is_a ? m->rank : outputs), (long long)(is_a ? inputs : m->rank));
	if (k->rank && m->rank > k->rank)
		return fail(k->why, ERR_LIMIT,
			    "%.200s: %.150s has rank %d; --max-lora-rank is %d: start the server with a larger one",
			    k->a->dir, m->name, m->rank, k->rank);
	return 0;
}

static int check_piece(const struct check *k, const struct weight_row *row, int layer, int i)
{
	bool fused;
	const struct adapter_module *m = lora_module(k->f, k->a, row, layer, i, &fused);
	int64_t outputs = fused ? row_length(row, row_pieces(row), k->c) : axis_length(row->piece[i].rows, k->c);

	if (!m)
		return 0;
	k->used[m - k->a->module] = true;
	return check_shape(k, m, outputs, axis_length(row->cols, k->c));
}

/* "q_proj, k_proj, ...": the last parts of the names that a target may have. */
static void list_targets(const struct family *f, char *out, size_t size)
{
	size_t n = 0;

	for (int p = 0; p < LORA_PRODUCTS; p++) {
		const struct weight_row *row = lora_row(f, (enum lora_product)p);
		for (int i = 0; row && i < LORA_PIECES + FUSED; i++) {
			const char *name = i < LORA_PIECES ? row->piece[i].name : row->fused[i - LORA_PIECES], *last;
			if (!name || (i < LORA_PIECES && row->order != QKV_THIRDS))
				continue;
			for (last = name + strlen(name) - strlen(".weight"); last > name && last[-1] != '.'; last--)
				;
			n += (size_t)snprintf(out + n, n < size ? size - n : 0, "%s%.*s", n ? ", " : "",
					      (int)(strlen(last) - strlen(".weight")), last);
		}
	}
}

static int refuse_module(const struct check *k, const char *name)
{
	const char *at = strstr(name, "layers.");
	char targets[256] = "";

	if (at && atoi(at + strlen("layers.")) >= k->c->layers)
		return fail(k->why, ERR_FORMAT,
			    "%.200s: the adapter changes %.150s, but the model has %d layers: it is another model's",
			    k->a->dir, name, k->c->layers);
	list_targets(k->f, targets, sizeof targets);
	return fail(k->why, ERR_UNSUPPORTED,
		    "%.150s: the adapter changes %.150s, which is no target of %s here: they are %s of each layer; "
		    "merge others with PEFT",
		    k->a->dir, name, k->c->architecture, targets);
}

static int check_all(const struct check *k)
{
	int err = 0;

	for (int layer = 0; layer < k->c->layers; layer++)
		for (int p = 0; p < LORA_PRODUCTS; p++) {
			const struct weight_row *row = lora_row(k->f, (enum lora_product)p);
			for (int i = 0; !err && lora_is_there(k->c, row, layer) && i < row_pieces(row); i++)
				err = check_piece(k, row, layer, i);
		}
	for (int i = 0; !err && i < k->a->n; i++)
		if (!k->used[i])
			err = refuse_module(k, k->a->module[i].name);
	return err;
}

int model_lora_check(const struct model_config *c, const struct adapter *a, int rank, struct why *why)
{
	struct check k = {c, family_of(c), a, rank, xalloc((size_t)a->n, 1), why};
	int err = check_all(&k);

	free(k.used);
	return err;
}
