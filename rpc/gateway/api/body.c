/* body.c - a JSON body. */
#include "rpc/gateway/api/request.h"

/* A value takes 16 bytes, a member's key as many and its text; texts take theirs: what a body of 4 MB of few values
 * takes, too. */
static const struct json_rules rules = {.depth = ASK_DEPTH, .values = ASK_MAX_VALUES, .bytes = SIZE_MAX};

struct json_doc *parse_body(const char *data, size_t len, struct json_error *e)
{
	return json_read(data, len, &rules, e);
}
