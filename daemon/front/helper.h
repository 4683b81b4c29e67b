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
	JOB_LONG = 32 << 10,          /* bytes; shorter texts are not worth a hand-over */
	JOB_LONG_IDS = 8 << 10,       /* the same for ids that become text */
	JOB_LANE = 256 << 10,         /* bytes; longer jobs have a thread of their own */
	JOB_MEMORY = 512 << 20,       /* working memory of one long job, its answer included */
	JOB_MEMORY_CHAT = 256 << 20,  /* of a conversation, trees of JSON included */
	JOB_MEMORY_SHORT = 128 << 20, /* of one that the front thread or the thread of short ones does */
	JOB_SECONDS = 10,             /* of CPU time of one job */
	JOB_FRONT_MS = 250,           /* of CPU time of one job of the front thread */
	JOB_DONE = 64 << 20,          /* bytes of answers that may wait for the front */
};

enum front_job_kind { JOB_ENCODE, JOB_CHAT, JOB_DECODE };
struct front_job {
	struct front_job *next;
	uint64_t call;   /* whose it is: the call may be gone when the job is done */
	uint64_t client; /* jobs of one client wait for each other, not for others */
	enum front_job_kind kind;
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

struct front_lane {
	struct front_helpers *words;
	pthread_t thread;
	struct front_job *in, *running;
	uint64_t clock;
};
struct front_helpers {
	const struct tokenizer *tokenizer;
	int wake_fd; /* eventfd to ring when a job is done */
	pthread_mutex_t lock;
	pthread_cond_t more;       /* jobs, or room for answers */
	struct front_lane lane[2]; /* short, long */
	struct front_job *out, **out_end;
	size_t done; /* bytes of the answers in `out` */
	bool stop, started;
};

bool front_job_is_short(const struct front_job *job);
/* Does the job now, on the front thread: within JOB_FRONT_MS and JOB_MEMORY_SHORT. */
void front_job_run(struct front_job *job, const struct tokenizer *t);
void front_helpers_start(struct front_helpers *w, const struct tokenizer *t, int wake_fd);
void front_helpers_finish(struct front_helpers *w); /* jobs not taken are the caller's to have taken before */
void front_helpers_put(struct front_helpers *w, struct front_job *job);
/* The call has gone: its job ends soon with ERR_CANCELLED. No such job is fine. */
void front_helpers_cancel(struct front_helpers *w, uint64_t call);
struct front_job *front_helpers_take(struct front_helpers *w); /* done; NULL: none */
/* What the job holds beside itself; the request's memory, too, where it has one. */
void front_job_finish(struct front_job *job);

#endif
