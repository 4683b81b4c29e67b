/* inside.h - private to daemon/front. All of it belongs to the front thread, unless a line says otherwise.
 *
 * Callers come first: front.c (public functions) and loop.c (the thread) over signals.c, orders.c, request.c (requests
 * and waiting calls), admit.c (a request becomes a call), tokenize.c, status.c, open_calls.c and reply.c (tokens become
 * replies), over limit.c and places.c (limits, the queue), sampling.c, chat.c, open.c, over calls.c (open calls and
 * errors), pace.c and the structs below.
 */
#ifndef DAEMON_FRONT_INSIDE_H
#define DAEMON_FRONT_INSIDE_H

#include <pthread.h>
#include <sys/types.h>

#include "daemon/front/account.h"
#include "daemon/front/front.h"
#include "daemon/front/helper.h"
#include "daemon/front/lora_list.h"
#include "daemon/front/metrics.h"
#include "daemon/front/model.h"
#include "daemon/front/quota.h"
#include "daemon/front/stop_text.h"
#include "daemon/link.h"
#include "daemon/options.h"
#include "daemon/rank/report.h"
#include "engine/models/generation.h"
#include "engine/tokenizer/tokenizer.h"
#include "rpc/server/server.h"

/* An open Generate, Chat or Score. */
struct front_call {
	uint64_t id;
	struct front_call
		*next; /* in its bucket, or in the list of calls that wait for the model or their prompt's ids */
	struct xv_request *request;
	struct front_lora *lora;  /* its adapter, which counts it; NULL: none */
	struct front_stake stake; /* what it holds of its client's account */
	struct quota_claim claim; /* and of the limits of --limits */
	uint32_t retry_ms;        /* when the limit that refuses it has room; 0: by the queue's pace */
	struct call call;         /* what the engine gets; it points to the arrays below */
	struct ids ids;
	int32_t *stop_ids;
	struct bias *bias;
	float *targets;           /* (2 * call.targets.n) logits, then logprobs */
	uint32_t *mask;           /* (mask_words(vocab)), or NULL */
	struct grammar *grammar;  /* what its answer must be, or NULL */
	struct front_forms forms; /* of a Chat's answer */
	struct detok *detok;
	struct front_stop stop;
	uint64_t skip_text; /* resumed: bytes of text that the client has already */
	char *missing;      /* (n_missing) resumed: text of resumed tokens that the client lacks */
	size_t n_missing;
	int hit;          /* resumed: the stop string found in the resumed tokens, or -1 */
	enum finish over; /* resumed: how the stream had ended, when only its last frame was lost */
	uint64_t deadline_ns;
	uint64_t arrived_ns, last_ns; /* last_ns: of its latest token, 0: none yet */
	bool chat;                    /* it arrived as a Chat */
	bool encoded;                 /* ids holds the prompt */
	bool cancel_due;              /* its cancel found the engine's mailbox full */
	bool cancelled;               /* before it reached the engine */
	bool ended;                   /* the client has its last reply */
	bool return_ids, include_stop, scored_first;
	int output; /* tokens that the engine reported */
};

enum { FRONT_BUCKETS = 1024, PACE_ENDS = 64, FRONT_INPUT = 256 << 20 /* bytes of open requests */ };

/* When calls ended while others waited. */
struct front_pace {
	uint64_t at[PACE_ENDS]; /* a ring */
	uint64_t n;             /* ends since calls wait */
	uint64_t last_ns;       /* time between two ends, when calls last waited; 0: they never did */
};

struct front {
	/* constant */
	struct link *link;
	const struct options *opt;
	struct board *board;
	const struct front_model *model;
	struct tokenizer *tokenizer; /* NULL: prompts are token ids only */
	struct chat *chat;           /* NULL: no_chat holds the reason */
	struct grammar_room *room;   /* NULL without a tokenizer */
	char no_chat[512];
	struct front_forms forms;                           /* of answers: the chat format's, or those of the options */
	struct xv_sampling defaults;                        /* generation_config.json; `has` marks the fields it sets */
	int n_default_eos, default_eos[GENERATION_MAX_EOS]; /* of generation_config.json */
	uint64_t started_ns;
	pid_t starter; /* mpirun, whose end is this process's; 0: none */
	void (*reread)(void *arg);
	void *arg;
	int signal_fd, beat_fd; /* beat_fd: the launcher's connection, -1 without one */
	bool deaf;              /* no order will come on it any more */

