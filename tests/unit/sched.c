/* The scheduler on a machine whose "keys" remember the whole text before them: a token drawn from a wrong,
 * stale or missing block differs from what the call draws alone. */
#include "engine/sched/sched.h"

#include <limits.h>

#include "tests/check.h"

enum { VOCAB = 50, BLOCK = 4, MOST = 64 };

static uint64_t random_state = 1;
static int below(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)((random_state >> 33) % (uint64_t)n);
}

static uint64_t chain(uint64_t before, int32_t token)
{
	uint64_t h = (before ^ (uint64_t)(uint32_t)token) * 0x9e3779b97f4a7c15u;

	return h ^ h >> 29;
}

static int32_t draw(uint64_t text)
{
	return (int32_t)(text % VOCAB);
}

/* ---- the machine ---- */

struct machine {
	uint64_t *key;              /* (n_blocks * BLOCK) hash of the text up to and with this token */
	int32_t drawn[2][MOST * 8]; /* by step & 1, by row */
};

static void run_seq(struct machine *m, const struct step *s, int i, int *row)
{
	const int32_t *blocks = s->blocks + s->block_start[i];

	for (int t = s->q_start[i]; t < s->q_start[i + 1]; t++) {
		int pos = s->pos[t];
		int32_t token = s->token[t] >= 0 ? s->token[t] : m->drawn[(s->head->no - 1) & 1][-1 - s->token[t]];
		uint64_t before = pos ? m->key[blocks[(pos - 1) / BLOCK] * BLOCK + (pos - 1) % BLOCK] : 0;

		CHECK_EQ(s->slot[t], blocks[pos / BLOCK] * BLOCK + pos % BLOCK);
		m->key[s->slot[t]] = chain(before, token);
		if (*row < s->head->n_rows && s->row[*row] == t)
			m->drawn[s->head->no & 1][(*row)++] = draw(m->key[s->slot[t]]);
	}
}

static void run_step(struct machine *m, const struct step *s)
{
	int row = 0;

	for (int i = 0; i < s->head->n_seqs; i++)
		run_seq(m, s, i, &row);
	CHECK_EQ(row, s->head->n_rows);
}

/* ---- calls and what they should give ---- */

struct want {
	struct call call;
	int32_t ids[MOST + 1], out[MOST + 1];
	int n_out;
	bool live;
	uint64_t token_checks;
};

/* What the call gives alone. */
static int32_t expected(const struct want *w, int pos)
{
	uint64_t text = 0;
	int32_t next = 0;

	for (int i = 0; i <= pos; i++) {
		int32_t token = i < w->call.n_prompt + w->call.n_resume ? w->ids[i] : next;
		text = chain(text, token);
		next = draw(text);
	}
	return next;
}

struct world {
	struct sched *sched;
	struct blocks *blocks;
	struct step step[2];
	struct machine m;
	struct want want[16];
	uint64_t next_call, finished;
	int in_flight, head;
	bool ahead; /* two steps in flight */
	bool open;  /* every other call is open-ended */
	struct sampled sampled[MOST * 8];
};

static struct sched_limits limits(int max_seqs, int max_tokens, int look_ahead)
{
	return (struct sched_limits){.step = {.max_seqs = max_seqs,
					      .max_tokens = max_tokens,
					      .max_blocks = max_seqs * (MOST / BLOCK),
					      .rows = 4},
				     .max_model_len = MOST,
				     .max_waiting = 6,
				     .max_waiting_tokens = 200,
				     .look_ahead = look_ahead,
				     .open_look_ahead = 3,
				     .vocab = VOCAB};
}

static void world_init(struct world *w, struct sched_limits lim, int n_blocks, bool ahead)
{
	memset(w, 0, sizeof *w);
	w->blocks = blocks_create(n_blocks, BLOCK, true);
	w->sched = sched_create(&lim, w->blocks);
	step_init(&w->step[0], &lim.step);
	step_init(&w->step[1], &lim.step);
	w->m.key = xalloc((size_t)(n_blocks * BLOCK), sizeof *w->m.key);
	w->ahead = ahead;
	w->next_call = 1;
}

