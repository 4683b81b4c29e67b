/* sched.h - continuous batching. Rank 0 only; knows nothing of sockets, MPI or devices.
 *
 *    sched_add --> waiting --> running --> sched_next(step) ... sched_done(step, sampled)
 *                     ^___________| pre-empted when blocks run out        |
 *                                                          finished, cancelled
 *
 * Who waits: pre-empted calls first, the oldest before the others, then clients in turn (turns.h), each with its calls
 * in the order of arrival. Where the first of them lacks blocks, a few small calls may pass it. Admission reserves all
 * blocks of a call that has max_tokens, but only some of an open-ended one, which may be pre-empted.
 *
 * There is no prefill or decode flag: a sequence in a step has n >= 1 tokens without K and V, and a prompt longer than
 * what is left of the step's budget is cut. sched_next() may be called before the previous sched_done() (one step
 * ahead): it then refers to tokens that are not yet sampled as -1-r. Blocks are freed only after the last step that
 * names them. The oldest sequence is never pre-empted, so progress is guaranteed; one whose blocks are all reserved is
 * pre-empted only for the oldest, where no other is left. All memory is allocated at creation. */
#ifndef ENGINE_SCHED_SCHED_H
#define ENGINE_SCHED_SCHED_H

#include "engine/sched/blocks.h"
#include "engine/sched/event.h"
#include "engine/grammar/grammar.h"
#include "engine/sample/sample.h"
#include "engine/step.h"

struct sched_limits {
	struct step_limits step; /* max_seqs = --max-num-seqs, max_tokens = --max-num-batched-tokens */
	int max_model_len;       /* tokens a sequence, prompt and output */
	int max_waiting;         /* calls */
	int64_t max_waiting_tokens;
	int look_ahead; /* tokens of future growth that admission reserves for each running sequence; INT_MAX: all of
			   them */
	int open_look_ahead; /* the same for open-ended calls; the smaller applies */
	int vocab;
};

/* What a call asks of the engine. The caller keeps it, and all it points to, alive and unchanged until it has taken the
 * event that carries `finish`. */
struct call {
	uint64_t call;      /* never used twice */
	uint64_t scope;     /* who may share its prefix */
	int adapter;        /* 0: the model alone; i: with the adapter in slot i - 1 */
	uint64_t turn;      /* its client: clients take turns */
	const int32_t *ids; /* (n_prompt + n_resume) prompt, then output already delivered */
	int n_prompt, n_resume;
	int max_tokens;       /* output tokens, resumed ones counted */
	bool open_ended;      /* without max_tokens: most such calls end long before their limit */
	uint64_t deadline_ns; /* now_ns() clock; 0: none */
	struct sampling how;
	const struct grammar *grammar; /* NULL: free text; its runs lie in `room` */
	struct grammar_room *room;
	bool score; /* nothing is sampled: every prompt token after the first is scored, then the call ends
		       (FINISH_LENGTH) */
	/* With some, one token is sampled, which is not reported: the row behind the prompt reports them, before the
	 * event with its finish. max_tokens is 1. */
	struct sample_targets targets;
	int prompt_logprobs; /* -1: none; n: every prompt token after the first is scored, with the n likeliest */
};

struct sched_stats {
	int running, waiting, preempted /* of those waiting */;
	int64_t waiting_tokens;
	uint64_t passes /* small calls that passed one without blocks */, preemptions, steps,
		ahead /* of them planned before the last was done */, prompt_tokens, output_tokens, cached_tokens,
		prefix_queries;
};

struct sched;
struct sched *sched_create(const struct sched_limits *lim, struct blocks *blocks /* borrowed */);
void sched_destroy(struct sched *s);
uint64_t sched_bytes(const struct sched_limits *lim, int block_size); /* what sched_create() allocates */

/* Returns 0, ERR_BUSY where the queue is full, ERR_LIMIT (with the numbers) where the call can never fit, or
 * ERR_INVALID. */
int sched_add(struct sched *s, const struct call *call, struct why *why);
/* Ignores an unknown call. The event with FINISH_CANCEL is among the next sched_events(). */
void sched_cancel(struct sched *s, uint64_t call, enum finish reason);
bool sched_has_work(const struct sched *s);

/* Plans the next step; returns false where nothing can run now. Calls past their deadline end here. */
bool sched_next(struct sched *s, struct step *step);
/* The rows of a planned step (n = head->n_rows), in row order; call it when the step before is done. Valid until the
 * next sched_ call. Rows of calls that have ended meanwhile are among them and are sampled for nothing. */
const struct sample *sched_samples(const struct sched *s, const struct step *step);
/* Takes in what was sampled, one for each row of `step`. */
void sched_done(struct sched *s, const struct step *step, const struct sampled *sampled);
/* Writes at most `max` events to `out` and returns their number; call it until it returns 0. */
int sched_events(struct sched *s, struct event *out, int max);
const struct sampled *sched_details(const struct sched *s); /* valid until the next sched_done() */

void sched_stats(const struct sched *s, struct sched_stats *out);
/* When idle: no sequence, no block held, blocks_check(). */
void sched_check_idle(const struct sched *s);

#endif
