/* tools.h - what a Chat's tools, its tool_choice and its reasoning make of the answer's form. */
#ifndef DAEMON_FRONT_TOOLS_H
#define DAEMON_FRONT_TOOLS_H

#include "base/json/json.h"
#include "engine/chat/chat.h"
#include "rpc/codec/codec.h"

/* How answers of a Chat are written. */
struct front_forms {
	const struct chat_form *calls;     /* NULL: the answer holds no calls */
	const struct chat_form *reasoning; /* NULL: it holds no reasoning */
	bool reasoning_open;               /* the prompt ends inside the reasoning */
};

/* The prompt's last tokens say whether reasoning is open, or over: then no answer begins with it. */
void front_forms_begin(struct front_forms *forms, const struct tokenizer *t, const struct ids *prompt);
/* The list of a request's tools, whose form is checked; json_close() it. ERR_INVALID, ERR_LIMIT. */
int front_tools_read(struct json_doc **out, const char *text, struct why *why);
/* Checks tools and tool_choice; forms->calls is what the server chose, and becomes what this call uses. constrained:
 * the request has a constraint of its own. */
int front_tools_check(struct front_forms *forms, struct xv_chat *said, bool constrained, struct why *why);
/* The form of the whole answer, calls and reasoning included, where it is constrained: a structural tag in an allocated
 * string; NULL: the request's constraint stands alone. */
int front_tools_constraint(char **out, const struct front_forms *forms, const struct xv_chat *said,
			   const struct xv_constraint *c, struct why *why);
/* After front_constraint() refused it with `err`: names the tool whose schema is to blame. Returns the error. */
int front_tools_blame(const struct xv_chat *said, int err, struct why *why);
/* Special tokens that are the marks of calls and reasoning; returns how many. */
enum { FRONT_MARKS = 2 * CHAT_MARKS };
int front_forms_marks(const struct front_forms *forms, const struct tokenizer *t, int32_t id[FRONT_MARKS]);

#endif
