/* parts.h - what a chat's answer consists of beside its content: reasoning, and calls of tools. */
#ifndef RPC_GATEWAY_API_PARTS_H
#define RPC_GATEWAY_API_PARTS_H

#include "base/json/json.h"
#include "base/text.h"
#include "rpc/tools/tools.h"
#include "rpc/xverse.h"

enum { API_CALL_ID = 32 };

struct api_call {
	char id[API_CALL_ID];
	struct text name, arguments;
};
/* Of one choice, zeroed at first. */
struct api_parts {
	struct tools_parser *parser; /* NULL: the text is content */
	bool short_ids;
	uint64_t seed; /* of the ids */
	struct text content, reasoning;
	struct api_call *call; /* (n_calls) */
	int n_calls;
	size_t bytes; /* of all calls */
};

/* Begins an answer, by what the daemon said of it (tool_parser, reasoning_parser, reasoning_open of Started). tools:
 * the request's list, which must outlive the parts; may be NULL. seed: of the calls' ids. */
void api_parts_begin(struct api_parts *p, const struct xv_started *s, const struct json *tools, bool one_call,
		     uint64_t seed, tools_sink *sink, void *arg);
void api_parts_finish(struct api_parts *p);
/* Gathers what a sink gets. The call that TOOLS_CALL began is the last one. */
void api_parts_add(struct api_parts *p, enum tools_kind kind, const char *s, size_t n);
size_t api_parts_bytes(const struct api_parts *p);

/* JSON of a message: the value of "content", and further keys, each with a comma before it. */
void api_parts_content(struct text *t, const struct api_parts *p);
void api_parts_more(struct text *t, const struct api_parts *p);
/* JSON: the keys of a delta. */
void api_parts_delta(struct text *t, const struct api_parts *p, enum tools_kind kind, int call, const char *s,
		     size_t n);

#endif
