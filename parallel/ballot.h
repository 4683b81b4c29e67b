/* ballot.h - ranks answer a question of rank 0 without waiting for each other, for work that goes on beside steps.
 *
 * Rank 0 asks, then orders the others by a step to read the question; each rank answers when it knows, from any
 * thread; rank 0 looks now and then whether all have. One question at a time. */
#ifndef PARALLEL_BALLOT_H
#define PARALLEL_BALLOT_H

#include "base/base.h"
#include "parallel/collect.h"

enum { BALLOT_QUESTION = 4608, BALLOT_NUMBERS = 2 };

struct ballot;
struct ballot *ballot_open(struct world *w); /* collective */
void ballot_close(struct ballot *b);         /* NULL is fine */
/* Rank 0. Returns the question's number, > 0. All have answered the one before. */
uint32_t ballot_ask(struct ballot *b, const void *question, size_t bytes);
const void *ballot_question(const struct ballot *b); /* all ranks, after the order */
/* 0 with numbers that all ranks must have in common, or ERR_* with its reason. */
void ballot_answer(struct ballot *b, uint32_t question, int err, const struct why *why,
		   const uint64_t number[BALLOT_NUMBERS]);
/* Rank 0. False: some rank has not answered yet. Else *err is 0 and `number` that of all, or the error of the lowest
 * rank that has one; ERR_MISMATCH: numbers differ. */
bool ballot_count(const struct ballot *b, uint32_t question, int *err, struct why *why,
		  uint64_t number[BALLOT_NUMBERS]);

#endif
