/* Who runs next: clients in turn, few calls past one that waits for memory, open-ended calls by look-ahead. Floods are
 * random. */
#include "engine/sched/sched.h"
#include "engine/sched/turns.h"

#include <limits.h>

#include "tests/check.h"

static uint64_t random_state = 1;
static int below(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)((random_state >> 33) % (uint64_t)n);
}

/* ---- turns by themselves ---- */

enum { CLIENTS = 7 };

static const struct turn *next_of(const struct turns *t)
{
	const struct turn *best = t->first;

	for (const struct turn *c = t->first; c; c = c->next)
		if (turns_before(c, best))
			best = c;
	return best;
}

static void random_turns(struct turns *t, struct turn *c)
{
	for (int i = 0; i < 60; i++) {
		struct turn *one = &c[below(CLIENTS)];
		if (below(2))
			turns_wait(t, one);
		else if (one->waiting && below(3) == 0)
			turns_leave(t, one);
		else if (t->first && below(2))
			turns_take(t, (struct turn *)next_of(t));
		else if (one->running)
			turns_end(t, one);
	}
}

TEST(a_place_that_is_told_comes_true)
{
	for (int round = 0; round < 2000; round++) {
		struct turn c[CLIENTS] = {0};
		struct turns t = {0};
		int place[CLIENTS][64], taken[CLIENTS] = {0};

		random_turns(&t, c);
		for (int i = 0; i < CLIENTS; i++)
			for (int k = 1; k <= c[i].waiting; k++)
				place[i][k] = turns_place(&t, &c[i], k);
		for (int n = 1; t.first; n++) {
			struct turn *next = (struct turn *)next_of(&t);
			CHECK_EQ(place[next - c][++taken[next - c]], n);
			turns_take(&t, next);
		}
	}
}

/* ---- the scheduler under floods ---- */

enum { VOCAB = 50, BLOCK = 4, MOST = 256, CALLS = 600 };

struct world {
	struct sched *sched;
	struct blocks *blocks;
	struct step step;
	struct sampled sampled[256];
	struct call call[CALLS];
	int n_calls, n_admitted, admitted_as[CALLS], others[CALLS]; /* others: clients that waited when it came */
	bool ended[CALLS];
	int ran[CALLS]; /* tokens drawn */
};

static const int32_t ids[MOST];

static void world_init(struct world *w, int max_seqs, int n_blocks)
{
	struct sched_limits lim = {
		.step = {.max_seqs = max_seqs, .max_tokens = 256, .max_blocks = max_seqs * MOST / BLOCK, .rows = 4},
		.max_model_len = MOST,
		.max_waiting = CALLS,
		.max_waiting_tokens = 1 << 20,
		.look_ahead = INT_MAX,
		.open_look_ahead = 16,
		.vocab = VOCAB};

	memset(w, 0, sizeof *w);
	w->blocks = blocks_create(n_blocks, BLOCK, false);
	w->sched = sched_create(&lim, w->blocks);
	step_init(&w->step, &lim.step);
}

static void world_finish(struct world *w)
{
	sched_check_idle(w->sched);
	step_finish(&w->step);
	sched_destroy(w->sched);
	blocks_destroy(w->blocks);
}

static bool waits(const struct world *w, int i)
{
	return !w->admitted_as[i] && !w->ended[i];
}

/* Clients with a waiting call. */
static int n_waiting_clients(const struct world *w, uint64_t but)
{
	bool seen[64] = {0};
	int n = 0;

	for (int i = 0; i < w->n_calls; i++) {
		uint64_t turn = w->call[i].turn;
		if (waits(w, i) && turn != but && !seen[turn]) {
			seen[turn] = true;
			n++;
		}
	}
	return n;
}

