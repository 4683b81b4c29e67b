/* embed.c - launches the lookup of rows of the embedding table. */
#include "engine/cuda/cuda.h"

void cuda_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	struct cuda *c = cuda_of(b);

	if (out->rows)
		cuda_check(k_embed(c->stream, c->type, out->data, ids, c->sampled, c->how.limits.max_tokens,
				   cuda_matrix((const struct cuda_weight *)table, 0), out->rows, out->cols, table->rows,
				   first_id),
			   "embed");
}