static void world_finish(struct world *w)
{
	sched_check_idle(w->sched);
	step_finish(&w->step[0]);
	step_finish(&w->step[1]);
	sched_destroy(w->sched);
	blocks_destroy(w->blocks);
	free(w->m.key);
}

static void add(struct world *w)
{
	static const int32_t stop[] = {7};
	struct want *x = NULL;
	struct why why;

	for (int i = 0; i < 16 && !x; i++)
		x = w->want[i].live ? NULL : &w->want[i];
	if (!x)
		return;
	memset(x, 0, sizeof *x);
	x->call = (struct call){.call = w->next_call++, .scope = (uint64_t)below(2), .ids = x->ids};
	x->call.n_prompt = 1 + below(30);
	x->call.score = below(6) == 0;
	x->call.prompt_logprobs = x->call.score ? 0 : below(4) ? -1 : 0;
	x->call.max_tokens = below(24);
	x->call.turn = (uint64_t)below(3);
	x->call.open_ended = w->open && below(2);
	x->call.how = sampling_default();
	x->call.how.stop = stop;
	x->call.how.n_stop = below(2);
	for (int i = 0; i < x->call.n_prompt; i++)
		x->ids[i] = below(3) ? i % 5 : below(VOCAB); /* many share a prefix */
	if (x->call.max_tokens > 3 && below(4) == 0 && !x->call.score) {
		x->call.n_resume = 1 + below(2); /* as if drawn before */
		for (int i = 0; i < x->call.n_resume; i++)
			x->ids[x->call.n_prompt + i] = expected(x, x->call.n_prompt + i - 1);
	}
	x->n_out = x->call.n_resume;
	int err = sched_add(w->sched, &x->call, &why);
	CHECK(err == 0 || err == ERR_BUSY);
	x->live = !err;
}

static struct want *find(struct world *w, uint64_t call)
{
	for (int i = 0; i < 16; i++)
		if (w->want[i].live && w->want[i].call.call == call)
			return &w->want[i];
	CHECK_FAIL("an event of no call");
	return NULL;
}

static void check_finish(struct world *w, struct want *x, const struct event *e)
{
	bool draws = !x->call.score && x->call.max_tokens;

	if (e->finish == FINISH_LENGTH && draws)
		CHECK_EQ(x->n_out,
			 x->call.max_tokens < MOST - x->call.n_prompt ? x->call.max_tokens : MOST - x->call.n_prompt);
	if (e->finish == FINISH_LENGTH && (x->call.score || x->call.prompt_logprobs >= 0))
		CHECK_EQ(x->token_checks, x->call.n_prompt - 1);
	if (e->finish == FINISH_STOP)
		CHECK(x->call.how.n_stop);
	if (e->finish != FINISH_CANCEL)
		w->finished++;
	x->live = false;
	memset(&x->call, 0xee, sizeof x->call); /* nobody may look at it from now on */
	x->call.call = 0;
}

static void take_events(struct world *w)
{
	struct event e;

	while (sched_events(w->sched, &e, 1)) {
		struct want *x = find(w, e.call);
		for (int i = 0; i < e.n; i++) {
			if (e.scored)
				CHECK_EQ(e.id[i], x->ids[++x->token_checks]);
			else
				CHECK_EQ(e.id[i], expected(x, x->call.n_prompt + x->n_out++ - 1));
		}
		if (e.finish)
			check_finish(w, x, &e);
	}
}

static void finish_one(struct world *w)
{
	struct step *s = &w->step[(w->head - w->in_flight) & 1];
	const struct sample *p = sched_samples(w->sched, s);

	for (int r = 0; r < s->head->n_rows; r++)
		w->sampled[r].id = p[r].given >= 0 ? p[r].given : w->m.drawn[s->head->no & 1][r];
	sched_done(w->sched, s, w->sampled);
	w->in_flight--;
	take_events(w);
}

static bool turn(struct world *w)
{
	struct step *s = &w->step[w->head & 1];
	bool planned = sched_next(w->sched, s);

	if (planned) {
		w->head++;
		w->in_flight++;
		run_step(&w->m, s);
	}
	if (w->in_flight > (w->ahead && planned ? 1 : 0))
		finish_one(w);
	take_events(w);
	return planned;
}

