#include "parallel/ballot.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wait.h"
#include "parallel/board.h"
#include "parallel/trunk.h"
#include "parallel/window.h"

struct answer {
	_Alignas(64) _Atomic uint32_t question; /* set last */
	int err;
	uint64_t number[BALLOT_NUMBERS];
	char text[512];
};

struct page {
	_Alignas(64) _Atomic uint32_t bell; /* counts answers of this node; futex */
	char question[BALLOT_QUESTION];
	struct answer answer[]; /* (size) */
};

struct ballot {
	struct world *w;
	uint32_t asked; /* rank 0 */
	struct window window;
	struct page *page;
	pthread_t carrier; /* leaders above node 0: takes their ranks' answers to rank 0 */
	atomic_bool ending;
};

static bool here(const struct ballot *b, int rank)
{
	return b->w->nodes.n < 2 || b->w->nodes.of_rank[rank] == b->w->nodes.mine;
}

/* ---- between nodes ---- */
static void *place_question(void *arg, int node, const struct trunk_frame *f)
{
	struct ballot *b = arg;

	return node || !b->w->rank || f->bytes > BALLOT_QUESTION ? NULL : b->page->question;
}

static void question_came(void *arg, int node, const struct trunk_frame *f)
{
	(void)arg, (void)node, (void)f; /* a step orders the ranks to read it */
}

static void *place_answer(void *arg, int node, const struct trunk_frame *f)
{
	struct ballot *b = arg;
	bool good = !b->w->rank && f->from < b->w->size && b->w->nodes.of_rank[f->from] == node &&
		    f->bytes == sizeof(struct answer) - offsetof(struct answer, err);

	return good ? &b->page->answer[f->from].err : NULL;
}

static void answer_came(void *arg, int node, const struct trunk_frame *f)
{
	struct ballot *b = arg;
	struct answer *a = &b->page->answer[f->from];

	(void)node;
	a->text[sizeof a->text - 1] = 0;
	atomic_store_explicit(&a->question, f->no, memory_order_release);
}

static void carry(struct ballot *b, int rank)
{
	const struct answer *a = &b->page->answer[rank];
	struct trunk_frame f = {.kind = TRUNK_ANSWER,
				.from = (uint16_t)rank,
				.no = atomic_load_explicit(&a->question, memory_order_acquire),
				.bytes = sizeof *a - offsetof(struct answer, err)};

	trunk_send(b->w->trunk, 0, &f, &a->err);
}

static void *carry_answers(void *arg)
{
	struct ballot *b = arg;
	uint32_t *sent = xalloc((size_t)b->w->size, sizeof *sent), seen = 0;

	while (!atomic_load(&b->ending)) {
		for (int r = 0; r < b->w->size; r++) {
			uint32_t question = atomic_load_explicit(&b->page->answer[r].question, memory_order_acquire);

			if (here(b, r) && question != sent[r])
				carry(b, r);
			sent[r] = question;
		}
		seen = wait_change(&b->page->bell, seen, 1, board_idle, b->w->board);
	}
	free(sent);
	return NULL;
}

static void join_nodes(struct ballot *b)
{
	struct trunk_sink question = {place_question, question_came, b}, answer = {place_answer, answer_came, b};
	sigset_t all, old;

	trunk_sink(b->w->trunk, TRUNK_QUESTION, &question);
	trunk_sink(b->w->trunk, TRUNK_ANSWER, &answer);
	if (!b->w->rank)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&b->carrier, NULL, carry_answers, b))
		die("cannot start a thread for answers to rank 0");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- */
struct ballot *ballot_open(struct world *w)
{
	struct ballot *b = xalloc(1, sizeof *b);

	b->w = w;
	window_open(&b->window, w, "xversed ballot", sizeof *b->page + (size_t)w->size * sizeof *b->page->answer);
	b->page = b->window.base;
	if (w->trunk)
		join_nodes(b);
	if (w->nodes.n > 1)
		world_barrier(w);
	return b;
}

static void ring(struct ballot *b)
{
	atomic_fetch_add(&b->page->bell, 1);
	wait_wake(&b->page->bell, 1);
}

void ballot_close(struct ballot *b)
{
	if (!b)
		return;
	atomic_store(&b->ending, true);
	ring(b);
	if (b->w->trunk && b->w->rank)
		pthread_join(b->carrier, NULL);
	window_close(&b->window);
	free(b);
}

uint32_t ballot_ask(struct ballot *b, const void *question, size_t bytes)
{
	struct trunk_frame f = {.kind = TRUNK_QUESTION, .bytes = (uint32_t)bytes};

	REQUIRE(!b->w->rank && bytes <= BALLOT_QUESTION);
	memcpy(b->page->question, question, bytes);
	if (b->w->trunk)
		trunk_send_all(b->w->trunk, &f, question);
	return ++b->asked;
}

const void *ballot_question(const struct ballot *b)
{
	return b->page->question;
}

void ballot_answer(struct ballot *b, uint32_t question, int err, const struct why *why,
		   const uint64_t number[BALLOT_NUMBERS])
{
	struct answer *a = &b->page->answer[b->w->rank];

	a->err = err;
	memcpy(a->number, number, sizeof a->number);
	snprintf(a->text, sizeof a->text, "%s", err ? why->text : "");
	atomic_store_explicit(&a->question, question, memory_order_release);
	ring(b);
}

bool ballot_count(const struct ballot *b, uint32_t question, int *err, struct why *why, uint64_t number[BALLOT_NUMBERS])
{
	for (int r = 0; r < b->w->size; r++)
		if (atomic_load_explicit(&b->page->answer[r].question, memory_order_acquire) != question)
			return false;
	*err = 0;
	memcpy(number, b->page->answer[0].number, sizeof b->page->answer[0].number);
	for (int r = 0; !*err && r < b->w->size; r++) {
		const struct answer *a = &b->page->answer[r];
		if (a->err)
			*err = fail(why, a->err, "%s", a->text);
	}
	for (int r = 1; !*err && r < b->w->size; r++)
		if (memcmp(b->page->answer[r].number, number, sizeof b->page->answer[r].number))
			*err = fail(why, ERR_MISMATCH, "ranks 0 and %d read different files", r);
	return true;
}
