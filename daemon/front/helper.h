/* words.h - text to ids and back, away from the front thread where it is long, so that one call never stalls every
 * stream.
 *
 * Two threads, one for long jobs and one for the rest, so that a short text never waits for a long one to end. Each
 * takes the job whose turn is lowest: a job's turn is its size behind what its client asked for before and behind the
 * clock of the thread, which goes on by half the size of each job done. So short ones pass long ones, one client's many
 * do not hold up another's one, and none waits for more than twice its own size of work that came after it. */
#ifndef DAEMON_FRONT_HELPER_H
#define DAEMON_FRONT_HELPER_H

#include <pthread.h>

#include "daemon/front/prompt.h"
#include "engine/tokenizer/tokenizer.h"

enum {
	WORDS_LONG = 32 << 10,          /* bytes; shorter texts are not worth a hand-over */
	WORDS_LONG_IDS = 8 << 10,       /* the same for ids that become text */
	WORDS_LANE = 256 << 10,         /* bytes; longer jobs have a thread of their own */
	WORDS_MEMORY = 512 << 20,       /* working memory of one long job, its answer included */
	WORDS_MEMORY_TALK = 256 << 20,  /* of a conversation, trees of JSON included */
	WORDS_MEMORY_SHORT = 128 << 20, /* of one that the front thread or the thread of short ones does */
	WORDS_SECONDS = 10,             /* of CPU time of one job */
	WORDS_FRONT_MS = 250,           /* of CPU time of one job of the front thread */
	WORDS_DONE = 64 << 20,          /* bytes of answers that may wait for the front */
};

enum words_kind { WORDS_ENCODE, WORDS_TALK, WORDS_DECODE };
struct words_job {
	struct words_job *next;
	uint64_t call;   /* whose it is: the call may be gone when the job is done */
	uint64_t client; /* jobs of one client wait for each other, not for others */
	enum words_kind kind;
	/* in; borrowed from the call's request, or from `keep` */
	const char *text; /* (len) ENCODE */
	size_t len;
	struct encode_options how;
	const struct chat *chat; /* TALK: its format, and what was said */
	struct rpc_chat said;
	bool want_text;
	const int32_t *pieces; /* (n_pieces) DECODE */
	int n_pieces;
	bool skip_special;
	struct rpc_request *keep; /* Tokenize, Detokenize, Template: the request, owned; NULL: the prompt of a call */
	/* out */
	struct chat_text out;
	struct ids ids; /* its bound and whether offsets are wanted are set before */
	int err;
	struct why why;
	/* private */
	struct effort effort;
	size_t size;
	uint64_t turn;
};

struct words_lane {
	struct words *words;
	pthread_t thread;
	struct words_job *in, *running;
	uint64_t clock;
};
struct words {
	const struct tokenizer *tokenizer;
	int wake_fd; /* eventfd to ring when a job is done */
	pthread_mutex_t lock;
	pthread_cond_t more;       /* jobs, or room for answers */
	struct words_lane lane[2]; /* short, long */
	struct words_job *out, **out_end;
	size_t done; /* bytes of the answers in `out` */
	bool stop, started;
};

bool words_is_short(const struct words_job *job);
/* Does the job now, on the front thread: within WORDS_FRONT_MS and WORDS_MEMORY_SHORT. */
void words_run(struct words_job *job, const struct tokenizer *t);
void words_start(struct words *w, const struct tokenizer *t, int wake_fd);
void words_finish(struct words *w); /* jobs not taken are the caller's to have taken before */
void words_put(struct words *w, struct words_job *job);
/* The call has gone: its job ends soon with ERR_CANCELLED. No such job is fine. */
void words_cancel(struct words *w, uint64_t call);
struct words_job *words_take(struct words *w); /* done; NULL: none */
/* What the job holds beside itself; the request's memory, too, where it has one. */
void words_job_finish(struct words_job *job);

#endif
