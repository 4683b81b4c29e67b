#include "rpc/client/inside.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/frame.h"
#include "rpc/place.h"

const char *xv_error_text(int code)
{
	return err_text(code);
}

const char *xv_error_name(int code)
{
	return err_name(code);
}

static int find_path(char *out, size_t size, struct why *why)
{
	const char *path = getenv("XVERSE_SOCKET");
	char found[RPC_PATH_SIZE];
	int err = path && *path ? 0 : rpc_place_find(found, why);

	snprintf(out, size, "%s", path && *path ? path : found);
	return err;
}

void xv_default_path(char *out, size_t size)
{
	find_path(out, size, NULL);
}

static int set_path(struct xv_client *c, const char *path, struct why *why)
{
	char found[512];
	int err = path ? 0 : find_path(found, sizeof found, why);

	if (err)
		return err;
	if (path)
		snprintf(found, sizeof found, "%s", path);
	if (*found == '@')
		return fail(why, ERR_INVALID, "%s: abstract sockets are not supported (./%s names a file)", found,
			    found);
	if (strlen(found) >= sizeof c->path)
		return fail(why, ERR_INVALID, "%s: %zu bytes; the path of a Unix socket has at most %zu", found,
			    strlen(found), sizeof c->path - 1);
	strcpy(c->path, found);
	return 0;
}

static void set_defaults(struct xv_options *how)
{
	if (how->connect_timeout_ms <= 0)
		how->connect_timeout_ms = 40000;
	if (how->silence_timeout_ms <= 0)
		how->silence_timeout_ms = 10000;
	if (how->resume_timeout_ms <= 0)
		how->resume_timeout_ms = 120000;
	if (!how->loading_timeout_ms)
		how->loading_timeout_ms = how->resume_timeout_ms;
}

/* ---- one reply ---- */

static int take_hello(struct xv_client *c, struct xv_reply *r, struct why *why)
{
	if (r->hello.protocol_min > RPC_PROTOCOL || r->hello.protocol_max < RPC_PROTOCOL) {
		int err = fail(why, ERR_MISMATCH, "%s: the server speaks protocol %u to %u, this program %d", c->path,
			       r->hello.protocol_min, r->hello.protocol_max, RPC_PROTOCOL);
		rpc_reply_free(r);
		return err;
	}
	rpc_reply_free(&c->hello);
	c->hello = *r;
	c->greeted = true;
	return 0;
}

/* An error about the connection: full for now is a delay for calls that came from another one. */
static int take_refusal(struct xv_client *c, struct xv_reply *r, struct why *why)
{
	bool later = r->error.retryable && c->lost_ns;
	int err = fail(why, r->error.code, "%s", r->error.text);
	uint32_t after_ms = r->error.retry_after_ms;

	rpc_reply_free(r);
	if (!later)
		return err;
	err = client_lose(c, why);
	c->try_ns = now_ns() + (uint64_t)(after_ms ? after_ms : 200) * CLIENT_MS;
	return err;
}

/* A reply that does not belong to the call's request: an Error in its place ends the call. */
static int take_misfit(struct xv_client *c, struct client_call *call, struct xv_reply *r, struct why *why)
{
	static const char *const names[] = {"nothing", "",           "hello",  "started", "chunk", "finished",
					    "error",   "keep_alive", "status", "tokens",  "text",  "done",
					    "metrics", "rendered",   "calls",  "adapter", "parsed"};
	size_t kind = (size_t)r->kind;
	int err = fail(why, ERR_FORMAT, "%s: the server answered with \"%s\", which does not answer the request",
		       c->path, kind < sizeof names / sizeof *names ? names[kind] : "something unknown");

	rpc_reply_free(r);
	if (!call)
		return err;
	client_end_call(c, call, err, why->text, r);
	return 1;
}

/* 1: the caller's; 0: taken here. */
static int take_reply(struct xv_client *c, struct xv_reply *r, struct why *why)
{
	struct client_call *call = client_call_find(c, r->id);

	if (r->kind == XV_R_HELLO && !c->greeted)
		return take_hello(c, r, why);
	if (r->kind == XV_R_ERROR && !r->id)
		return take_refusal(c, r, why);
	if (call && r->kind == XV_R_ERROR && call->asked.kind == XV_SCORE)
		rpc_prefix_forget(&c->sent); /* the server may not have kept it: the next request brings it again */
	if (call && r->kind == XV_R_ERROR && client_may_wait(c, call, &r->error)) {
		client_delay(c, call, &r->error);
		rpc_reply_free(r);
		return 0;
	}
	if (r->kind == XV_R_HELLO || (call && !client_call_fits(call, r)))
		return take_misfit(c, call, r, why);
	if (call && r->kind != XV_R_KEEP_ALIVE) {
		c->lost_ns = 0;
		c->noticed = false;
	}
	if (!call || !client_call_take(call, r)) {
		rpc_reply_free(r);
		return 0;
	}
	if (r->kind != XV_R_STARTED && r->kind != XV_R_CHUNK && r->kind != XV_R_KEEP_ALIVE)
		client_call_remove(c, call);
	return 1;
}

