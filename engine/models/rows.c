/* rows.c - the walk over a family's table, and what its axes mean for a config and a rank. */
#include "engine/models/rows.h"

#include <stdio.h>
#include <string.h>

bool row_is_there(const struct weight_row *row, const struct model_config *c, int layer)
{
	bool routed = row->per_layer && c->routed[layer];

	return (!row->part || (c->parts & row->part)) && !(c->tied && row->kind == WEIGHT_HEAD) &&
	       (row->layers == LAYERS_ALL || routed == (row->layers == LAYERS_ROUTED));
}

int row_layers(const struct weight_row *row, const struct model_config *c)
{
	int n = 0;

	for (int i = 0; i < (row->per_layer ? c->layers : 1); i++)
		n += row_is_there(row, c, i);
	return n;
}

bool row_name_is(const char *name, const char *text)
{
	size_t n = strcspn(name, "#"), digits;

	if (strncmp(name, text, n))
		return false;
	digits = name[n] ? strspn(text + n, "0123456789") : 0;
	return (digits > 0) == (name[n] == '#') && !strcmp(name + n + (digits > 0), text + n + digits);
}

/* The next row, whether the model has it or not. */
static void step(const struct model *m, struct slot *s)
{
	const struct weight_row *first = m->family->rows, *next = s->row ? s->row + 1 : first;

	if (s->row && s->row->per_layer && !next->per_layer && ++s->layer < m->cfg.layers) {
		next = s->row;
		while (next > first && next[-1].per_layer)
			next--;
	}
	s->row = next;
}

bool slot_next(const struct model *m, struct slot *s)
{
	do
		step(m, s);
	while (row_pieces(s->row) && !row_is_there(s->row, &m->cfg, s->layer));
	return row_pieces(s->row) > 0;
}

static char *pointer_at(const struct model *m, const struct slot *s)
{
	return (char *)(s->row->per_layer ? (void *)&m->layer[s->layer] : (void *)(uintptr_t)m) + s->row->place;
}

struct weight **slot_weight(const struct model *m, const struct slot *s)
{
	return (struct weight **)(void *)pointer_at(m, s);
}

float **slot_vector(const struct model *m, const struct slot *s)
{
	return (float **)(void *)pointer_at(m, s);
}

bool slot_is_vector(const struct slot *s)
{
	return s->row->kind == WEIGHT_GAIN || s->row->kind == WEIGHT_BIAS;
}

bool slot_is_empty(const struct model *m, const struct slot *s)
{
	enum axis rows = s->row->piece[0].rows;

	return (rows == AXIS_FFN || rows == AXIS_EXPERT_FFN || rows == AXIS_SHARED_FFN) && !axis_span(rows, m).count;
}

int slot_stack(const struct model *m, const struct slot *s)
{
	return s->row->stack == STACK_EXPERTS ? m->cfg.experts : 1;
}

int slot_rows(const struct model *m, const struct slot *s)
{
	int rows = 0;

	for (int i = 0; i < row_pieces(s->row); i++)
		rows += axis_span(s->row->piece[i].rows, m).count;
	return rows;
}

int64_t axis_length(enum axis a, const struct model_config *c)
{
	switch (a) {
	case AXIS_ONE:
		return 1;
	case AXIS_HIDDEN:
		return c->hidden;
	case AXIS_Q:
		return (int64_t)c->heads * c->head_dim;
	case AXIS_KV:
		return (int64_t)c->kv_heads * c->head_dim;
	case AXIS_FFN:
		return c->ffn;
	case AXIS_VOCAB:
		return c->vocab;
	case AXIS_HEAD:
		return c->head_dim;
	case AXIS_POSITIONS:
		return c->max_pos;
	case AXIS_EXPERTS:
		return c->experts;
	case AXIS_EXPERT_FFN:
		return c->expert_ffn;
	case AXIS_SHARED_FFN:
		return c->shared_ffn;
	}
	return 0;
}

struct span axis_span(enum axis a, const struct model *m)
{
	const struct shard *s = &m->shard;
	int d = m->cfg.head_dim;

	switch (a) {
	case AXIS_Q:
		return (struct span){s->heads.first * d, s->heads.count * d};
	case AXIS_KV:
		return (struct span){s->kv_heads.first * d, s->kv_heads.count * d};
	case AXIS_FFN:
		return split_columns(&s->down);
	case AXIS_EXPERT_FFN:
		return split_columns(&s->expert);
	case AXIS_SHARED_FFN:
		return split_columns(&s->shared);
	case AXIS_VOCAB:
		return s->vocab;
	default:
		return (struct span){0, (int)axis_length(a, &m->cfg)};
	}
}

