/* board.h - which ranks are alive, and which one is to blame for the end of the job. One cache line a rank, in memory
 * that the node shares.
 *
 * Each rank has a watch thread that takes no lock and calls neither MPI nor CUDA. Every 250 ms it stamps its own
 * heartbeat, reads the others' and polls the pidfds of the local ranks. It blames a rank that has ended (pidfd), whose
 * heartbeat stands still for 2 s (stopped), or whose operation counter stands still for longer than the watchdog's time
 * while a step runs (stuck). The first blame wins. Time is measured as in still.h, so that a job that was frozen as a
 * whole is not blamed. After a blame rank 0 runs the `last_words` hook (at most 500 ms), the blamed process is killed,
 * and every rank calls _exit(EXIT_SOFTWARE).
 *
 * Each node has a board of its own. The watch threads of the nodes' leaders send each other what their ranks have on it
 * with every heartbeat, and a blame at once. A rank is watched by those of its node alone; a leader blames a node that
 * it has not heard for 7 s, whose link has ended, or to which every sixth packet gets lost for 6 s (lost). */
#ifndef PARALLEL_BOARD_H
#define PARALLEL_BOARD_H

#include <sys/types.h>

#include "base/log.h"
#include "parallel/blame.h"
#include "parallel/nodes.h"

struct board;
struct trunk;

/* `shared`: board_bytes(size) zeroed bytes of memory that all `size` ranks share. In tests threads stand for ranks. */
size_t board_bytes(int size);
struct board *board_join(void *shared, int rank, int size, pid_t pid);
void board_leave(struct board *b); /* orderly end: this rank is no longer watched. Frees b. */
/* Several nodes, called with the same `map` before board_meet(), with trunk NULL, and once more when the links are up.
 * Borrows both. trunk: NULL on all ranks but leaders. */
void board_nodes(struct board *b, const struct nodes *map, struct trunk *trunk);
/* Leaders: the process numbers of all ranks (size), each on its node. */
void board_expect(struct board *b, const int32_t *pid);
/* Blames a node whose link failed, unless its own reason comes within a second. Any thread. */
void board_lose(struct board *b, int node, const char *why);
/* Rank 0: ns since another node was heard. */
uint64_t board_node_age(const struct board *b, int node);
/* Opens pidfds of the other ranks of this node. Must be called after all have joined and before any can end, so that a
 * reused process number is never mistaken for a rank. board_watch() does it if it has not been done. */
void board_meet(struct board *b);

/* Engine thread: step `no` begins, or nothing runs (no = -1). board_op() counts the operations of a step. */
void board_step(struct board *b, int no);
void board_done(struct board *b, int no); /* rank 0's: step `no` is done, and so are those before */
void board_op(struct board *b);           /* cheap */
uint32_t board_ops(const struct board *b);

/* First blame wins; later ones return false. Safe from any thread of any rank. */
bool board_blame(struct board *b, const struct blame *what);
bool board_blamed(const struct board *b, struct blame *out);
/* Installs handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS and SIGABRT. They blame this rank, so that clients get
 * the reason before the kernel writes a core dump, which may take long; then the previous handlers run. One board a
 * process; NULL restores the previous handlers. */
void board_crashes(struct board *b);

/* Starts this rank's watch thread. */
void board_watch(struct board *b, const struct watch_options *how);
/* Sets the log level of all ranks: each adopts and logs it at its next heartbeat. */
void board_log_level(struct board *b, enum log_level level);
/* Rank 0: sends SIGHUP to all other ranks, each of which sends it itself at its next heartbeat. */
void board_hang_up(struct board *b);
/* Called in every wait loop: ends the process if a rank was blamed and the watch thread has not ended it yet. */
void board_idle(void *board);
/* Hook for on_die(): blames this rank (BLAME_FAULT) and waits up to 700 ms for rank 0's last words. */
void board_die(void *board, const char *why);

#endif
