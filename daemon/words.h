/* words.h - a helper thread that tokenizes long texts, so that one call never stalls every stream. */
#ifndef DAEMON_WORDS_H
#define DAEMON_WORDS_H

#include <pthread.h>

#include "daemon/talk.h"
#include "engine/tokenizer/tokenizer.h"

enum { WORDS_LONG = 32 << 10 }; /* bytes; shorter texts are not worth a hand-over */

struct words_job {
	struct words_job *next;
	uint64_t call;    /* whose it is: the call may be gone when the job is done */
	const char *text; /* (len); borrowed from the call's request, or from `keep` */
	size_t len;
	struct encode_options how;
	bool talk, want_text;    /* the job is a conversation, its text is wanted too */
	const struct chat *chat; /* its format */
	struct rpc_chat said;    /* borrowed as `text` is */
	struct chat_text out;    /* the text, where wanted */
	struct rpc_request *keep; /* Tokenize, Template: the request, owned; NULL: the prompt of a call */
	struct ids ids; /* the answer */
	int err;
	struct why why;
};

struct words {
	const struct tokenizer *tokenizer;
	int wake_fd; /* eventfd to ring when a job is done */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct words_job *in, **in_end, *out, **out_end;
	bool stop, started;
};

/* Does the job now. */
void words_run(struct words_job *job, const struct tokenizer *t);
void words_start(struct words *w, const struct tokenizer *t, int wake_fd);
void words_finish(struct words *w); /* jobs not taken are the caller's to have taken before */
void words_put(struct words *w, struct words_job *job);
struct words_job *words_take(struct words *w); /* done; NULL: none */

#endif
