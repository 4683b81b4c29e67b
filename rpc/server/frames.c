/* Decodes whole frames to requests; answers Hello and Cancel, and passes the others to the handler. */
#include "base/log_limit.h"
#include "base/arena.h"
#include "rpc/server/inside.h"

#include <stdlib.h>
#include <string.h>

static void say_hello(struct rpc_server *s, struct conn *c, const struct xv_hello *h)
{
	struct xv_reply reply = {.kind = XV_R_HELLO};
	uint32_t min = h->protocol_min ? h->protocol_min : RPC_PROTOCOL;
	uint32_t max = h->protocol_max ? h->protocol_max : RPC_PROTOCOL;

	if (min > RPC_PROTOCOL || max < RPC_PROTOCOL) {
		conn_error(s, c, 0, ERR_UNSUPPORTED, "this server speaks protocol %d, the client %u to %u",
			   RPC_PROTOCOL, min, max);
		return;
	}
	if (h->frame_limit && h->frame_limit < c->frame_limit)
		c->frame_limit = h->frame_limit;
	c->hello = true;
	reply.hello = (struct xv_hello){.protocol_min = RPC_PROTOCOL,
					.protocol_max = RPC_PROTOCOL,
					.frame_limit = (uint32_t)s->how.max_frame,
					.version = s->how.version,
					.served_model = s->how.served_model};
	conn_reply(s, c, &reply);
}

/* Only a gateway that is trusted may say for whom it asks: anybody else could take the places, and the rights, of
 * others. */
static bool may_name_asker(const struct rpc_server *s, const struct conn *c)
{
	return user_is_owner(c->peer.uid) || c->peer.uid == s->how.gateway_uid;
}

static bool names_asker(const struct xv_request *r)
{
	return *r->asker.key || *r->asker.client;
}

/* The handler owns what the request holds. */
static void hand_over(struct rpc_server *s, struct conn *c, struct xv_request *r)
{
	struct rpc_peer who;
	struct call *call;

	if (c->n_calls >= s->how.max_calls) {
		conn_error(s, c, r->id, ERR_BUSY, "%d calls are open on this connection, which is the limit",
			   c->n_calls);
		rpc_request_free(r);
		return;
	}
	call = users_may_call(s, c) ? call_open(s, c, r) : NULL;
	if (!call) {
		s->refused.calls++;
		conn_error(s, c, r->id, ERR_BUSY, "%d calls are open, and the rest is kept for other users",
			   s->n_calls);
		rpc_request_free(r);
		return;
	}
	who = c->peer;
	who.owner = user_is_owner(who.uid) && !names_asker(r);
	s->handler.request(s->handler.ctx, call->number, &who, r);
}

static void request_handle(struct rpc_server *s, struct conn *c, struct xv_request *r)
{
	uint64_t id = r->id;

	if (r->kind == XV_GENERATE || r->kind >= XV_STATUS) {
		hand_over(s, c, r);
		return;
	}
	if (r->kind == XV_CANCEL)
		calls_cancel(s, c, r);
	else if (r->kind == XV_HELLO)
		conn_error(s, c, id, ERR_INVALID, "Hello was said before");
	else
		conn_error(s, c, id, ERR_UNKNOWN, "a request of no kind that this server knows");
	rpc_request_free(r);
}

/* An Error with the id of an open call would end that call for the client, so it goes without an id, which ends the
 * connection: the two sides no longer mean the same by it. */
static uint64_t id_for_error(const struct conn *c, uint64_t id)
{
	return call_of(c, id) ? 0 : id;
}

/* Large requests wait elsewhere while those that are open hold as much memory as all may. */
static bool over_budget(struct rpc_server *s, struct conn *c, const uint8_t *payload, size_t size)
{
	if (!c->hello || size <= IN_STEP || users_input_left(s, c) >= size)
		return false;
	s->refused.input++;
	conn_error(s, c, id_for_error(c, rpc_payload_id(payload, size)), ERR_BUSY,
		   "a request of %zu bytes, and the open ones hold %zu of %zu", size, arena_held(), s->how.max_input);
	return true;
}

/* A short request that leans on a large prefix is a large one. */
static int join_prefix(struct rpc_server *s, struct conn *c, struct xv_request *r, struct why *why)
{
	size_t more = rpc_prefix_is_used(r) ? rpc_prefix_bytes(&c->prefix) : 0;

	if (more > IN_STEP && users_input_left(s, c) < more) {
		s->refused.input++;
		return fail(why, ERR_BUSY, "a request with a prefix of %zu bytes, and the open ones hold %zu of %zu",
			    more, arena_held(), s->how.max_input);
	}
	return rpc_prefix_join(&c->prefix, r, why);
}

