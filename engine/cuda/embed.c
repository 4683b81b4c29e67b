/* embed.c - launches the lookup of rows of the embedding table. */
#include "engine/cuda/cuda.h"

void cuda_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	const struct cuda_weight *w = (const struct cuda_weight *)table;
	struct cuda *c = cuda_of(b);

	if (out->rows)
		cuda_check((table->quant ? k_embed_int8 : k_embed)(c->stream, c->type, out->data, ids, c->sampled,
								   c->how.limits.max_tokens, w->data, out->rows,
								   out->cols, w->ld, table->rows, first_id),
			   "embed");
}
