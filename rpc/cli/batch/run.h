/* run.h - one run over the lines that have no answer yet: requests to the pump, answers to the journal. */
#ifndef RPC_CLI_BATCH_RUN_H
#define RPC_CLI_BATCH_RUN_H

#include "rpc/cli/batch/input.h"
#include "rpc/cli/journal.h"
#include "rpc/cli/pump.h"

/* A LoRA adapter of the server, which a line names as its model. */
struct batch_adapter {
	char *name, *fingerprint;
};

struct batch_run {
	const struct batch_input *in;
	struct journal *journal;
	const struct xv_sampling *defaults;
	const char *model, *fingerprint, *numerics_class; /* of the server; another one ends the run */
	const struct batch_adapter *adapter;              /* [n_adapters] */
	int n_adapters;
	uint64_t refused, failed; /* lines that can have no answer; those that had none for now, in this run */
	char first_error[300];    /* of them */
};

/* What pump_run() returns. */
int batch_run(struct batch_run *b, struct xv_client *c, int in_flight, int retries, bool quiet, struct pump_totals *out,
	      struct why *why);
/* The item of the journal that holds a line's answer, or the last error of one that failed for now; UINT64_MAX: none.
 */
journal_pick batch_pick;                           /* arg: struct batch_run */
uint64_t batch_undone(const struct batch_run *b);  /* lines without an answer */
uint64_t batch_refused(const struct batch_run *b); /* lines that can have none, those of earlier runs among them */

#endif