static int unreadable(const struct xv_client *c, struct why *why)
{
	struct why inner = *why;

	return fail(why, ERR_FORMAT, "%s: the server sent a message that cannot be decoded: %.300s", c->path,
		    inner.text);
}

/* The next whole frame of the buffer: 1 with a reply for the caller, 0: none yet. */
static int next_reply(struct xv_client *c, struct xv_reply *out, struct why *why)
{
	const uint8_t *payload;
	size_t size;
	long taken;
	int err = 0;

	while (!err && (taken = frame_next(c->in, c->in_len, FRAME_LIMIT, &payload, &size)) > 0) {
		struct xv_reply r;
		err = rpc_reply_decode(&r, payload, size, why);
		c->in_len -= (size_t)taken;
		memmove(c->in, c->in + taken, c->in_len);
		if (err)
			return unreadable(c, why);
		err = take_reply(c, &r, why);
		if (err == 1)
			*out = r;
	}
	if (!err && c->in_len && taken < 0)
		return fail(why, ERR_FORMAT, "%s: the server sent bytes that are not a frame", c->path);
	return err;
}

/* ---- one turn ---- */

static int exchange(struct xv_client *c, int timeout_ms, struct why *why)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	int err = client_io_send(c, why);

	if (err)
		return err;
	if (c->out.len)
		p.events |= POLLOUT;
	if (poll(&p, 1, timeout_ms) < 0 && errno != EINTR)
		return fail(why, ERR_IO, "poll: %s", strerror(errno));
	if (p.revents & (POLLIN | POLLHUP | POLLERR))
		return client_io_receive(c, why);
	return 0;
}

static int step(struct xv_client *c, int timeout_ms, struct why *why)
{
	enum { LOOK_MS = 100 }; /* how often lost servers and retries are checked */
	int err = client_check_patience(c, why);

	if (err)
		return err;
	timeout_ms = min_int(timeout_ms, LOOK_MS);
	if (c->fd < 0) {
		poll(NULL, 0, min_int(timeout_ms, 20));
		return client_come_back(c, why);
	}
	err = exchange(c, timeout_ms, why); /* what came meanwhile is read before the server is judged */
	if (err == ERR_GONE)
		client_count_losses(c);
	if (!err)
		err = client_look_at_calls(c, why);
	return err ? client_lose(c, why) : 0;
}

static int left_ms(uint64_t end)
{
	uint64_t now = now_ns();

	return now >= end ? 0 : (int)((end - now + CLIENT_MS - 1) / CLIENT_MS);
}

/* 1: the next reply for the caller is in c->reply. */
static int wait_reply(struct xv_client *c, int timeout_ms, struct why *why)
{
	uint64_t end = now_ns() + (uint64_t)max_int(timeout_ms, 0) * CLIENT_MS;
	bool last = false;

	rpc_reply_free(&c->reply);
	for (;;) {
		int got = next_reply(c, &c->reply, why), left;
		if (got)
			return got;
		if (client_end_here(c, &c->reply))
			return 1;
		left = left_ms(end);
		if (last)
			return 0;
		last = left == 0;
		got = step(c, left, why);
		if (got)
			return got;
	}
}

static void give_why(char *to, const struct why *why)
{
	static_assert(sizeof why->text == XV_WHY, "");
	if (to)
		memcpy(to, why->text, XV_WHY);
}

int xv_wait(struct xv_client *c, struct xv_reply *r, int timeout_ms, char why_text[XV_WHY])
{
	struct why why;
	int got = wait_reply(c, timeout_ms, &why);

	if (got == 1)
		*r = c->reply;
	if (got < 0)
		give_why(why_text, &why);
	return got;
}

/* ---- the rest of the interface ---- */

static int wait_hello(struct xv_client *c, uint64_t end, struct why *why)
{
	uint64_t notice_ns = now_ns() + 1000 * (uint64_t)CLIENT_MS;

	while (!c->greeted) {
		struct xv_reply r;
		int err = next_reply(c, &r, why);
		if (err < 0)
			return err;
		if (c->greeted)
			break;
		if (now_ns() > notice_ns)
			client_note_wait(c, "the server accepted the connection and has not answered yet");
		if (now_ns() > end)
			return fail(why, ERR_DEADLINE,
				    "%s: the server accepted the connection but sent nothing for %d ms", c->path,
				    c->how.connect_timeout_ms);
		err = exchange(c, min_int(100, left_ms(end)), why);
		if (err)
			return err;
	}
	return 0;
}

