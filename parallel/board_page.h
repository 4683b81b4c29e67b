/* board_page.h - private to board*.c: the shared page, and a rank's own view of it. */
#ifndef PARALLEL_BOARD_PAGE_H
#define PARALLEL_BOARD_PAGE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "parallel/blame.h"
#include "parallel/loss.h"
#include "parallel/nodes.h"
#include "parallel/trunk.h"
#include "base/process.h"
#include "base/still.h"

enum line_state { LINE_EMPTY, LINE_JOINED, LINE_LEFT };

struct board_line {                         /* written by its rank only */
	_Alignas(64) _Atomic uint64_t beat; /* now_ns() of the last heartbeat */
	_Atomic uint64_t where;             /* see where_of() */
	_Atomic int32_t pid;
	_Atomic uint32_t state, watched; /* enum line_state; whether it stamps heartbeats */
};

struct board_page {
	_Alignas(64) _Atomic uint32_t claim; /* kind << 16 | rank + 1 of the first blame, 0: none */
	_Atomic uint32_t ready;              /* `detail` is written */
	_Atomic uint32_t logged;             /* a rank has claimed to log the reason */
	_Atomic uint32_t said;               /* rank 0 has sent its last words */
	_Atomic int32_t done;                /* steps that rank 0 has seen the end of */
	_Atomic uint32_t log_level;          /* number of changes << 2 | level; 0: never changed */
	_Atomic uint32_t hangups;            /* that rank 0 passed on */
	struct blame detail;
	struct board_line line[]; /* (size) */
};

struct peer {
	struct process process;
	struct still beat, where; /* as this rank has seen them */
};

struct other_node { /* as a leader sees it */
	struct still beat;
	uint64_t beats;         /* that came */
	_Atomic uint64_t heard; /* now_ns() at the last one */
	bool ended;             /* its link has */
	struct loss loss;
	_Atomic uint32_t sent, lost; /* packets of its last ticks, for other threads */
	struct still data;           /* that arrived there */
	uint32_t data_lost;          /* packets of data, since the start */
	uint64_t doubt;              /* until then heartbeats are sent more often */
};

struct board {
	struct board_page *page;
	int rank, size;
	bool met;
	const struct nodes *nodes; /* NULL: there is one */
	struct trunk *trunk;       /* leaders of several nodes; else NULL */
	struct other_node *node;   /* (nodes->n) */
	struct pollfd *fds; /* (size + 1 + nodes) pidfds of the others (-1: none), then the eventfd that ends the watch
			       thread, then the links' heartbeats */
	struct peer *peer;  /* (size) */
	struct watch_options how;
	pthread_t thread;
	_Atomic int32_t watcher;     /* thread id while the watch thread runs, or 0 */
	_Atomic uint64_t noticed;    /* when board_idle() first saw a blame */
	uint64_t last_tick;          /* of the watch thread */
	uint32_t log_level, hangups; /* as last seen on the page */
	uint64_t told;               /* when the other nodes were sent what is on this board */
};

enum { LAST_WORDS_MS = 700 };

/* One 64-bit number holds a rank's place and orders ranks by progress: (step + 1) << 32 | operations << 1 | running.
 * Idle after step n is the place before step n + 1. */
static inline uint64_t where_running(int no)
{
	return ((uint64_t)no + 1) << 32 | 1;
}

static inline uint64_t where_idle_after(uint64_t where)
{
	return where & 1 ? ((where >> 32) + 1) << 32 : where;
}

static inline bool board_here(const struct board *b, int rank)
{
	return !b->nodes || b->nodes->of_rank[rank] == b->nodes->mine;
}
static inline int board_fds(const struct board *b)
{
	return b->size + 1 + (b->trunk ? b->nodes->n : 0);
}

/* Leaders of several nodes; nothing elsewhere. Sends the other nodes what is on this board, */
void board_tell(struct board *b);
/* takes what they sent, */
void board_hear(struct board *b);
/* and blames those that send nothing, */
void board_look_for_nodes(struct board *b, uint64_t since);
/* or to which much is lost. At every heartbeat. */
void board_look_for_loss(struct board *b, uint64_t since);
/* What is lost on the way to a node, as a part of a sentence; "": little. Any thread. */
void board_loss_text(const struct board *b, int node, char *out, size_t size);
/* Between heartbeats: sends more of them while packets are lost, so that a few seconds say how many are. */
void board_tell_often(struct board *b, uint64_t now);

/* Fills step, op and node of a blame. */
void blame_place(const struct board *b, struct blame *what, uint64_t where);
/* Sleeps until *word is set; returns false after `ms`. */
bool wait_set(_Atomic uint32_t *word, int ms);
/* Blames a rank at its present place. */
bool blame_rank(struct board *b, enum blame_kind kind, int rank, const char *text);

#endif
