/* answer.h - what arrived of one stream: shown at once, kept for --json and for the tables below the text. */
#ifndef RPC_CLI_ANSWER_H
#define RPC_CLI_ANSWER_H

#include "base/text.h"
#include "rpc/cli/cli.h"

struct answer {
	uint64_t id; /* of the call */
	int err;
	struct why why;
	bool over, cancelled, finished;
	struct xv_finished end; /* once finished; its stop_text is NULL */
	char *stop_text;
	struct text text;                        /* kept where it is not shown at once */
	struct text table;                       /* of tokens, for --logprobs */
	char last;                               /* the last byte that was shown */
	double sum;                              /* of logprobs, for score */
	int scored;                              /* tokens that have one */
	json_t *started, *tokens, *prompt, *ids; /* for --json */
	json_t *finish, *error;
};

void answer_open(struct answer *w);
void answer_close(struct answer *w);
/* Takes a reply of its call; `live`: its text is shown at once. */
void answer_take(struct answer *w, const struct args *a, const struct xv_reply *r, bool live);
void answer_flush(struct answer *w, const struct args *a); /* shows text that was kept */
/* The same, then the table of its tokens. */
void answer_show(struct answer *w, const struct args *a);
/* index: from 0, -1 where there is one answer only. resumed: how often calls were sent again. */
void answer_json(struct answer *w, const struct args *a, int index, int resumed);
/* The first line of the table of score, and its last ones. */
void answer_score_head(void);
void answer_score_sum(const struct answer *w);
/* "[length: --max-tokens is reached, 20 tokens, 15.3 tokens/s]" to standard error. */
void answer_say_end(const struct xv_finished *f, const char *stop_text, int resumed);

#endif
