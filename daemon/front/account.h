/* account.h - shares of the queue: one account for each user of the socket and each API key of a gateway. A gateway's
 * clients without a key are accounts within its user's account. An account lives while it has open calls, so their
 * number bounds the table. Front thread only. */
#ifndef DAEMON_FRONT_ACCOUNT_H
#define DAEMON_FRONT_ACCOUNT_H

#include <sys/types.h>

#include "engine/sched/turns.h"
#include "rpc/codec/codec.h"

enum front_share {
	SHARE_CALLS,  /* open calls, waiting or in the batch */
	SHARE_TOKENS, /* prompt tokens of waiting calls */
	SHARE_BYTES,  /* bytes of open requests */
	SHARES
};

struct front_account {
	struct front_account *next;   /* in its bucket */
	struct front_account *parent; /* the user's account, where this is a client without a key; else NULL */
	uint64_t number;              /* front_accounts_turn() */
	uint64_t scope;               /* separates prefix caches: a number of (user, key) */
	uid_t uid;
	int users;        /* open calls, and accounts within it */
	struct turn turn; /* of posted calls, for their places; the engine keeps its own */
	int64_t held[SHARES];
	uint64_t promised_ns; /* when the last refused call was asked to retry */
	char key[RPC_MAX_ASKER_BYTES + 1], client[RPC_MAX_ASKER_BYTES + 1];
};

enum { ACCOUNT_BUCKETS = 256 };
struct front_accounts {
	struct front_account *bucket[ACCOUNT_BUCKETS];
	struct turns turns;
	uint64_t secret; /* so that scopes cannot be guessed */
	int64_t most[SHARES], kept[SHARES] /* for owners */, held[SHARES];
	uint64_t refused[SHARES]; /* calls, by what was used up */
};

/* What one call holds of its account's shares. */
struct front_stake {
	struct front_accounts *all;
	struct front_account *account; /* NULL: closed */
	bool owner;                    /* root or the server's user: a larger share, and what is kept for owners */
	bool waits, runs;              /* waits or runs in the engine */
	int64_t held[SHARES];
};

void front_accounts_init(struct front_accounts *t);
void front_accounts_limit(struct front_accounts *t, enum front_share k, int64_t most);
/* A number of (user, key), or of (user, client) where there is no key; constant while the process runs. */
uint64_t front_accounts_turn(const struct front_accounts *t, uid_t uid, const struct xv_asker *asker);
void front_stake_open(struct front_stake *s, struct front_accounts *t, uid_t uid, bool owner,
		      const struct xv_asker *asker);
/* 0, or ERR_BUSY with a text: the account's share is used up, and nothing more is held. */
int front_stake_hold(struct front_stake *s, enum front_share k, int64_t amount, struct why *why);
void front_stake_wait(struct front_stake *s);  /* it was posted to the engine */
void front_stake_run(struct front_stake *s);   /* the engine admitted it: its tokens no longer wait */
void front_stake_close(struct front_stake *s); /* releases all; a closed stake is fine */
/* Its place in the queue, from 1, where `earlier` calls of the same account wait before it. */
int front_stake_place(const struct front_stake *s, int earlier);

#endif
