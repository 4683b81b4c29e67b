/* forms.h - how models write calls of tools, and their reasoning. */
#ifndef ENGINE_CHAT_FORMS_H
#define ENGINE_CHAT_FORMS_H

#include <jansson.h>

/* How the model writes calls of tools, and its reasoning: a line of proto/tools.def. */
enum { CHAT_OPEN, CHAT_BEGIN, CHAT_MIDDLE, CHAT_CLOSE_CALL, CHAT_BETWEEN, CHAT_CLOSE, CHAT_WRITES };
enum { CHAT_MARKS = 5 };
struct chat_form {
	const char *name, *others, *sign, *sign2;
	const char *mark[CHAT_MARKS]; /* of calls: mark, mark2, end, end2, sep; of reasoning: begin, end; may be NULL */
	const char *write[CHAT_WRITES]; /* [CHAT_BEGIN] NULL: the form is not constrained */
};
/* By a name, as the daemon's options have it; NULL: there is none. */
const struct chat_form *chat_form_tools(const char *name);
const struct chat_form *chat_form_reasoning(const char *name);

/* The form that a template's source shows, or NULL. */
const struct chat_form *form_of_calls(const char *source);
const struct chat_form *form_of_reasoning(const char *source);
/* The conversation with tools, calls and results in words of system, user and assistant. */
json_t *form_messages(const struct chat_form *form, const json_t *messages, const json_t *tools);

#endif
