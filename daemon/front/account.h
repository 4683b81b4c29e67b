/* account.h - who asks: one account for each user of the socket, and for each API key of a gateway, with who holds how
 * much of what they share. Clients of a gateway that have no key share its user's account, and within it as accounts do
 * among each other. An account lives while it has open calls, so the table is bounded by them. Front thread only. */
#ifndef DAEMON_FRONT_ACCOUNT_H
#define DAEMON_FRONT_ACCOUNT_H

#include <sys/types.h>

#include "engine/sched/turns.h"
#include "rpc/codec/codec.h"

enum front_share {
	SHARE_CALLS,  /* open calls: places in the queue and in the batch */
	SHARE_TOKENS, /* prompt tokens of waiting calls */
	SHARE_BYTES,  /* of open requests */
	SHARES
};

struct front_account {
	struct front_account *next;   /* of its bucket */
	struct front_account *parent; /* of a client without a key: its user's account */
	uint64_t number;              /* whose turn it is, front_accounts_turn() */
	uint64_t scope;               /* of (user, key), for the prefix cache: the same whenever it comes */
	uid_t uid;
	int users;        /* open calls and clients */
	struct turn turn; /* posted calls; the engine has its own, this one tells places */
	int64_t held[SHARES];
	uint64_t promised_ns; /* when the last refused call was asked to come again */
	char key[RPC_MAX_ASKER_BYTES + 1], client[RPC_MAX_ASKER_BYTES + 1];
};

enum { ACCOUNT_BUCKETS = 256 };
struct front_accounts {
	struct front_account *bucket[ACCOUNT_BUCKETS];
	struct turns turns;
	uint64_t secret; /* scopes cannot be guessed */
	int64_t most[SHARES], kept[SHARES] /* for owners */, held[SHARES];
	uint64_t refused[SHARES]; /* calls */
};

/* What one call holds of its account. */
struct front_stake {
	struct front_accounts *all;
	struct front_account *account; /* NULL: none yet */
	bool owner;                    /* root or the server's user: gets what is kept, and a larger share */
	bool waits, runs;              /* in the engine */
	int64_t held[SHARES];
};

void front_accounts_init(struct front_accounts *t);
void front_accounts_limit(struct front_accounts *t, enum front_share k, int64_t most);
/* A number of (user, key, else client): the same whenever it comes. */
uint64_t front_accounts_turn(const struct front_accounts *t, uid_t uid, const struct rpc_asker *asker);
void front_stake_open(struct front_stake *s, struct front_accounts *t, uid_t uid, bool owner,
		      const struct rpc_asker *asker);
/* 0, or ERR_BUSY with numbers: the account's share is used up and nothing is held. */
int front_stake_hold(struct front_stake *s, enum front_share k, int64_t amount, struct why *why);
void front_stake_wait(struct front_stake *s);  /* posted to the engine */
void front_stake_run(struct front_stake *s);   /* admitted: its tokens wait no more */
void front_stake_close(struct front_stake *s); /* all is given back; nothing happens where it is not open */
/* Its place in the queue if `earlier` calls of the same client wait before it, from 1. */
int front_stake_place(const struct front_stake *s, int earlier);

#endif
