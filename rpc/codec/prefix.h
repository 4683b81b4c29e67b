/* prefix.h - what many Score requests of a connection begin with: sent once, kept by both sides under a number. */
#ifndef RPC_CODEC_PREFIX_H
#define RPC_CODEC_PREFIX_H

#include "rpc/codec/codec.h"

/* The last prefix of a connection. Starts as zeros; rpc_prefix_forget() frees it. */
struct rpc_prefix {
	uint32_t id; /* 0: none */
	bool is_text;
	void *memory;     /* of an arena, so that it counts as input that is held */
	const char *data; /* (size) bytes: text, or int32 token ids */
	size_t size;
};
void rpc_prefix_forget(struct rpc_prefix *kept);
size_t rpc_prefix_bytes(const struct rpc_prefix *kept); /* memory that it holds */

/* Server: whether the request leans on the kept prefix, whose size its own memory will then grow by. */
bool rpc_prefix_is_used(const struct xv_request *r);
/* Server: puts the prefix, given or kept, before a Score's prompt, and keeps one that is given with a number. 0, or
 * ERR_BUSY: another prefix is kept, or there is no memory; the client sends it again. */
int rpc_prefix_join(struct rpc_prefix *kept, struct xv_request *r, struct why *why);
/* Client: fills in prefix_id, and leaves out a prefix that the connection has. */
void rpc_prefix_save(struct rpc_prefix *sent, struct xv_request *r);

#endif