/* The number of the call. */
static int add(struct world *w, int client, int n_prompt, int max_tokens, bool open_ended)
{
	int i = w->n_calls;
	struct call *c = &w->call[i];
	struct why why = {""};

	CHECK(i < CALLS);
	w->others[i] = n_waiting_clients(w, (uint64_t)client);
	*c = (struct call){.call = (uint64_t)i,
			   .turn = (uint64_t)client,
			   .ids = ids,
			   .n_prompt = n_prompt,
			   .max_tokens = max_tokens};
	c->open_ended = open_ended;
	c->prompt_logprobs = -1;
	c->how = sampling_default();
	if (sched_add(w->sched, c, &why))
		CHECK_FAIL("%s", why.text);
	w->n_calls++;
	return i;
}

static void take_events(struct world *w)
{
	struct event e;

	while (sched_events(w->sched, &e, 1)) {
		if (e.admitted)
			w->admitted_as[e.call] = ++w->n_admitted;
		w->ran[e.call] += e.n;
		w->ended[e.call] |= e.finish != FINISH_NONE;
	}
}

static bool turn(struct world *w)
{
	bool planned = sched_next(w->sched, &w->step);

	take_events(w);
	if (planned)
		sched_done(w->sched, &w->step, w->sampled);
	take_events(w);
	return planned;
}

static void run_all(struct world *w)
{
	while (sched_has_work(w->sched))
		CHECK(turn(w));
	for (int i = 0; i < w->n_calls; i++)
		CHECK(w->ended[i] && w->ran[i] == w->call[i].max_tokens);
}

/* One client keeps 40 calls in the queue; others, who have none, come now and then: none sees more calls admitted
 * before its own than there were other clients that waited when it came. */
TEST(a_flood_holds_up_nobody_for_longer_than_one_call_a_client)
{
	static struct world w;
	int lone = 0;

	for (int seqs = 1; seqs <= 8; seqs *= 2) {
		world_init(&w, seqs, 4096);
		for (int step = 0; step < 400 && w.n_calls < CALLS - 50; step++) {
			struct sched_stats st;
			int before[CALLS], n = 0, first = w.n_calls;
			sched_stats(w.sched, &st);
			while (st.waiting + n < 40)
				add(&w, 0, 1 + below(20), 1 + below(12), below(2)), n++;
			for (int client = 1; client < 6; client++) {
				bool idle = true;
				for (int i = 0; i < w.n_calls; i++)
					idle &= w.ended[i] || w.call[i].turn != (uint64_t)client;
				if (idle && below(20) == 0)
					add(&w, client, 1 + below(20), 1 + below(12), below(2));
			}
			for (int i = first; i < w.n_calls; i++)
				before[i] = w.n_admitted;
			turn(&w);
			for (int i = first; i < w.n_calls; i++)
				w.others[i] += before[i]; /* the latest admission that is right for it, less one */
		}
		run_all(&w);
		for (int i = 0; i < w.n_calls; i++) {
			if (!w.call[i].turn)
				continue;
			lone++;
			CHECK(w.admitted_as[i] <= w.others[i] + 1);
		}
		world_finish(&w);
	}
	printf("  %d lone calls beside a flood\n", lone);
	CHECK(lone > 100);
}

TEST(places_that_become_free_go_to_those_who_have_none)
{
	static struct world w;
	int late[3];

	world_init(&w, 4, 4096);
	for (int i = 0; i < 30; i++)
		add(&w, 0, 4, 10 + 3 * i, false);
	turn(&w);
	CHECK_EQ(w.n_admitted, 4);
	for (int i = 0; i < 3; i++)
		late[i] = add(&w, 1 + i, 4, 60, false);
	run_all(&w);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(w.admitted_as[late[i]], 5 + i);
	world_finish(&w);
}

