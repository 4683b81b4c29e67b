/* plan.c - cuts a step's attention into work for thread blocks. Decode (few new tokens of a sequence): one block per
 * token, keys split over the SMs (flash-decoding). Prefill (many): tiles of 128 queries, longest first. */
#include "engine/cuda/cuda.h"

#include <stdlib.h>

int plan_max_items(const struct step_limits *lim, bool fixed, int max_parts)
{
	return (fixed ? lim->max_tokens : min_int(lim->max_tokens, DECODE_TOKENS * lim->max_seqs)) + max_parts;
}

static bool one_by_one(const struct step *s, int seq, const struct plan_limits *lim)
{
	return lim->fixed || s->q_start[seq + 1] - s->q_start[seq] <= DECODE_TOKENS;
}

/* Where a token's work begins: at the first key of its window or, where items are cut by position, at the range that
 * holds it. */
static int first_key(const struct step *s, int token, const struct plan_limits *lim)
{
	int step = lim->fixed ? FIXED_RANGE : KV_BLOCK;

	return lim->window ? max_int(s->pos[token] + 1 - lim->window, 0) / step * step : 0;
}

/* Keys of one item at most: eight blocks an SM over all keys of the step, but enough keys that folding the parts stays
 * cheap. */
static int chunk_of(const struct step *s, const struct plan_limits *lim)
{
	int64_t keys = 0, blocks = max_int(1, 8 * lim->sms);

	if (lim->fixed)
		return FIXED_RANGE;
	for (int i = 0; i < s->head->n_seqs; i++)
		for (int t = s->q_start[i]; one_by_one(s, i, lim) && t < s->q_start[i + 1]; t++)
			keys += s->pos[t] + 1 - first_key(s, t, lim);
	keys = (keys * max_int(lim->runs, 1) + blocks - 1) / blocks;
	return max_int(LEAST_KEYS, (int)round_up((size_t)keys, KV_BLOCK));
}

static void plan_token(struct attn_plan *p, const struct step *s, int seq, int token, int chunk,
		       const struct plan_limits *lim, int *parts)
{
	int from = first_key(s, token, lim), keys = s->pos[token] + 1 - from, n = div_up(keys, chunk), first = *parts;
	bool cut = n > 1 && first + n <= lim->max_parts;
	int per = !cut ? keys : lim->fixed ? chunk : (int)round_up((size_t)div_up(keys, n), KV_BLOCK); /* alike */

	for (int at = 0; at < keys; at += per) {
		REQUIRE(p->n_items < lim->max_items);
		p->items[p->n_items++] = (struct attn_item){token,
							    s->block_start[seq],
							    from + at,
							    min_int(per, keys - at),
							    cut ? (*parts)++ : 0,
							    cut ? p->n_joins : -1};
	}
	if (cut)
		p->joins[p->n_joins++] = (struct attn_join){first, *parts - first};
}

static int by_length(const void *a, const void *b)
{
	const struct attn_tile *x = a, *y = b;
	int l = x->pos + x->rows, r = y->pos + y->rows;

	return l != r ? (l < r) - (l > r) : (x->token > y->token) - (x->token < y->token);
}

void plan_attention(struct attn_plan *p, const struct step *s, const struct plan_limits *lim)
{
	int chunk = chunk_of(s, lim), parts = 0;

	p->n_items = p->n_joins = p->n_tiles = 0;
	for (int i = 0; i < s->head->n_seqs; i++) {
		int end = s->q_start[i + 1];
		if (one_by_one(s, i, lim)) {
			for (int t = s->q_start[i]; t < end; t++)
				plan_token(p, s, i, t, chunk, lim, &parts);
			continue;
		}
		for (int t = s->q_start[i]; t < end; t += ATTN_TILE)
			p->tiles[p->n_tiles++] =
				(struct attn_tile){t, min_int(ATTN_TILE, end - t), s->pos[t], s->block_start[i]};
	}
	if (p->n_tiles > 1)
		qsort(p->tiles, (size_t)p->n_tiles, sizeof *p->tiles, by_length);
}
