/* pump.h - sends many requests to the server and takes their results: as many in flight as the server takes, what it
 * puts off sent again later, a server that restarts waited for, a bar on standard error, an end by Ctrl-C.
 *
 * The caller numbers its items as it likes and makes a request for each when asked to, maybe more than once. Replies
 * are gathered: an item ends with one struct pump_result. Results come in the order in which the server finishes. */
#ifndef RPC_CLI_PUMP_H
#define RPC_CLI_PUMP_H

#include "base/base.h"
#include "rpc/xverse.h"

/* What came of one item. All of it is the pump's, valid during the call of `done`. */
struct pump_result {
	uint64_t item;
	int err;           /* 0, or the XV_ERR_* that ended it for good, with `text` in `error` */
	const char *error; /* "" */
	bool retryable;    /* it was tried again as often as the options allow, or the run ends */
	int tries;         /* 1: the first one succeeded */
	const char *text;  /* of the output (text_len), NUL-terminated */
	size_t text_len;
	const int32_t *ids; /* (n_ids) of the output */
	int n_ids;
	const struct xv_token *tokens; /* (n_tokens) of the output, where logprobs were asked for */
	int n_tokens;
	const struct xv_token *prompt_tokens; /* (n_prompt_tokens) of Score, echo and prompt_logprobs */
	int n_prompt_tokens;
	const char *fingerprint, *numerics_class;   /* of the server that began it; "" where none did */
	const char *tool_parser, *reasoning_parser; /* as in Started; "" where it said none */
	bool reasoning_open;
	uint64_t seed;
	const struct xv_reply *reply; /* the last one: XV_R_FINISHED, XV_R_TOKENS, ...; NULL with err */
};

enum { PUMP_AGAIN = 1, PUMP_PART = 2 };

struct pump {
	const char *unit; /* of the bar: "question" */
	uint64_t total;   /* items of the whole run; 0: unknown */
	uint64_t already; /* of these, done by an earlier run */
	int in_flight;    /* at most; 0: what the server takes */
	int retries;      /* of an item that ended with an error which may pass; those of a full queue do not count */
	bool quiet;       /* no bar */
	/* The next item: 1; 0: there are no more; XV_ERR_*: the run ends with it. */
	int (*next)(void *arg, uint64_t *item, struct why *why);
	/* Fills the request of an item, which starts as zeros; what it points to is read before make() is called again.
	 * XV_ERR_*: the item ends with that error, as if the server had said it. */
	int (*make)(void *arg, uint64_t item, struct xv_request *r, struct why *why);
	/* Takes an item's result. 0; PUMP_AGAIN: the item goes on with another request, for which make() is called, and
	 * is not counted; PUMP_PART: it is only a part of what the bar and the totals count; XV_ERR_*: the run ends
	 * with it. */
	int (*done)(void *arg, const struct pump_result *result, struct why *why);
	/* Text for the end of the bar, such as a running accuracy. May be NULL. */
	void (*tell)(void *arg, char *out, size_t size);
	void *arg;
};

struct pump_totals {
	uint64_t done, failed; /* in this run */
	uint64_t prompt_tokens, cached_tokens, output_tokens;
	double seconds;
	int resends; /* requests that were sent again because the server was lost */
};

/* 0 when all items are done; ERR_CANCELLED: Ctrl-C, SIGTERM or SIGHUP, what was in flight is done and nothing else
 * begun (a second signal cancels what is in flight, whose items stay undone); XV_ERR_*: the server is lost for good, or
 * a callback's error. */
int pump_run(struct xv_client *c, const struct pump *how, struct pump_totals *out, struct why *why);

#endif
