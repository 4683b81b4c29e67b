#include "parallel/ballot.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/window.h"

struct answer {
	_Alignas(64) _Atomic uint32_t question; /* set last */
	int err;
	uint64_t number[BALLOT_NUMBERS];
	char text[512];
};

struct ballot {
	int rank, size;
	uint32_t asked; /* rank 0 */
	struct window window;
	char *question;
	struct answer *answer; /* (size) */
};

struct ballot *ballot_open(struct world *w)
{
	struct ballot *b = xalloc(1, sizeof *b);

	b->rank = w->rank;
	b->size = w->size;
	window_open(&b->window, w, "xversed ballot", BALLOT_QUESTION + (size_t)w->size * sizeof *b->answer);
	b->question = b->window.base;
	b->answer = (struct answer *)(void *)(b->question + BALLOT_QUESTION);
	return b;
}

void ballot_close(struct ballot *b)
{
	if (!b)
		return;
	window_close(&b->window);
	free(b);
}

uint32_t ballot_ask(struct ballot *b, const void *question, size_t bytes)
{
	REQUIRE(!b->rank && bytes <= BALLOT_QUESTION);
	memcpy(b->question, question, bytes);
	return ++b->asked;
}

const void *ballot_question(const struct ballot *b)
{
	return b->question;
}

void ballot_answer(struct ballot *b, uint32_t question, int err, const struct why *why,
		   const uint64_t number[BALLOT_NUMBERS])
{
	struct answer *a = &b->answer[b->rank];

	a->err = err;
	memcpy(a->number, number, sizeof a->number);
	snprintf(a->text, sizeof a->text, "%s", err ? why->text : "");
	atomic_store_explicit(&a->question, question, memory_order_release);
}

bool ballot_count(const struct ballot *b, uint32_t question, int *err, struct why *why, uint64_t number[BALLOT_NUMBERS])
{
	for (int r = 0; r < b->size; r++)
		if (atomic_load_explicit(&b->answer[r].question, memory_order_acquire) != question)
			return false;
	*err = 0;
	memcpy(number, b->answer[0].number, sizeof b->answer[0].number);
	for (int r = 0; !*err && r < b->size; r++) {
		const struct answer *a = &b->answer[r];
		if (a->err)
			*err = fail(why, a->err, "%s", a->text);
	}
	for (int r = 1; !*err && r < b->size; r++)
		if (memcmp(b->answer[r].number, number, sizeof b->answer[r].number))
			*err = fail(why, ERR_MISMATCH, "ranks 0 and %d read different files", r);
	return true;
}
