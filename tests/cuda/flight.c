/* What is used while the device still works on it: the places that steps lie in, and the tokens that a step sampled.
 * Nothing starts here before the host waits for it. */
#include "engine/cuda/cuda.h"
#include "engine/backend/cuda_plugin.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

const struct plugin *xversed_plugin(void);

enum { VOCAB = 300, ROWS = 3, TOKENS = 8, ROUNDS = 7 };

static struct backend *open_backend(void)
{
	struct cuda_options how = {.compute = DT_BF16,
				   .limits = {.max_seqs = ROWS, .max_tokens = TOKENS, .max_blocks = 8, .rows = ROWS},
				   .max_context = 128,
				   .heads = 2,
				   .kv_heads = 2,
				   .head_dim = 64};
	struct why why;
	struct backend *b;

	setenv("FAKEGPU_HOLD_US", "10000000", 1);
	if (xversed_plugin()->backend_create(&b, &how, &why))
		CHECK_FAIL("no backend: %s", why.text);
	return b;
}

/* A sequence of `no` + 1 tokens, all of them the number of the step. */
static void make_step(struct step *s, int no)
{
	*s->head = (struct step_head){.kind = STEP_RUN,
				      .no = no,
				      .n_seqs = 1,
				      .n_tokens = no + 1,
				      .n_blocks = 1,
				      .pad_seqs = 1,
				      .pad_tokens = no + 1};
	step_layout(s);
	for (int t = 0; t <= no; t++)
		s->token[t] = no, s->pos[t] = s->slot[t] = t;
	s->seq[0] = s->q_start[0] = s->block_start[0] = s->blocks[0] = 0;
	s->q_start[1] = s->kv_len[0] = no + 1, s->block_start[1] = 1;
}

/* More steps than places for them, one after the other; each one's device copy is checked when its turn comes. */
TEST(steps_in_few_places)
{
	struct step_limits lim = {.max_seqs = ROWS, .max_tokens = TOKENS, .max_blocks = 8, .rows = ROWS};
	struct backend *b = open_backend();
	int32_t *came = backend_host_alloc(b, ROUNDS * TOKENS * sizeof *came);
	struct step s;

	step_init(&s, &lim);
	for (int no = 0; no < ROUNDS; no++) {
		make_step(&s, no);
		cuda_check(cudaMemcpyAsync(came + no * TOKENS, backend_step(b, &s)->token,
					   (size_t)(no + 1) * sizeof *came, cudaMemcpyDeviceToHost, cuda_of(b)->stream),
			   "looking at a step");
	}
	backend_sync(b);
	for (int no = 0; no < ROUNDS; no++)
		for (int t = 0; t <= no; t++)
			if (came[no * TOKENS + t] != no)
				CHECK_FAIL(
					"token %d of step %d should be of that step, but is of step %d: a place was filled in while it was copied",
					t, no, came[no * TOKENS + t]);
	step_finish(&s);
	backend_host_free(b, came);
	backend_destroy(b);
}

/* The likeliest token of row i in a round, and the only one that is reported. */
static int word_of(int round, int i)
{
	return (31 * round + 7 * i + 1) % VOCAB;
}

TEST(words_of_steps)
{
	struct backend *b = open_backend();
	float *logits = backend_sample_open(b, ROWS, VOCAB), rows[ROWS][VOCAB];
	struct sampling how = sampling_default();
	struct sample what[ROWS];
	struct sampled out[ROWS];
	bool left[ROWS];

	how.temperature = 0;
	for (int round = 0; round < ROUNDS; round++) {
		memset(rows, 0, sizeof rows);
		for (int i = 0; i < ROWS; i++) {
			rows[i][word_of(round, i)] = 1;
			what[i] = (struct sample){.seq = i, .given = -1, .how = &how, .n_top = -1};
		}
		backend_upload(b, logits, rows, sizeof rows);
		backend_sample(b, 0, ROWS, what, left);
		backend_sampled(b, ROWS, out);
		for (int i = 0; i < ROWS; i++)
			if (left[i] || out[i].id != word_of(round, i))
				CHECK_FAIL(
					"row %d of step %d should draw word %d, but %d is told: it was read before it was there",
					i, round, word_of(round, i), out[i].id);
	}
	backend_destroy(b);
}

CHECK_MAIN()
