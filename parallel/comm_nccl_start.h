/* comm_nccl_start.h - private to NCCL's communicator: its start, its windows and its end. Their calls wait for the
 * other ranks, and NCCL knows no deadline and does not notice a dead peer on the same host. So each runs on a thread of
 * its own, while the caller counts the time and looks at the board. */
#ifndef PARALLEL_COMM_NCCL_START_H
#define PARALLEL_COMM_NCCL_START_H

#include "base/base.h"

#include <nccl.h>

struct world;

struct nccl {
	ncclComm_t comm;         /* NULL: one rank */
	int64_t wait_ns;         /* longest wait for other ranks; 0: for ever */
	void (*idle)(void *arg); /* called in every wait loop. May be NULL */
	void *idle_arg;
	int version;               /* as ncclGetVersion() counts */
	void *window;              /* ncclWindow_t, which older headers lack; NULL: none */
	const char *why_no_window; /* NULL: there is one */
};

/* Dies with NCCL's reason and `what`, unless r is success. Waits where the user made communicators non-blocking
 * (NCCL_COMM_BLOCKING=0) and the call is still in progress. */
void nccl_must(const struct nccl *n, ncclResult_t r, const char *what);
/* Collective. Creates n->comm. ERR_UNKNOWN with NCCL's reason. */
int nccl_join(struct nccl *n, struct world *w, struct why *why);
/* Collective. Registers memory of ncclMemAlloc() as a window, where that is safe on all ranks: sums and gathers then go
 * straight from memory to memory of the GPUs. */
void nccl_open_window(struct nccl *n, struct world *w, void *memory, size_t bytes);
void nccl_close_window(struct nccl *n); /* collective; nothing where there is none */
void nccl_leave(struct nccl *n);        /* collective: ends n->comm */

#endif
