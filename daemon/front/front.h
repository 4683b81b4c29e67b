/* front.h - rank 0's front thread: the socket, text and tokens. It never waits for the engine, and never sees
 * a device.
 *
 * It listens before weights load, so that Status tells how far loading is and calls get LOADING (or wait
 * within their deadline). Private parts of the folder: front_request.c (requests as they come), front_call.c (a request
 * becomes a call), front_send.c (tokens become replies), front_status.c. */
#ifndef DAEMON_FRONT_FRONT_H
#define DAEMON_FRONT_FRONT_H

#include <pthread.h>
#include <signal.h>

#include "daemon/front/account.h"
#include "daemon/link.h"
#include "daemon/front/metrics.h"
#include "daemon/rank/rank.h"
#include "daemon/front/stop_text.h"
#include "daemon/front/helper.h"
#include "engine/models/generation.h"
#include "engine/tokenizer/tokenizer.h"
#include "rpc/server/server.h"

/* An open Generate, Chat or Score. */
struct open_call {
	uint64_t id;
	struct open_call *next; /* in its bucket, or in the list of those waiting for the model */
	struct rpc_request *request;
	struct stake stake; /* of whoever asks */
	struct call call;   /* what the engine gets; arrays below */
	struct ids ids;
	int32_t *stop_ids;
	struct bias *bias;
	uint32_t *mask; /* (mask_words(vocab)), or NULL */
	struct detok *detok;
	struct stop_text stop;
	uint64_t skip_text; /* resumed: bytes the client has already */
	char *missing;      /* (n_missing) text of resumed tokens that it lacks */
	size_t n_missing;
	int hit;          /* resumed: stop string found in what came before, or -1 */
	enum finish over; /* resumed: it had ended, only the last frame was lost */
	uint64_t deadline_ns;
	uint64_t arrived_ns, last_ns; /* last_ns: of its latest token, 0: none yet */
	bool chat;                    /* was a Chat */
	bool encoded;                 /* ids holds the prompt */
	bool cancel_due;              /* the engine's mailbox was full */
	bool cancelled, ended;        /* while its prompt is tokenized; the client has its last reply */
	bool return_ids, include_stop, scored_first;
	int output; /* tokens reported by the engine */
};

enum { FRONT_BUCKETS = 1024, PACE_ENDS = 64, FRONT_INPUT = 256 << 20 /* bytes of open requests */ };

/* When calls ended while others waited. */
struct pace {
	uint64_t at[PACE_ENDS]; /* a ring */
	uint64_t n;             /* of them, since calls wait */
	uint64_t last_ns;       /* between two, when calls waited before; 0: never yet */
};

struct front {
	struct link *link;
	const struct options *opt;
	struct board *board;
	struct node *node;           /* constant once the link says READY */
	struct tokenizer *tokenizer; /* NULL: ids only */
	struct chat *chat;           /* NULL: no_chat says why */
	char no_chat[512];
	struct words words;
	struct rpc_server *server;
	struct rpc_sampling defaults;                       /* generation_config.json; `has` says which */
	int n_default_eos, default_eos[GENERATION_MAX_EOS]; /* of generation_config.json */
	struct accounts accounts;
	struct pace pace;
	struct open_call *bucket[FRONT_BUCKETS];
	struct open_call *waiting;       /* for the model to load */
	struct open_call *tokenizing;    /* long prompts, on the helper thread */
	const struct node_report *ranks; /* (world size) once READY */
	char model_name[256], fingerprint[40];
	uint64_t started_ns, load_started_ns, adds_posted;
	int cancels_due; /* open calls with cancel_due */
	bool draining, trim_due;
	int connections_seen;
	uint64_t trim_ns;
	uint64_t drain_deadline_ns;
	int signal_fd, beat_fd;    /* beat_fd: the launcher's connection, -1 without one */
	pid_t starter;             /* mpirun, whose end is this process's; 0: it has none */
	uint64_t beat_ns, cont_ns; /* last beat; last SIGCONT */
	uint64_t log_ns;           /* last look at lines that were not written */
	bool trim_large;           /* something large was held since the last trim */
	pthread_t thread;
	struct metrics metrics;
	_Atomic int last_words; /* the watch thread speaks now: touch the server no more */
};

