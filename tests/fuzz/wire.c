/* The bytes of a socket: frames, in them requests as the daemon reads them and replies as a client does. */
#include "base/arena.h"
#include "rpc/codec/codec.h"
#include "rpc/frame.h"
#include "tests/fuzz/fuzz.h"

enum { LIMIT = 1 << 12 }; /* of a frame; the longest inputs are above it */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

/* The one frame that was written. */
static const uint8_t *payload_of(const struct rpc_out *o, size_t *size)
{
	const uint8_t *payload = NULL;

	MUST(frame_next(o->data, o->len, UINT32_MAX, &payload, size) == (long)o->len);
	return payload;
}

/* What was read once is written, read and written again without a change. */
static void request_again(const struct xv_request *r)
{
	struct rpc_out a = {0}, b = {0};
	struct xv_request back;
	struct why why = {""};
	const uint8_t *payload;
	size_t size;

	rpc_request_encode(&a, r);
	payload = payload_of(&a, &size);
	MUST(!rpc_request_decode(&back, payload, size, &why) && back.id == r->id && back.kind == r->kind);
	rpc_request_encode(&b, &back);
	MUST(a.len == b.len && !memcmp(a.data, b.data, a.len));
	rpc_request_free(&back);
	rpc_out_finish(&a);
	rpc_out_finish(&b);
}

static void reply_again(const struct xv_reply *r)
{
	struct rpc_out a = {0}, b = {0};
	struct xv_reply back;
	struct why why = {""};
	const uint8_t *payload;
	size_t size;

	rpc_reply_encode(&a, r);
	payload = payload_of(&a, &size);
	MUST(!rpc_reply_decode(&back, payload, size, &why) && back.id == r->id && back.kind == r->kind);
	rpc_reply_encode(&b, &back);
	MUST(a.len == b.len && !memcmp(a.data, b.data, a.len));
	rpc_reply_free(&back);
	rpc_out_finish(&a);
	rpc_out_finish(&b);
}

static void read_payload(const uint8_t *payload, size_t size)
{
	struct xv_request request;
	struct xv_reply reply;
	struct why why = {""};
	int err = rpc_request_decode(&request, payload, size, &why);

	MUST(arena_held() <= 64 * size + 8192);
	if (err)
		fuzz_refused(err, &why);
	else
		request_again(&request);
	rpc_request_free(&request);
	why.text[0] = 0;
	err = rpc_reply_decode(&reply, payload, size, &why);
	MUST(arena_held() <= 64 * size + 8192);
	if (err)
		fuzz_refused(err, &why);
	else
		reply_again(&reply);
	rpc_reply_free(&reply);
	MUST(!arena_held());
	rpc_payload_id(payload, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *payload;
	size_t at = 0, n;
	long taken;

	frame_is_http(data, size);
	while ((taken = frame_next(data + at, size - at, LIMIT, &payload, &n)) > 0) {
		MUST((size_t)taken <= size - at && payload + n == data + at + taken);
		uint8_t *copy = xalloc(n ? n : 1, 1); /* so that a byte too many is seen */
		memcpy(copy, payload, n);
		read_payload(copy, n);
		free(copy);
		at += (size_t)taken;
	}
	MUST(taken || n <= LIMIT);
	return 0;
}
