/* codec.h - message payloads to and from the plain structs of rpc/xverse.h. Only this folder sees generated protobuf
 * code.
 *
 * A decoded request or reply owns one block of memory: rpc_request_free(), rpc_reply_free(). Enum values are those of
 * proto/xverse.proto, which states what a field means. */
#ifndef RPC_CODEC_CODEC_H
#define RPC_CODEC_CODEC_H

#include "base/base.h"
#include "rpc/xverse.h"

enum { RPC_PROTOCOL = 1 }; /* the version that both sides of this source speak */

/* Over one of these: ERR_LIMIT with the field named. Token ids are bounded by the frame; their values are the engine's
 * to check. */
enum {
#define COUNT(Message, field, most, meaning) RPC_MOST_##Message##_##field = most,
#define BYTES(Message, field, most, meaning) RPC_BYTES_##Message##_##field = most,
#include "proto/limits.def"
	RPC_MAX_STOP = RPC_MOST_Sampling_stop,
	RPC_MAX_STOP_BYTES = RPC_BYTES_Sampling_stop, /* of one */
	RPC_MAX_MESSAGES = RPC_MOST_Chat_messages,
	RPC_MAX_ASKER_BYTES = RPC_BYTES_Asker_key,   /* a field of Asker; over it: ERR_INVALID */
	RPC_MAX_NAME_BYTES = RPC_BYTES_Message_role, /* also of user, fingerprint, version, ... */
};
extern const struct range rpc_sampling_ranges[]; /* of the numbers of enum xv_sampling_field */

/* 0, or ERR_FORMAT, ERR_INVALID or ERR_LIMIT with the field named; then only id and kind are set (kind: as far as it
 * is known) and nothing is to be freed. A request of no known kind decodes to XV_NONE. Pointers are never NULL: an
 * unset string is "". Prompt text and the content of messages may be any bytes (content without NUL); other strings are
 * UTF-8 without NUL. Every number lies in its range of proto/sampling.def and proto/limits.def, and no list or text is
 * longer than they say. Memory: at most 16 times the payload and 8 MiB while decoding, a few times the payload
 * afterwards. */
int rpc_request_decode(struct xv_request *out, const uint8_t *payload, size_t size, struct why *why);
void rpc_request_free(struct xv_request *r);
size_t rpc_request_bytes(const struct xv_request *r); /* that it holds in memory, itself left out */

/* Bytes of one message, head included, appended to a growing buffer: the one way that messages leave. */
struct rpc_out {
	uint8_t *data;
	size_t len, max;
};
void rpc_out_finish(struct rpc_out *o);

/* The same call may succeed a little later. */
bool rpc_retryable(int code);

/* Append one framed message. Of a reply, false: there is no memory, and nothing is appended. Of an Error, bytes of its
 * text that are not UTF-8 are sent as '?', `retryable` is rpc_retryable(code), and rank, step and pid are sent with
 * ERR_LOST_RANK only. */
bool rpc_reply_encode(struct rpc_out *out, const struct xv_reply *reply);
void rpc_request_encode(struct rpc_out *out, const struct xv_request *request);
int rpc_reply_decode(struct xv_reply *out, const uint8_t *payload, size_t size, struct why *why);
void rpc_reply_free(struct xv_reply *r);

/* The id of a message that may not decode; 0 where it cannot be read. */
uint64_t rpc_payload_id(const uint8_t *payload, size_t size);
/* A framed Error of call `id` in the caller's buffer, without allocation (a signal or a dying process may do it).
 * Returns its bytes; the text is cut to fit. */
enum { RPC_ERROR_MAX = 1024 };
size_t rpc_error_write(uint8_t out[RPC_ERROR_MAX], uint64_t id, const struct xv_error *error);

#endif
