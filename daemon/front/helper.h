/* helper.h - helper threads that tokenize, so that a long text never stalls the streams of the front thread.
 *
 * One thread does large jobs and one the rest, so that a small job never waits for a large one to end. Each runs the
 * job with the lowest turn (start-time fair queueing): a job's turn is its size behind the later of its client's
 * previous job and the thread's clock, which advances by half the size of each job done. So small jobs pass large ones,
 * many jobs of one client do not delay the one of another, and no job waits for more than twice its own size of work
 * that arrived after it. */
#ifndef DAEMON_FRONT_HELPER_H
#define DAEMON_FRONT_HELPER_H

#include <pthread.h>

#include "daemon/front/grammars.h"
#include "daemon/front/parse.h"
#include "daemon/front/prompt.h"
#include "daemon/front/tools.h"
#include "engine/tokenizer/tokenizer.h"

enum {
	JOB_LONG = 32 << 10,          /* bytes of text; the front thread does shorter jobs itself */
	JOB_LONG_IDS = 8 << 10,       /* the same of token ids that become text */
	JOB_LARGE = 256 << 10,        /* bytes; such jobs have a thread of their own */
	JOB_MEMORY = 512 << 20,       /* bytes that a large job may allocate, its result included */
	JOB_MEMORY_CHAT = 256 << 20,  /* the same of a chat, JSON trees included */
	JOB_MEMORY_SHORT = 128 << 20, /* the same of a small job, on either thread */
	JOB_SECONDS = 10,             /* of CPU time that a job may use */
	JOB_FRONT_MS = 250,           /* the same on the front thread */
	JOB_DONE = 64 << 20,          /* bytes of results that may wait for the front thread */
};

enum front_job_kind { JOB_ENCODE, JOB_CHAT, JOB_DECODE, JOB_COMPILE /* of token ids: no text */, JOB_PARSE };
struct front_job {
	struct front_job *next;
	uint64_t call;   /* may have ended when the job is done */
	uint64_t client; /* jobs of one client wait for each other */
	enum front_job_kind kind;
	/* in: borrowed from the call's request, or from `keep` */
	const char *text; /* ENCODE: (len) */
	size_t len;
	struct encode_options how;
	const struct chat *chat; /* CHAT: format and messages */
	struct xv_chat said;
	bool want_text;
	bool answer;              /* CHAT: it is to be answered, in these forms: */
	struct front_forms forms; /* CHAT: of the answer; also an output */
	const int32_t *pieces;    /* DECODE: (n_pieces) token ids */
	int n_pieces;
	bool skip_special;
	struct xv_parse parse;                  /* PARSE */
	const struct xv_constraint *constraint; /* ENCODE, CHAT, COMPILE: what the answer must be, or NULL */
	bool compact;                           /* where the constraint does not say */
	struct xv_request *keep;                /* owned: of front_tokenize(); NULL: the job is a call's prompt */
	/* out */
	struct chat_text out;
	struct front_parsed *parsed; /* PARSE */
	struct grammar *grammar;     /* of the constraint */
	struct ids ids;              /* its `most` and `want_offsets` are inputs */
	int err;
	struct why why;
	/* private */
	struct effort effort;
	size_t size;
	uint64_t turn;
};

struct front_helper {
	struct front_helpers *all;
	pthread_t thread;
	struct front_job *in, *running;
	uint64_t clock;
};

struct front_helpers {
	const struct tokenizer *tokenizer;
	int wake_fd; /* eventfd, written when a job is done */
	pthread_mutex_t lock;
	pthread_cond_t more;           /* jobs, or room for results */
	struct front_helper helper[2]; /* small, large jobs */
	struct front_job *out, **out_end;
	size_t done; /* bytes of the results in `out` */
	struct front_grammars grammars;
	bool stop, started;
};

bool front_job_is_short(const struct front_job *job);
/* Runs the job on the calling thread, within JOB_FRONT_MS and JOB_MEMORY_SHORT. job->err says how it ended. */
void front_job_run(struct front_job *job, const struct tokenizer *t);
void front_helpers_start(struct front_helpers *h, const struct tokenizer *t, int wake_fd);
/* Stops running jobs and joins the threads. Jobs that were not taken leak. */
void front_helpers_finish(struct front_helpers *h);
void front_helpers_put(struct front_helpers *h, struct front_job *job);
/* Ends the job of a call soon, with ERR_CANCELLED. There may be none. */
void front_helpers_cancel(struct front_helpers *h, uint64_t call);
struct front_job *front_helpers_take(struct front_helpers *h); /* a job that is done, or NULL */
/* Frees what the job owns, but not the job. */
void front_job_finish(struct front_job *job);

#endif