static void random_life(int max_seqs, int max_tokens, int look_ahead, int n_blocks, bool ahead, bool open, int steps)
{
	static struct world w;
	struct sched_stats stats;

	world_init(&w, limits(max_seqs, max_tokens, look_ahead), n_blocks, ahead);
	w.open = open;
	for (int i = 0; i < steps; i++) {
		if (below(3) == 0)
			add(&w);
		if (below(40) == 0)
			sched_cancel(w.sched, w.next_call - 1 - (uint64_t)below(6), FINISH_CANCEL);
		turn(&w);
		if (!sched_has_work(w.sched))
			sched_check_idle(w.sched);
	}
	while (sched_has_work(w.sched))
		turn(&w);
	sched_stats(w.sched, &stats);
	printf("  %d seqs, %d tokens, %d blocks%s%s: %" PRIu64 " calls ended, %" PRIu64 " pre-emptions, %" PRIu64
	       " passed another, %" PRIu64 " tokens cached\n",
	       max_seqs, max_tokens, n_blocks, ahead ? ", one step ahead" : "", open ? ", half open-ended" : "",
	       w.finished, stats.preemptions, stats.passes, stats.cached_tokens);
	CHECK(w.finished > 100);
	CHECK((look_ahead == INT_MAX && !open) == (stats.preemptions == 0));
	world_finish(&w);
}

TEST(disturbed_equals_alone)
{
	random_life(4, 16, 0, 16, false, false, 300000);
	random_life(4, 16, INT_MAX, 32, false, false, 100000);
	random_life(8, 64, 2, 24, false, false, 100000);
	random_life(1, 1, INT_MAX, 16, false, false, 100000);
	random_life(4, 16, INT_MAX, 16, false, true, 200000);
}

/* The seam: a step is planned and run while the one before is not done. */
TEST(two_steps_in_flight)
{
	random_life(4, 16, 0, 16, true, false, 300000);
	random_life(8, 64, INT_MAX, 64, true, false, 100000);
	random_life(8, 64, INT_MAX, 24, true, true, 200000);
}

static void add_simple(struct world *w, int n_prompt, int max_tokens)
{
	struct want *x = &w->want[w->next_call];
	struct why why;

	x->call = (struct call){.call = w->next_call++, .ids = x->ids, .n_prompt = n_prompt, .max_tokens = max_tokens};
	x->call.prompt_logprobs = -1;
	x->call.how = sampling_default();
	CHECK_EQ(sched_add(w->sched, &x->call, &why), 0);
	x->live = true;
}

TEST(a_long_prompt_leaves_each_decode_its_place)
{
	static struct world w;

	world_init(&w, limits(3, 8, INT_MAX), 64, false);
	add_simple(&w, 40, 4);
	add_simple(&w, 2, 8);
	turn(&w); /* 8 tokens of the long one */
	for (int i = 0; i < 5; i++)
		turn(&w);
	CHECK(w.step[(w.head - 1) & 1].head->n_tokens <= 8);
	while (sched_has_work(w.sched))
		turn(&w);
	CHECK_EQ(w.finished, 2);
	world_finish(&w);
}

static int refused(struct world *w, struct call *c, const char *text)
{
	struct why why = {""};
	int err = sched_add(w->sched, c, &why);

	CHECK_HAS(why.text, text);
	return err;
}

TEST(refuses_with_numbers)
{
	static struct world w;
	static int32_t ids[MOST + 1];
	struct call c = {.ids = ids, .n_prompt = 64, .max_tokens = 1, .how = sampling_default()};

	world_init(&w, limits(2, 8, INT_MAX), 12, false);
	CHECK_EQ(refused(&w, &c, "64"), ERR_LIMIT);
	c.n_prompt = 50;
	CHECK_EQ(refused(&w, &c, "13 blocks of 4 tokens; the KV cache has 12"), ERR_LIMIT);
	c.n_prompt = 0;
	CHECK_EQ(refused(&w, &c, "empty"), ERR_INVALID);
	c.n_prompt = 2;
	ids[1] = VOCAB;
	CHECK_EQ(refused(&w, &c, "id 50"), ERR_INVALID);
	ids[1] = 0;
	c.how.min_tokens = 2;
	CHECK_EQ(refused(&w, &c, "min_tokens"), ERR_INVALID);
	world_finish(&w);
}