	struct rpc_server *server;
	struct front_helpers helpers;
	struct front_accounts accounts;
	struct quotas quotas;
	struct front_pace pace;
	struct front_metrics metrics;
	struct front_call *bucket[FRONT_BUCKETS]; /* calls that the engine has, by id */
	struct front_call *waiting;               /* for the model to load */
	struct front_call *tokenizing;            /* their prompt is with a helper thread */
	struct front_call *held;                  /* (n_held) wait until a limit lets them run; oldest first */
	int n_held;
	struct front_loras loras;
	bool ready;           /* the model is loaded, and what follows from that is done */
	char fingerprint[40]; /* once ready */
	uint64_t adds_posted;
	int cancels_due; /* calls with cancel_due */
	bool draining, trim_due;
	bool yields;       /* it drains for a process that will load the model: clients wait for that one */
	uint64_t leave_ns; /* since when another process takes the connections that come; 0: none does */
	uint32_t ops_seen; /* of board_ops(), at the last beat */
	bool trim_large;   /* much memory was held since the last trim */
	int connections_seen;
	uint64_t trim_ns, drain_deadline_ns;
	uint64_t beat_ns, cont_ns; /* last beat; last SIGCONT */
	uint64_t log_ns;           /* last report of log lines that were suppressed */
	pthread_t thread;
	_Atomic int last_words; /* set by the watch thread, which uses the server from then on */
};

/* ---- open.c: before the thread starts ---- */
int front_open_words(struct front *f, struct why *why);    /* tokenizer, chat format */
int front_read_defaults(struct front *f, struct why *why); /* sampling defaults */
int front_open_model(struct front *f, struct why *why);    /* both, and the memory for answers */

/* ---- loop.c ---- */
void *front_loop(void *front); /* the thread */

/* ---- orders.c: the launcher's orders, and what is reported to it ---- */
void front_open_orders(struct front *f);
void front_take_orders(struct front *f);
void front_beat(struct front *f); /* about once a second */

/* ---- signals.c ---- */
void front_open_signals(struct front *f);
void front_take_signals(struct front *f);
/* Ends the process at once: MPI_Finalize would wait for ranks that may be gone. */
void front_exit(struct front *f, int code) __attribute__((noreturn));

/* ---- request.c: handlers of the server, and calls that wait for the model ---- */
void front_request(void *front, uint64_t call, const struct rpc_peer *peer, struct xv_request *r);
void front_cancel(void *front, uint64_t call);
void front_check_ready(struct front *f); /* once the link says READY, waiting calls go on */
void front_expire(struct front *f);      /* ends waiting calls whose deadline has passed */

/* ---- admit.c: the model is loaded ---- */
void front_admit(struct front *f, struct front_call *c);    /* to a helper thread first, to the engine, or refused */
void front_encoded(struct front *f, struct front_job *job); /* its prompt is tokenized */
void front_release_held(struct front *f); /* those that may run, and those whose deadline has passed */

/* ---- tokenize.c: Tokenize, Detokenize, Template ---- */
void front_tokenize(struct front *f, uint64_t call, const struct rpc_peer *peer,
		    struct xv_request *r);                    /* takes *r; long ones go to a helper thread */
void front_tokenized(struct front *f, struct front_job *job); /* a helper thread has done it; frees job */

/* ---- status.c ---- */
void front_send_status(struct front *f, uint64_t call);
void front_fill_counts(const struct front *f, struct xv_status *s); /* what changes with every step */
void front_send_metrics(struct front *f, uint64_t call);

/* ---- open_calls.c ---- */
/* Those that the asker may cancel. */
void front_send_calls(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r);

/* ---- reply.c ---- */
void front_report(struct front *f, const struct link_report *r);
/* Runs resumed tokens through detokenizer and stop scan as the first time. True: the stream had ended already. */
bool front_replay(struct front_call *c);
/* After Started: text that the client of a resumed stream lacks, and the last frame where the stream had ended. */
void front_send_missing(struct front *f, struct front_call *c);