static void frame_handle(struct rpc_server *s, struct conn *c, const uint8_t *payload, size_t size)
{
	struct xv_request r;
	struct why why = {""};
	int err;

	if (over_budget(s, c, payload, size))
		return;
	err = rpc_request_decode(&r, payload, size, &why);

	if (!c->hello && r.kind != XV_HELLO) {
		conn_error(s, c, 0, ERR_FORMAT, "the first message must be Hello%s%s", err ? ": " : "", why.text);
	} else if (err) {
		conn_error(s, c, id_for_error(c, r.id), err, "%s", why.text);
		if (!c->hello)
			conn_end(c);
	} else if (!c->hello) {
		say_hello(s, c, &r.hello);
	} else if (!r.id) {
		conn_error(s, c, 0, ERR_INVALID, "id: every request but the first Hello needs one");
	} else if (call_of(c, r.id)) {
		conn_error(s, c, 0, ERR_INVALID, "id: %ju belongs to an open call of this connection", (uintmax_t)r.id);
	} else if (names_asker(&r) && !may_name_asker(s, c)) {
		conn_error(s, c, r.id, ERR_DENIED, "asker: user %u may not ask for others (--gateway-uid)",
			   c->peer.uid);
	} else if ((err = join_prefix(s, c, &r, &why))) {
		conn_error(s, c, r.id, err, "%s", why.text);
	} else {
		request_handle(s, c, &r);
		return;
	}
	rpc_request_free(&r);
}

static void answer_http(struct rpc_server *s, struct conn *c)
{
	static struct log_limit limit = {.event = "HTTP request on the RPC socket"};
	static const char body[] = "This socket speaks the protocol of xversed, not HTTP.\n"
				   "Use the xverse command, a client library, or the HTTP gateway (xverse-gateway).\n";
	char *text = xprintf("HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
			     "Connection: close\r\n\r\n%s",
			     strlen(body), body);

	REQUIRE(!c->out.data);
	c->out = (struct rpc_out){.data = (uint8_t *)text, .len = strlen(text), .max = strlen(text)};
	if (log_limit(&limit))
		log_event(LOG_INFO, limit.event, " uid=%u pid=%d", c->peer.uid, (int)c->peer.pid);
	conn_end(c);
	(void)s;
}

static void framing_error(struct rpc_server *s, struct conn *c, long err, size_t size)
{
	static struct log_limit limit = {.event = "a client sends no frames of the protocol"};

	if (log_limit(&limit))
		log_event(LOG_INFO, limit.event, " uid=%u pid=%d", c->peer.uid, (int)c->peer.pid);
	if (err == ERR_LIMIT)
		conn_error(s, c, 0, ERR_LIMIT, "a frame of %zu bytes, the limit is %zu", size, s->how.max_frame);
	else
		conn_error(s, c, 0, ERR_FORMAT, "the length of a frame is not a varint of 32 bits");
}

static void forget_input(struct rpc_server *s, struct conn *c, size_t used)
{
	c->in_len -= used;
	if (c->in_len) {
		memmove(c->in, c->in + used, c->in_len);
		return;
	}
	if (c->in_max > IN_STEP) /* a big prompt does not keep its memory */
		conn_forget_input(s, c);
}

/* What waits because the client does not read is no frame that it leaves unfinished. */
static void note_frame(struct conn *c, bool took)
{
	if (!c->in_len || c->stalled)
		c->frame_ns = 0;
	else if (took || !c->frame_ns)
		c->frame_ns = now_ns();
}

void frames_handle(struct rpc_server *s, struct conn *c)
{
	const uint8_t *payload;
	size_t used = 0, size;

	c->stalled = false;
	if (!c->hello && frame_is_http(c->in, c->in_len)) {
		answer_http(s, c);
		return;
	}
	while (used < c->in_len && !c->doomed && !c->ending) {
		if (conn_is_full(s, c)) {
			c->stalled = true;
			break;
		}
		long n = frame_next(c->in + used, c->in_len - used, s->how.max_frame, &payload, &size);
		if (n < 0)
			framing_error(s, c, n, size);
		if (n <= 0)
			break;
		frame_handle(s, c, payload, size);
		used += (size_t)n;
	}
	forget_input(s, c, used);
	note_frame(c, used > 0);
}