/* Blocks what front threads hear of; call it before there is any other thread. */
void front_block_signals(void);
/* Opens the socket and starts the thread. f->starter says whose end it must not survive. */
int front_start(struct front *f, struct why *why);
/* After serve() returned: waits for the thread. */
void front_join(struct front *f);
/* The process ends without having loaded: open calls are told, the socket is removed. Nothing but _exit() follows. */
void front_start_failed(struct front *f, const char *text);
/* From the watch thread: one error on every open call. */
void front_last_words(struct front *f, const struct rpc_error *error);

/* ---- private to the folder ---- */
void front_request(void *front, uint64_t call, const struct rpc_peer *peer, struct rpc_request *r);
void front_cancel(void *front, uint64_t call);
void front_post(struct front *f, struct open_call *c); /* to the engine, or first to the helper thread */
void front_ready(struct front *f);                     /* the model is there: calls that waited go on */
void front_expire(struct front *f);                    /* waiting calls past their deadline */
void front_report(struct front *f, const struct report *r);
/* Tells the engine to end a call; where its mailbox is full, front_retry_cancels() does it later. */
void front_stop_engine(struct front *f, struct open_call *c);
void front_retry_cancels(struct front *f);
/* Runs resumed tokens through detokenizer and stop scan as the first time. True: the stream had ended already. */
bool front_replay(struct open_call *c);
/* After Started: what the client lacks of a resumed stream, and its end where it had one. */
void front_send_missing(struct front *f, struct open_call *c);
bool front_has(const struct rpc_sampling *s, enum rpc_sampling_field f);
int front_check_ids(const struct front *f, const int32_t *ids, int n, const char *what, struct why *why);
struct generation_config;
void front_defaults(struct front *f, const struct generation_config *g);
int front_sampling(struct front *f, struct open_call *c, const struct rpc_sampling *s, struct why *why);
/* Tokenize, Detokenize, Template: takes *r. Long ones go to the threads of words.c. */
void front_words(struct front *f, uint64_t call, const struct rpc_peer *peer, struct rpc_request *r);
void front_send_words(struct front *f, struct words_job *job); /* its answer */
void front_end_words(struct words_job *job);                   /* of one that another thread did */
/* A Chat becomes a Generate with its prompt encoded (*job holds ids or error), or false: *job is to go to the helper
 * thread. */
bool front_chat(struct front *f, struct open_call *c, struct words_job *job);
void front_chat_stops(struct front *f, struct open_call *c, const struct rpc_sampling *s); /* fills c->stop */
int front_check_chat(const struct front *f, struct why *why);                              /* is there a chat format */
void front_take_words(struct front *f); /* long prompts that are tokenized now */
/* front_account.c */
int front_take_place(struct front *f, struct open_call *c, struct why *why); /* in the queue: 0 or ERR_BUSY */
uint32_t front_place(void *front, uint64_t call);                            /* in the queue, from 1; 0: not in it */
void front_count_pace(struct front *f);                                      /* a call has ended */
uint32_t front_retry_ms(struct front *f,
			struct account *a); /* when a refused call may come again; a: whose, NULL: anybody's */
/* False: it was refused, since only root and the server's own user may. */
bool front_is_owner(struct front *f, uint64_t call, const struct rpc_peer *peer, const char *what);
void front_send_status(struct front *f, uint64_t call);
void front_send_metrics(struct front *f, uint64_t call);
void front_drain(struct front *f, const char *reason);
void front_open_signals(struct front *f);
void front_take_signals(struct front *f);
#define FRONT_SHUTTING_DOWN "the server is shutting down; resume elsewhere or later"
void front_cut_calls(struct front *f, int code, const char *text); /* one error on every open call */
/* Ends the process at once, where MPI_Finalize would wait for what is not there any more. */
void front_exit(struct front *f, int code) __attribute__((noreturn));
void front_error(struct front *f, uint64_t call, int code, const char *text);
void front_refuse(struct front *f, const struct open_call *c, int code,
		  const char *text); /* "busy" by its account's place */
struct open_call *front_find(struct front *f, uint64_t call);
void front_forget(struct front *f, struct open_call *c);
void front_post(struct front *f,
		struct open_call *c); /* the model is there: takes the call to the engine, or refuses it */
int front_most_tokens(const struct front *f, const struct open_call *c); /* that its prompt is encoded to */
int front_open_calls(const struct front *f);
void open_call_destroy(struct open_call *c);

#endif
