/* line.h - a line of a batch becomes requests: OpenAI's batch form {"custom_id", "method", "url", "body"}, or the plain
 * form, an object with "prompt" or "messages", fields of sampling, and "id" where one is wished for. */
#ifndef RPC_CLI_BATCH_LINE_H
#define RPC_CLI_BATCH_LINE_H

#include "rpc/cli/cli.h"
#include "rpc/gateway/api/chat.h"
#include "rpc/gateway/api/prompts.h"
#include "rpc/gateway/api/request.h"

struct batch_request {
	char *id;           /* custom_id, id, or "line-N" */
	char *model;        /* that it names; NULL: none */
	bool openai, chat;  /* its form */
	bool whole_context; /* neither it nor the command line says max_tokens */
	struct api_request request;
	struct api_prompts prompts;
	struct api_chat talk; /* where chat is set */
	int calls;            /* prompts * n */
};

uint64_t batch_hash(const char *bytes, size_t len);
/* The id of a line whose JSON is `root` (NULL: it has none); the caller frees it. */
char *batch_line_id(const struct json *root, uint32_t number);
/* The object with prompt and fields. */
const struct json *batch_line_body(const struct json *root);

/* Reads a line. `defaults`: fields of the command line count where the line leaves them out; a line without a seed gets
 * one from its id and the command line's. Call batch_request_finish() also after an error, which is the line's own:
 * ERR_FORMAT, ERR_INVALID, ERR_UNSUPPORTED. */
int batch_request_read(struct batch_request *q, const char *text, size_t len, uint32_t number,
		       const struct xv_sampling *defaults, struct why *why);
void batch_request_finish(struct batch_request *q);
/* The request of call i; it points into q. */
void batch_request_fill(const struct batch_request *q, int i, struct xv_request *r);

#endif