TEST(a_full_queue_is_busy)
{
	static struct world w;
	static int32_t ids[8];
	struct call c = {.ids = ids, .n_prompt = 8, .max_tokens = 1, .how = sampling_default(), .prompt_logprobs = -1};
	struct why why = {""};
	int n = 0;

	world_init(&w, limits(2, 8, INT_MAX), 32, false);
	for (c.call = 1; !sched_add(w.sched, &c, &why); c.call++)
		n++;
	CHECK_EQ(n, 8); /* two places and six that wait */
	CHECK_HAS(why.text, "8 calls are waiting");
	for (uint64_t i = 1; i < c.call; i++)
		sched_cancel(w.sched, i, FINISH_CANCEL);
	for (struct event e; sched_events(w.sched, &e, 1);)
		n--;
	CHECK_EQ(n, 0);
	world_finish(&w);
}

/* Of two calls in a step one has a broken row: it alone ends, and what it left in the cache is not found by the next.
 */
TEST(a_broken_row_ends_its_call)
{
	static struct world w;
	static int32_t ids[16];
	struct call c[2];
	struct event e, last = {0};
	const struct sample *samples;
	int ends = 0;

	world_init(&w, limits(2, 64, INT_MAX), 32, false);
	for (int i = 0; i < 2; i++) {
		c[i] = (struct call){.call = (uint64_t)i + 1,
				     .ids = ids,
				     .n_prompt = 16,
				     .max_tokens = 5,
				     .how = sampling_default()};
		c[i].prompt_logprobs = i ? -1 : 0;
		c[i].scope = (uint64_t)i;
		CHECK_EQ(sched_add(w.sched, &c[i], NULL), 0);
	}
	CHECK(sched_next(w.sched, &w.step[0]));
	samples = sched_samples(w.sched, &w.step[0]);
	memset(w.sampled, 0, sizeof w.sampled);
	for (int row = 0; row < w.step[0].head->n_rows; row++)
		if (samples[row].call == 1 && samples[row].pos == 9)
			w.sampled[row].broken = true, w.sampled[row].origin = 7;
	sched_done(w.sched, &w.step[0], w.sampled);
	while (sched_events(w.sched, &e, 1))
		if (e.finish) {
			last = e;
			ends++;
		}
	CHECK_EQ(ends, 1);
	CHECK(last.finish == FINISH_BROKEN && last.call == 1 && last.broken_pos == 9 && last.broken_origin == 7);
	c[0].call = 3;
	c[0].prompt_logprobs = -1;
	CHECK_EQ(sched_add(w.sched, &c[0], NULL), 0);
	memset(w.sampled, 0, sizeof w.sampled);
	for (int step = 0; sched_next(w.sched, &w.step[0]); step++) {
		samples = sched_samples(w.sched, &w.step[0]);
		sched_done(w.sched, &w.step[0], w.sampled);
		while (sched_events(w.sched, &e, 1))
			if (e.finish) {
				CHECK(e.finish == FINISH_LENGTH && e.n_cached == 0);
				ends++;
			}
	}
	CHECK_EQ(ends, 3);
	world_finish(&w);
}

TEST(a_deadline_ends_waiting_and_running)
{
	static struct world w;
	static int32_t ids[8];
	struct call c = {.call = 1, .ids = ids, .n_prompt = 8, .max_tokens = 50, .how = sampling_default()};
	struct event e;

	world_init(&w, limits(1, 8, INT_MAX), 32, false);
	c.prompt_logprobs = -1;
	c.deadline_ns = now_ns() + 500 * 1000000;
	CHECK_EQ(sched_add(w.sched, &c, NULL), 0);
	CHECK(sched_next(w.sched, &w.step[0]));
	sched_done(w.sched, &w.step[0], w.sampled);
	while (now_ns() < c.deadline_ns)
		;
	CHECK(!sched_next(w.sched, &w.step[0]));
	while (sched_events(w.sched, &e, 1))
		;
	CHECK_EQ(e.finish, FINISH_DEADLINE);
	world_finish(&w);
}

CHECK_MAIN()
