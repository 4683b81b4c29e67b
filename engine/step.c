#include "engine/step.h"

#include <stdlib.h>
#include <string.h>

static size_t words(int tokens, int seqs, int blocks, int rows)
{
	return sizeof(struct step_head) / sizeof(int32_t) + 3 * (size_t)tokens + 5 * (size_t)seqs + 2 + (size_t)blocks +
	       (size_t)rows;
}

struct step_order step_order(enum step_kind kind, int no)
{
	struct step_order o = {.head = {.kind = (int32_t)kind, .no = no}};

	o.head.bytes = (int32_t)(sizeof(int32_t) * words(0, 0, 0, 0));
	REQUIRE((size_t)o.head.bytes == sizeof o);
	return o;
}

size_t step_bytes_max(const struct step_limits *lim)
{
	return sizeof(int32_t) * words(lim->max_tokens, lim->max_seqs, lim->max_blocks, lim->max_tokens);
}

void step_init(struct step *s, const struct step_limits *lim)
{
	memset(s, 0, sizeof *s);
	s->head = xalloc(1, step_bytes_max(lim));
	step_layout(s);
}

void step_finish(struct step *s)
{
	free(s->head);
	memset(s, 0, sizeof *s);
}

void step_layout(struct step *s)
{
	struct step_head *h = s->head;
	int32_t *at = (int32_t *)(h + 1);

	s->token = at;
	s->pos = s->token + h->pad_tokens;
	s->slot = s->pos + h->pad_tokens;
	s->seq = s->slot + h->pad_tokens;
	s->adapter = s->seq + h->pad_seqs;
	s->q_start = s->adapter + h->pad_seqs;
	s->kv_len = s->q_start + h->pad_seqs + 1;
	s->block_start = s->kv_len + h->pad_seqs;
	s->blocks = s->block_start + h->pad_seqs + 1;
	s->row = s->blocks + h->n_blocks;
	h->bytes = (int32_t)(sizeof(int32_t) * words(h->pad_tokens, h->pad_seqs, h->n_blocks, h->pad_rows));
}

int step_named(const struct step *s)
{
	int least = 0;

	for (int i = 0; i < s->head->n_tokens; i++)
		least = min_int(least, s->token[i]);
	return -least;
}

static void check_head(const struct step_head *h, const struct step_limits *lim)
{
	REQUIRE(h->kind >= STEP_STOP && h->kind <= STEP_LORA_SWITCH);
	REQUIRE(h->n_seqs >= 0 && h->n_seqs <= h->pad_seqs && h->pad_seqs <= lim->max_seqs);
	REQUIRE(h->n_tokens >= h->n_seqs && h->n_tokens <= h->pad_tokens && h->pad_tokens <= lim->max_tokens);
	REQUIRE(h->n_rows >= 0 && h->n_rows <= h->pad_rows && h->pad_rows <= lim->max_tokens);
	REQUIRE(h->n_blocks >= 0 && h->n_blocks <= lim->max_blocks);
}

static void check_arrays(const struct step *s, const struct step_limits *lim)
{
	const struct step_head *h = s->head;

	REQUIRE(s->q_start[0] == 0 && s->block_start[0] == 0 && step_named(s) <= lim->max_tokens);
	for (int i = 0; i < h->n_seqs; i++) {
		REQUIRE(s->q_start[i + 1] > s->q_start[i]);
		REQUIRE(s->block_start[i + 1] > s->block_start[i]);
		REQUIRE(s->kv_len[i] >= s->q_start[i + 1] - s->q_start[i] && s->adapter[i] >= 0);
	}
	REQUIRE(s->q_start[h->n_seqs] == h->n_tokens && s->block_start[h->n_seqs] == h->n_blocks);
	for (int r = 0; r < h->n_rows; r++)
		REQUIRE(s->row[r] > (r ? s->row[r - 1] : -1) && s->row[r] < h->n_tokens);
}

void step_receive(struct step *s, const struct step_limits *lim, size_t bytes)
{
	REQUIRE(bytes >= sizeof *s->head && (size_t)s->head->bytes == bytes);
	check_head(s->head, lim);
	step_layout(s);
	REQUIRE((size_t)s->head->bytes == bytes);
	if (s->head->kind == STEP_RUN)
		check_arrays(s, lim);
}
