/* tools.h - reasoning and calls of tools in the answers of `xverse chat`. */
#ifndef RPC_CLI_TOOLS_H
#define RPC_CLI_TOOLS_H

#include "base/text.h"
#include "rpc/cli/cli.h"
#include "rpc/tools/tools.h"

struct json_doc;

/* --tools FILE: a list of tools, as the OpenAI API has it. */
int tools_read(struct args *a, const char *path, struct why *why);
void tools_finish(struct args *a);
/* What --tools and --tool-choice say. */
void tools_ask(const struct args *a, struct xv_chat *chat);

/* An answer, from {0}. */
struct tools_answer {
	struct json_doc *doc; /* of --tools */
	struct tools_parser *parser;
	struct text text, reasoning, arguments; /* arguments: of the last call */
	json_t *calls;                          /* [{"name", "arguments"}], arguments a text; NULL: none yet */
};
void tools_answer_begin(struct tools_answer *t, const struct args *a, const struct xv_started *s);
/* New content is appended to t->text, new reasoning to t->reasoning. */
void tools_answer_take(struct tools_answer *t, const char *s, size_t n);
void tools_answer_end(struct tools_answer *t);
void tools_answer_finish(struct tools_answer *t);
/* Lists of the OpenAI API for the conversation, with ids; NULL: no calls. */
json_t *tools_answer_calls(const struct tools_answer *t);

#endif
