/* windows.h - the likelihood of a text that is longer than the context: a window slides over it by a stride, and each
 * window counts the tokens that the one before did not reach, so that they have at least window - stride tokens before
 * them. Every token counts once; a document's first one has none before it and counts only as what follows. */
#ifndef RPC_CLI_MEASURE_WINDOWS_H
#define RPC_CLI_MEASURE_WINDOWS_H

#include "rpc/cli/journal.h"
#include "rpc/cli/measure/text.h"
#include "rpc/cli/pump.h"

struct measure_window {
	int doc, begin, end, from; /* tokens [begin, end) are computed, [from, end) count */
};
struct measure_windows {
	const struct measure_text *text;
	const char *adapter;           /* of the server's; NULL: none */
	struct measure_window *window; /* (n) */
	double *nll, *squares;         /* (n) sums of a window's -ln p, in the order of its tokens; below 0: none yet */
	int n, whole;                  /* whole: windows without a limit */
};
/* limit: windows at most, 0: all. `adapter` is left to the caller. ERR_INVALID: there is no token to count. */
int measure_windows_make(struct measure_windows *w, const struct measure_text *t, int window, int stride, int limit,
			 struct why *why);
void measure_windows_finish(struct measure_windows *w);
/* Asks for windows that have no sums; the journal may be NULL. */
int measure_windows_run(struct measure_windows *w, struct xv_client *c, struct journal *journal, int in_flight,
			bool quiet, struct pump_totals *out, struct why *why);

/* Of all windows that have sums: the same bits in whatever order they came. */
struct measure_ppl {
	double nll, error; /* mean of -ln p of a token; its standard error */
	double perplexity, perplexity_error, bits_per_byte, bits_per_token;
	uint64_t tokens, bytes;
};
struct measure_ppl measure_ppl_of(const struct measure_windows *w);

#endif
