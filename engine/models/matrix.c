#include "engine/models/matrix.h"

#include <stdlib.h>
#include <string.h>

#include "engine/models/rows.h"

/* What follows "model.layers.N." in a name, and N; NULL: no layer's. */
static const char *in_layer(const struct family *f, const char *name, int *layer)
{
	size_t n = strlen(f->layer), most = f->prefix ? strlen(f->prefix) : 0;
	char *end;

	if (strncmp(name, f->layer, n)) {
		if (!most || strncmp(f->layer, f->prefix, most) || strncmp(name, f->layer + most, n - most))
			return NULL;
		n -= most;
	}
	*layer = (int)strtol(name + n, &end, 10);
	return end > name + n && *end == '.' ? end + 1 : NULL;
}

static bool row_has(const struct weight_row *row, const char *name)
{
	for (int i = 0; i < row_pieces(row); i++)
		if (row_name_is(row->piece[i].name, name))
			return true;
	for (size_t i = 0; i < sizeof row->fused / sizeof *row->fused && row->fused[i]; i++)
		if (row_name_is(row->fused[i], name))
			return true;
	return false;
}

/* The K axis of a sum over heads is cut between heads, all others at multiples of 32. */
static bool keeps_groups(const struct weight_row *row, const struct model_config *c)
{
	return row->cols != AXIS_Q || c->head_dim % 32 == 0;
}

bool model_tensor_is_matrix(const struct model_config *c, const char *name)
{
	const struct family *f = family_of(c);
	int layer = 0;
	const char *own = in_layer(f, name, &layer);

	if (!own || layer < 0 || layer >= c->layers)
		return false;
	for (const struct weight_row *row = f->rows; row_pieces(row); row++)
		if (row->per_layer && row->kind == WEIGHT_MATRIX && row_is_there(row, c, layer) &&
		    keeps_groups(row, c) && row_has(row, own))
			return true;
	return false;
}