/* 32 blocks, of which one long call holds 20; the next long one needs 20 as well. */
TEST(small_calls_pass_one_that_waits_for_memory_and_do_not_starve_it)
{
	static struct world w;
	struct sched_stats st;
	int big, n_before = 0;

	world_init(&w, 16, 32);
	add(&w, 0, 16, 64, false);
	turn(&w);
	big = add(&w, 1, 16, 64, false);
	turn(&w);
	CHECK(!w.admitted_as[big]);
	for (int i = 0; i < 300; i++) { /* always some small ones more */
		if (w.n_calls < 400)
			add(&w, 2 + below(10), 2, 2, false);
		turn(&w);
	}
	run_all(&w);
	sched_stats(w.sched, &st);
	for (int i = 0; i < w.n_calls; i++)
		n_before += i > big && w.admitted_as[i] < w.admitted_as[big];
	printf("  %d small calls passed it\n", n_before);
	CHECK_EQ(n_before, 8);
	CHECK_EQ(st.passes, 8);
	CHECK_EQ(st.preemptions, 0);
	world_finish(&w);
}

/* Five clients keep the queue full of small, large and open-ended calls in little memory; a sixth asks for as much as
 * fits, again and again. Before each of its calls at most one of each other client goes, and eight small ones past each
 * of these and it. */
TEST(a_large_call_is_not_starved_in_little_memory)
{
	static struct world w;
	int lone[CALLS], before[CALLS], n_lone = 0, worst = 0;

	world_init(&w, 8, 40);
	while (w.n_calls < CALLS - 20) {
		struct sched_stats st;
		int n = 0;
		sched_stats(w.sched, &st);
		for (; st.waiting + n < 15; n++)
			add(&w, 1 + below(5), 1 + below(20), below(3) ? 1 + below(4) : 1 + below(120), below(3) == 0);
		if (!n_lone || w.ended[lone[n_lone - 1]]) {
			before[n_lone] = w.n_admitted;
			lone[n_lone++] = add(&w, 0, 60, 100, false);
		}
		turn(&w);
	}
	run_all(&w);
	for (int i = 0; i < n_lone; i++) {
		int passed = w.admitted_as[lone[i]] - before[i] - 1;
		worst = passed > worst ? passed : worst;
	}
	printf("  %d large calls; at most %d others went before one\n", n_lone, worst);
	CHECK(n_lone > 3);
	CHECK(worst <= 5 + 8 * 6);
	world_finish(&w);
}

/* How many of 32 calls run at once. */
static int most_running(int max_tokens, bool open_ended, uint64_t *preemptions)
{
	static struct world w;
	struct sched_stats st;
	int most = 0;

	world_init(&w, 32, 8 * MOST / BLOCK);
	for (int i = 0; i < 32; i++)
		add(&w, i, 16, max_tokens, open_ended);
	while (turn(&w)) {
		sched_stats(w.sched, &st);
		most = st.running > most ? st.running : most;
	}
	run_all(&w);
	*preemptions = st.preemptions;
	world_finish(&w);
	return most;
}

TEST(calls_that_name_no_length_run_as_many_at_once)
{
	uint64_t preemptions;

	CHECK_EQ(most_running(MOST - 16, false, &preemptions), 8);
	CHECK_EQ(preemptions, 0);
	CHECK_EQ(most_running(16, false, &preemptions), 32);
	CHECK_EQ(most_running(MOST - 16, true, &preemptions), 32);
	CHECK(preemptions > 0); /* all of them go on to the end, which is rare */
}

/* Calls with all their blocks reserved run in each step from their first to their last, whatever open-ended ones beside
 * them do. */
TEST(a_call_that_names_its_length_is_not_pre_empted)
{
	static struct world w;
	struct sched_stats st;

	world_init(&w, 16, 64);
	for (int i = 0; i < 60; i++) {
		bool open_ended = i % 3 != 0;
		add(&w, i % 5, 4, open_ended ? 100 : 40, open_ended);
	}
	while (sched_has_work(w.sched)) {
		int ran[CALLS];
		memcpy(ran, w.ran, sizeof ran);
		turn(&w);
		for (int i = 0; i < w.n_calls; i += 3)
			CHECK(!ran[i] || w.ran[i] == ran[i] + 1 || ran[i] == 40);
	}
	run_all(&w);
	sched_stats(w.sched, &st);
	printf("  %" PRIu64 " pre-emptions\n", st.preemptions);
	CHECK(st.preemptions > 10);
	world_finish(&w);
}

CHECK_MAIN()