/* ---- loras.c: adapters ---- */
void front_loras_ready(struct front *f); /* those of the start are loaded */
void front_loras_finish(struct front *f);
void front_loras_tick(struct front *f); /* loads and unloads that are done */
bool front_loras_pending(const struct front *f);
void front_lora_load(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r);
void front_lora_unload(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r);
/* The adapter of this name counts the call, whose scope it changes. ERR_UNKNOWN, ERR_LOADING, ERR_UNSUPPORTED. */
int front_lora_take(struct front *f, struct front_call *c, const char *name, struct why *why);

/* ---- lora_list.c ---- */
struct xv_adapter front_lora_view(const struct front_lora *l);
void front_lora_list(const struct front *f, struct xv_status *s, struct xv_adapter views[OPTIONS_MAX_LORAS]);

/* ---- limit.c: limits of users, groups and keys ---- */
int front_limits_read(struct front *f, struct why *why); /* on an error the old ones hold */
/* 0: it may be there. ERR_BUSY, ERR_DENIED. */
int front_limits_admit(struct front *f, struct front_call *c, struct why *why);

/* ---- places.c: the queue ---- */
int front_take_place(struct front *f, struct front_call *c, struct why *why); /* 0 or ERR_BUSY */
uint32_t front_place(void *front, uint64_t call);                             /* from 1; 0: it does not wait */

/* ---- sampling.c ---- */
struct generation_config;
void front_defaults(struct front *f, const struct generation_config *g);
int front_sampling(struct front *f, struct front_call *c, const struct xv_sampling *s, struct why *why);
int front_check_ids(const struct front *f, const int32_t *ids, int n, const char *what, struct why *why);
bool front_has(const struct xv_sampling *s, enum xv_sampling_field f);

/* ---- chat.c ---- */
int front_check_chat(const struct front *f, struct why *why); /* ERR_UNSUPPORTED: the model has no chat format */
/* A Chat becomes a Generate whose prompt *job makes of its messages. */
void front_chat(struct front *f, struct front_call *c, struct front_job *job);
void front_chat_stops(struct front *f, struct front_call *c, const struct xv_sampling *s); /* fills c->stop */

/* ---- calls.c ---- */
void front_error(struct front *f, uint64_t call, int code, const char *text);
/* The same; a busy one is asked to retry by its account's place in the queue. */
void front_refuse(struct front *f, const struct front_call *c, int code, const char *text);
/* False: refused, since only root and the server's own user may do `what`. */
bool front_is_owner(struct front *f, uint64_t call, const struct rpc_peer *peer, const char *what);
struct front_call *front_find(struct front *f, uint64_t call); /* with the engine, or NULL */
void front_add(struct front *f, struct front_call *c);
void front_forget(struct front *f, struct front_call *c);
void front_call_destroy(struct front_call *c);
/* Calls that wait until a limit of their user, group or key lets them run. */
void front_hold(struct front *f, struct front_call *c);
struct front_call *front_find_held(struct front *f, uint64_t call);
struct front_call *front_take_held(struct front *f, struct front_call **at);
void front_drop_held(struct front *f, uint64_t call, int code, const char *text); /* with this error */
int front_open_calls(const struct front *f);
void front_cancel_engine(struct front *f, struct front_call *c); /* where its mailbox is full: marks it due */
void front_retry_cancels(struct front *f);                       /* those that are due */
void front_drain(struct front *f, const char *reason);
/* Why new calls are refused: ERR_* and *text; 0: they are not. */
int front_closed(const struct front *f, const char **text);
void front_accounts_follow(struct front *f); /* the limits of the options hold for accounts from now on */
#define FRONT_SHUTTING_DOWN "the server is shutting down; resume elsewhere or later"
void front_end_calls(struct front *f, int code, const char *text); /* sends one error on every open call */

/* ---- pace.c ---- */
void front_count_end(struct front *f);                             /* a call has ended */
uint32_t front_retry_ms(struct front *f, struct front_account *a); /* until a refused call may retry; a may be NULL */

#endif
