/* quota.h - what each subject of the file of limits (daemon/limits.h) holds and has spent: a user, a group, an API key,
 * or an account that the default counts for. A call claims a part of its own subject and of each group with an entry
 * that its user is in. Clients of a gateway without a key count as the gateway's user.
 *
 * Tokens a minute are a bucket that holds a minute's worth and fills evenly. A prompt is taken from it when its call
 * begins, and an answer token by token, also below zero: what a call takes too much, the next one waits for. A prompt
 * of more than the bucket holds begins when it is full.
 *
 * A subject is kept while it has calls and until its bucket is full again, at most a few minutes, so their number is
 * bounded by who asks. Front thread only. */
#ifndef DAEMON_FRONT_QUOTA_H
#define DAEMON_FRONT_QUOTA_H

#include "daemon/limits.h"
#include "rpc/codec/codec.h"
#include "rpc/server/peer.h"

enum quota_refusal { QUOTA_WAITING, QUOTA_TOKENS, QUOTA_ADAPTERS, QUOTA_MODELS, QUOTA_REFUSALS };

struct quota {
	struct quota *next; /* in its bucket */
	enum limit_kind kind;
	uint32_t id;                       /* of a user or group; of the default's account: its user */
	char key[RPC_MAX_ASKER_BYTES + 1]; /* of a key, or of the default's account */
	const struct limit *limit;         /* NULL: the file has none any more */
	int calls, running, waiting;       /* running: in the batch; waiting: in the engine's queue or before it */
	int with_engine;                   /* in its queue or in the batch */
	double tokens;                     /* in the bucket */
	uint64_t filled_ns;
};

enum { QUOTA_BUCKETS = 256, QUOTA_CLAIMS = 8 };
struct quotas {
	struct limits limits;
	struct quota *bucket[QUOTA_BUCKETS];
	int n; /* subjects */
	uint64_t refused[QUOTA_REFUSALS], swept_ns;
};

struct quota_claim {
	struct quotas *all;
	struct quota *at[QUOTA_CLAIMS];
	int n;
	bool with_engine, waiting, running;
};

/* The limits that hold from now on, also for open calls; taken over. */
void quotas_follow(struct quotas *t, struct limits *limits);
void quotas_finish(struct quotas *t);
void quotas_sweep(struct quotas *t, uint64_t now_ns); /* forgets subjects that hold nothing; cheap */

/* An owner who speaks for himself has no default. Nothing is counted yet. */
void quota_open(struct quotas *t, struct quota_claim *c, const struct rpc_peer *peer, const struct xv_asker *asker,
		uint64_t now_ns);
/* Whether a call of so many prompt tokens may be there; counts it as waiting unless it runs at once. `room`: the engine
 * has a free place in the batch.
 * ERR_DENIED, or ERR_BUSY with the time after which it may come again (0: unknown). */
int quota_admit(struct quota_claim *c, const char *model, const char *adapter, int tokens, bool room, uint64_t now_ns,
		uint32_t *retry_ms, struct why *why);
bool quota_may_run(const struct quota_claim *c);                      /* fewer calls are with the engine than may run */
void quota_post(struct quota_claim *c);                               /* it goes to the engine */
void quota_run(struct quota_claim *c);                                /* the engine has it in the batch */
void quota_spend(struct quota_claim *c, int tokens, uint64_t now_ns); /* of its answer */
void quota_close(struct quota_claim *c);                              /* a closed claim is fine */

#endif
