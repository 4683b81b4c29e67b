/* board.h - who is alive, and whose fault it was. One cache line a rank in memory that the node shares.
 *
 * Each rank has a watch thread that takes no lock and calls neither MPI nor CUDA. Every 250 ms it stamps its
 * own heartbeat, looks at the others' and polls the pidfds of the local ranks. A rank that is gone (pidfd), whose
 * heartbeat stands still for 2 s (stopped), or whose operation counter does past the watchdog's time while a
 * step runs (stuck) is blamed; the first blame wins. Time counts as still.h says: a job that was frozen as a whole is
 * not blamed. Then on rank 0 the `last_words` hook runs (at most 500 ms), the blamed process is killed and every rank
 * ends by _exit(EXIT_SOFTWARE). */
#ifndef PARALLEL_BOARD_H
#define PARALLEL_BOARD_H

#include <sys/types.h>

#include "base/log.h"
#include "parallel/blame.h"

struct board;

/* In memory shared by `size` ranks (board_bytes(size) zeroed bytes; in tests any memory, with threads for ranks). */
size_t board_bytes(int size);
struct board *board_join(void *shared, int rank, int size, pid_t pid);
void board_leave(struct board *b); /* an orderly end: this rank is no longer watched. Frees. */
/* Takes hold of the other processes. Call it when all have joined and while none can end yet, so that a process
 * number used again later is never taken for a rank's. board_watch() does it where nobody did. */
void board_meet(struct board *b);

/* Engine thread: step `no` begins (ops count up in it), or nothing runs (no = -1). */
void board_step(struct board *b, int no);
void board_done(struct board *b, int no); /* rank 0's: step `no` is done, and so are those before */
void board_op(struct board *b);           /* one more operation done; cheap */
uint32_t board_ops(const struct board *b);

/* First blame wins; later ones return false. Safe from any thread of any rank. */
bool board_blame(struct board *b, const struct blame *what);
bool board_blamed(const struct board *b, struct blame *out);
/* This process's crashes (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT) are blamed by a handler, and told to the
 * clients, before the kernel writes a core dump, which may take long. Then what stood there before takes its course.
 * For one board of a process; NULL ends it. */
void board_crashes(struct board *b);

/* Starts this rank's watch thread. */
void board_watch(struct board *b, const struct watch_options *how);
/* For all ranks: each takes it at its next heartbeat, and says so in its log. */
void board_log_level(struct board *b, enum log_level level);
/* For every wait loop: ends the process if somebody was blamed and the watch thread did not yet. */
void board_idle(void *board);
/* For on_die(): blames this rank (BLAME_FAULT) and leaves rank 0 up to 700 ms for its last words. */
void board_die(void *board, const char *why);

#endif
