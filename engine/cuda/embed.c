/* embed.c - launches the lookup of rows of the embedding table. */
#include "engine/cuda/cuda.h"

static k_embedding *const embed[] = {[QUANT_NONE] = k_embed,
				     [QUANT_INT8] = k_embed_int8,
				     [QUANT_INT4] = k_embed_int4,
				     [QUANT_UINT8] = k_embed_uint8,
				     [QUANT_UINT4] = k_embed_uint4};

void cuda_embed(struct backend *b, struct tensor *out, const int32_t *ids, const struct weight *table, int first_id)
{
	const struct cuda_weight *w = (const struct cuda_weight *)table;
	struct cuda *c = cuda_of(b);
	int known = c->how.limits.max_tokens;

	if (!out->rows)
		return;
	if (table->quant == QUANT_FP8)
		cuda_check(k_embed_fp8(c->stream, c->type, out->data, ids, c->sampled, known, w->data, w->scale,
				       out->rows, out->cols, w->ld, table->rows, first_id),
			   "embed");
	else
		cuda_check(embed[table->quant](c->stream, c->type, out->data, ids, c->sampled, known, w->data,
					       out->rows, out->cols, w->ld, table->rows, first_id),
			   "embed");
}
