/* conversation.h - the messages of `xverse chat`, and the answers to them. */
#ifndef RPC_CLI_CONVERSATION_H
#define RPC_CLI_CONVERSATION_H

#include "rpc/cli/cli.h"
#include "rpc/cli/terminal.h"

struct talk {
	struct args *args;
	struct xv_client *client;
	struct terminal *terminal;
	json_t *messages;
	bool over, person;       /* person: one sits at a terminal */
	struct xv_finished last; /* of the last answer that ended; reason XV_FINISH_NONE: there was none */
	json_t *open;            /* [{"tool_call_id", "name"}] calls of the last answer without a result; may be NULL */
	int again;               /* how often /regen asked for another answer: a seed that was set moves by it */
};

/* Ctrl-C stops an answer from now on. */
void talk_catch_interrupt(void);
void talk_forget_interrupt(void); /* one that came outside of an answer */
/* Said of an answer that was cut, by its length or its time, and by /stats. */
void talk_say_end(const struct xv_finished *f);
/* Asks for the answer to the messages, prints it as it comes and adds it to them. 0 or ERR_*. ERR_CANCELLED: Ctrl-C;
 * what came is kept. */
int talk_answer(struct talk *t, struct why *why);
/* The request as it would be sent; free the messages. */
struct xv_chat talk_request(const struct talk *t);
void talk_add(struct talk *t, const char *role, const char *text, size_t len);
const char *talk_last_role(const struct talk *t);
/* The result of the first open call; false: there is none. */
bool talk_result(struct talk *t, const char *text);
void talk_drop(struct talk *t); /* the last message */

#endif
