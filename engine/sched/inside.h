/* inside.h - what the files of the scheduler share. Each calls only those below it: plan.c and done.c, sched.c,
 * queue.c, seq.c. */
#ifndef ENGINE_SCHED_INSIDE_H
#define ENGINE_SCHED_INSIDE_H

#include "engine/sched/sched.h"
#include "engine/sched/turns.h"

/* A client that has calls in the scheduler. */
struct client {
	struct client *chain;     /* next in its bucket, or among those not in use */
	struct turn turn;         /* pre-empted calls count as running */
	uint64_t id;              /* call->turn */
	int calls;                /* waiting, running or pre-empted */
	struct seq *first, *last; /* of its waiting calls */
};

/* A call in the scheduler. From its first admission to its end it has a slot: a stable index, which is its row of
 * tokens and of block numbers. A pre-empted call keeps its slot. */
struct seq {
	struct seq *next;      /* in waiting, ending or the pool */
	struct client *client; /* NULL once it has ended */
	int passed;            /* calls that were admitted while it was the first to wait */
	const struct call *call;
	uint64_t id;             /* call->call */
	struct grammar_run *run; /* begun where the call has a grammar */
	int slot;                /* -1: never admitted */
	int n_tokens;            /* known tokens: prompt and output */
	int pending;             /* 1: the step in flight samples a token for it */
	int pending_row;
	int computed; /* tokens whose K and V are stored, or will be by a planned step */
	int n_blocks, n_published;
	int scored; /* prompt tokens before this one are scored, or planned to be */
	int n_cached;
	int last_step; /* the last step that names it; its blocks are kept until that step is done */
	enum finish finish;
	uint64_t added_ns, admitted_ns, first_ns;
};

/* One sequence in one step. */
struct part {
	struct seq *q;
	int first, n;            /* tokens [first, first + n) */
	int score_from, n_score; /* rows that score: positions [score_from, + n_score) */
	bool draws;              /* the last token's row is sampled */
	int row;                 /* first of its rows in the step */
};
struct plan {
	int no, n_parts, n_tokens;
	struct part *part; /* (max_seqs) */
};

struct sched {
	struct sched_limits lim;
	struct blocks *blocks;
	struct seq *pool_memory, *pool; /* sequences not in use */
	struct grammar_run *runs;       /* (n_objects) one of each */
	int n_objects;
	struct seq *preempted; /* these run before all that wait */
	int n_preempted;
	struct turns turns;
	struct client *client_memory, *clients /* not in use */, **bucket; /* (n_objects), (n_buckets) */
	uint64_t n_buckets;
	int n_waiting; /* pre-empted ones counted */
	int64_t waiting_tokens;
	struct seq **running; /* (max_seqs) oldest first */
	int n_running;
	struct seq *ending; /* they have ended, but a step in flight names them */
	int *free_slot;     /* (max_seqs) stack */
	int n_free_slots;
	int32_t *tokens; /* (max_seqs, max_model_len) */
	int *blocks_of;  /* (max_seqs, blocks_per_seq) */
	int blocks_per_seq;
	struct plan plan[2];     /* by step number & 1 */
	int planned, done;       /* step numbers; at most two apart */
	struct sample *samples;  /* (max_tokens) */
	struct sampled *details; /* (max_tokens) */
	struct event *event;     /* ring (max_events) */
	int max_events, first_event, n_events;
	struct sampling idle; /* for rows of calls that have ended */
	struct sched_stats stats;
};

static inline int32_t *seq_tokens(const struct sched *s, const struct seq *q)
{
	return s->tokens + (size_t)q->slot * (size_t)s->lim.max_model_len;
}

static inline int *seq_blocks(const struct sched *s, const struct seq *q)
{
	return s->blocks_of + (size_t)q->slot * (size_t)s->blocks_per_seq;
}

static inline int blocks_for(const struct sched *s, int tokens)
{
	return div_up(tokens, blocks_size(s->blocks));
}

/* Whether rows of its prompt are scored. */
static inline bool seq_scores(const struct seq *q)
{
	return q->call->score || q->call->prompt_logprobs >= 0;
}

static inline bool seq_draws(const struct seq *q)
{
	return !q->call->score && q->call->max_tokens > 0;
}

static inline int seq_output(const struct seq *q)
{
	return q->n_tokens - q->call->n_prompt;
}

bool call_stops_at(const struct call *c, int32_t id); /* sched.c */

/* seq.c: one sequence. */
/* The most tokens that it may hold. */
int seq_most(const struct sched *s, const struct seq *q);
/* Blocks that must be free to admit it: as far as it looks ahead. */
int seq_need(const struct sched *s, const struct seq *q);
/* Admission has reserved all blocks that it may need. */
bool seq_is_reserved(const struct sched *s, const struct seq *q);
/* Tokens left to compute: those known now, or known when the step in flight is done. */
int seq_todo(const struct sched *s, const struct seq *q);

struct event *event_put(struct sched *s, const struct seq *q);
void event_account(struct event *e, const struct seq *q, uint64_t now); /* fills in counts and times so far */
void seq_drop_blocks(struct sched *s, struct seq *q);
void seq_release(struct sched *s, struct seq *q);
void running_remove(struct sched *s, struct seq *q);

/* queue.c: who waits, in which order, and how a call leaves its client */
void queue_init(struct sched *s);
void queue_finish(struct sched *s);
void queue_append(struct sched *s, struct seq *q); /* a new call */
void queue_return(struct sched *s, struct seq *q); /* pre-empted: before all others */
void queue_take(struct sched *s, struct seq *q);   /* pre-empted, or the first of its client: it runs from now on */
void queue_remove(struct sched *s, struct seq *q); /* it ends without running (again) */
struct seq *queue_first(const struct sched *s);    /* whose turn it is, or NULL */
/* Whose turn it is among first calls of clients that need at most `blocks` blocks, `but` left out; or NULL. */
struct seq *queue_small(const struct sched *s, const struct seq *but, int blocks);
struct seq *queue_find(const struct sched *s, uint64_t call);
void queue_expire(struct sched *s, uint64_t now);
/* Sends its last event; frees blocks and slot as soon as no step in flight names it. It must be in no list. */
void seq_end(struct sched *s, struct seq *q, enum finish reason, struct event *last);

#endif