struct split axis_split(enum axis a, const struct model *m)
{
	switch (a) {
	case AXIS_Q:
		return m->shard.o;
	case AXIS_FFN:
		return m->shard.down;
	case AXIS_EXPERT_FFN:
		return m->shard.expert;
	case AXIS_SHARED_FFN:
		return m->shard.shared;
	default:
		return split_whole((int)axis_length(a, &m->cfg));
	}
}

int row_pieces(const struct weight_row *row)
{
	enum { MOST = sizeof row->piece / sizeof *row->piece };
	int n = 0;

	while (n < MOST && row->piece[n].name)
		n++;
	return n;
}

int64_t row_length(const struct weight_row *row, int n, const struct model_config *c)
{
	int64_t rows = 0;

	for (int i = 0; i < n; i++)
		rows += axis_length(row->piece[i].rows, c);
	return rows;
}

void row_tensor(const struct family *f, const struct weight_row *row, const char *name, int layer, int expert,
		char out[TENSOR_NAME])
{
	int n = row->per_layer ? snprintf(out, TENSOR_NAME, "%s%d.", f->layer, layer) : 0;
	int before = (int)strcspn(name, "#");

	if (name[before])
		snprintf(out + n, (size_t)(TENSOR_NAME - n), "%.*s%d%s", before, name, expert, name + before + 1);
	else
		snprintf(out + n, (size_t)(TENSOR_NAME - n), "%s", name);
}

const struct ck_tensor *row_find(const struct family *f, const struct checkpoint *ck, const char *name)
{
	const struct ck_tensor *t = checkpoint_find(ck, name);
	size_t n = f->prefix ? strlen(f->prefix) : 0;

	return t || !n || strncmp(name, f->prefix, n) ? t : checkpoint_find(ck, name + n);
}

/* A head's dimensions as the files have them, where those that are rotated together are neighbours. */
static int64_t turned(const struct model_config *c, int64_t d)
{
	int64_t n = model_n_rot(c), half = n / 2;

	return d >= n ? d : d < half ? 2 * d : 2 * (d - half) + 1;
}

int64_t row_source(const struct weight_row *row, const struct model_config *c, bool fused, int i, int64_t at,
		   int64_t *run)
{
	const int64_t dim = c->head_dim, head = at / dim, block = max_int(c->heads / 4, 1),
		      group = c->heads / c->kv_heads;
	const bool turn = row->heads && i < 2 && c->rotates_neighbours;
	int64_t d = at % dim, first = at - d;

	*run = axis_length(row->piece[i].rows, c) - at;
	if (turn || (fused && row->order != QKV_THIRDS))
		*run = turn && d < model_n_rot(c) ? 1 : dim - d;
	if (turn)
		d = turned(c, d);
	if (fused && row->order == QKV_BY_HEAD)
		first = (i ? head * (group + 2) + group + i - 1 : head / group * (group + 2) + head % group) * dim;
	else if (fused && row->order == QKV_BY_BLOCK4)
		first = (head / block * 3 + (3 - i) % 3) * block * dim + head % block * dim;
	else if (fused)
		first += row_length(row, i, c);
	return row->skip + first + d;
}

const struct weight_row *row_at(const struct family *f, bool per_layer, size_t place)
{
	const struct weight_row *row = f->rows;

	while (row_pieces(row) && (row->per_layer != per_layer || row->place != place))
		row++;
	REQUIRE(row_pieces(row));
	return row;
}

/* `experts`: that count of a layer's. */
static uint64_t parameters(const struct model_config *c, int experts)
{
	uint64_t sum = 0;

	for (const struct weight_row *row = family_of(c)->rows; row_pieces(row); row++) {
		uint64_t one = (uint64_t)row_length(row, row_pieces(row), c) * (uint64_t)axis_length(row->cols, c);
		sum += (uint64_t)row_layers(row, c) * (row->stack == STACK_EXPERTS ? (uint64_t)experts : 1) * one;
	}
	return sum;
}

uint64_t model_parameters(const struct model_config *c)
{
	return parameters(c, c->experts);
}

uint64_t model_active_parameters(const struct model_config *c)
{
	return parameters(c, c->experts_per_token);
}
