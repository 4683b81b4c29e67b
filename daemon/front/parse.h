/* parse.h - the text of a Chat's answer becomes content, reasoning and calls of tools, as the gateway and xverse read
 * it. */
#ifndef DAEMON_FRONT_PARSE_H
#define DAEMON_FRONT_PARSE_H

#include "base/base.h"
#include "rpc/xverse.h"

struct front_parsed;

/* Bytes; the work is about proportional to them. */
size_t front_parse_size(const struct xv_parse *said);
/* Any thread. ERR_INVALID, ERR_LIMIT: tools_json is wrong. */
int front_parse(struct front_parsed **out, const struct xv_parse *said, struct why *why);
size_t front_parsed_bytes(const struct front_parsed *p);                    /* memory that it holds; 0 for NULL */
void front_parsed_get(const struct front_parsed *p, struct xv_parsed *out); /* borrows from p */
void front_parsed_free(struct front_parsed *p);                             /* takes NULL */

#endif