static int connect_at_once(struct xv_client *c, struct why *why)
{
	int err = client_io_connect(c, why);

	if (err != ERR_BUSY || c->how.no_resume)
		return err;
	c->lost_ns = now_ns(); /* its queue is full for now: calls wait until it has room */
	client_note_wait(c, why->text);
	return 0;
}

/* A server that took the connection and went away is being started again; where no process listens, the socket may be
 * passing from one server to the next. */
static int greet(struct xv_client *c, struct why *why)
{
	enum { PAUSE_MS = 50, REFUSED_MS = 1000 };
	uint64_t now = now_ns(), end = now + (uint64_t)c->how.connect_timeout_ms * CLIENT_MS;
	uint64_t refused_end = now + REFUSED_MS * (uint64_t)CLIENT_MS;
	bool seen = false;

	for (;;) {
		int err = client_io_connect(c, why);
		bool refused = err == ERR_GONE && (seen || client_io_is_there(c));
		if (err && !(err == ERR_BUSY && now_ns() < end) && !(refused && now_ns() < refused_end))
			return err;
		if (!err) {
			err = wait_hello(c, end, why);
			c->noticed = false;
			if (err != ERR_GONE || now_ns() > end)
				return err;
			seen = true;
			refused_end = now_ns() + REFUSED_MS * (uint64_t)CLIENT_MS;
			client_io_lose(c);
		}
		poll(NULL, 0, PAUSE_MS);
	}
}

int xv_connect(struct xv_client **out, const struct xv_options *how, char why_text[XV_WHY])
{
	struct xv_client *c = xalloc(1, sizeof *c);
	struct why why;
	int err;

	*out = NULL;
	c->how = *how;
	c->fd = -1;
	c->next_id = 1;
	set_defaults(&c->how);
	err = set_path(c, how->path, &why);
	if (!err)
		err = how->no_wait ? connect_at_once(c, &why) : greet(c, &why);
	if (err) {
		give_why(why_text, &why);
		xv_close(c);
		return err;
	}
	*out = c;
	return 0;
}

void xv_close(struct xv_client *c)
{
	if (!c)
		return;
	client_io_lose(c);
	while (c->calls)
		client_call_remove(c, c->calls);
	rpc_reply_free(&c->reply);
	rpc_reply_free(&c->hello);
	rpc_out_finish(&c->out);
	rpc_prefix_forget(&c->sent);
	free(c->in);
	free(c);
}

const struct xv_hello *xv_server(const struct xv_client *c)
{
	return &c->hello.hello;
}

/* Resuming needs the ids, whether the caller wants them or not. */
static void want_ids(struct xv_sampling *s)
{
	if (s->has >> XV_RETURN_IDS & 1)
		s->return_ids = true;
}

uint64_t xv_send(struct xv_client *c, struct xv_request *r)
{
	struct client_call *call;
	struct why why;

	r->id = c->next_id++;
	if (!c->how.no_resume && r->kind == XV_GENERATE)
		want_ids(&r->generate.sampling);
	if (!c->how.no_resume && r->kind == XV_CHAT)
		want_ids(&r->chat.sampling);
	if (!c->calls) { /* nothing is said, and nothing waits, while no call is open */
		c->heard_ns = now_ns();
		c->lost_ns = c->lost_ns ? now_ns() : 0;
	}
	call = client_call_add(c, r);
	if (c->fd >= 0) {
		call->too_large = client_encode(c, *r);
		if (call->too_large)
			return r->id;          /* xv_wait() ends it */
		if (client_io_send(c, &why)) { /* the server has none of it, or a part that it cannot read */
			client_count_losses(c);
			client_lose(c, &why); /* xv_wait() reports the loss, or reconnects */
		} else {
			call->sent = call->had = true;
		}
	}
	return r->id;
}

bool xv_cancel(struct xv_client *c, uint64_t id)
{
	struct xv_request r = {.kind = XV_CANCEL};
	struct client_call *call = client_call_find(c, id);

	if (!call)
		return false;
	r.cancel.has_id = true;
	r.cancel.id = id;
	if (c->fd < 0 || call->retry_ns) {
		client_call_remove(c, call);
		return false;
	}
	call->cancelled = true;
	xv_send(c, &r);
	return true;
}

int xv_fd(const struct xv_client *c)
{
	return c->fd;
}

bool xv_unsent(const struct xv_client *c)
{
	return c->fd >= 0 && c->out.len > 0;
}

void xv_forgive(struct xv_client *c)
{
	c->heard_ns = now_ns();
}

int xv_resends(const struct xv_client *c)
{
	return c->resends;
}

int xv_resumed(const struct xv_client *c, uint64_t id)
{
	struct client_call *call = client_call_find((struct xv_client *)c, id);

	return call ? call->resumed : 0;
}
