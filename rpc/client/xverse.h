/* xverse.h - libxverse: talk to xversed from C.
 *
 * One connection, many calls. A request is a struct of rpc/codec/codec.h (its fields and defaults are those of
 *proto/xverse.proto); a Generate is answered by RPC_R_STARTED, any number of RPC_R_CHUNK, then RPC_R_FINISHED or
 *RPC_R_ERROR, other calls by one reply. rpc/client/example.c is the whole of it in 30 lines; cc $(pkg-config --cflags
 *--libs xverse).
 *
 * Blocking: xv_send(), then xv_wait() until the last reply.
 * In your own poll loop, where nothing here ever blocks:
 *
 *	xv_connect() with no_wait
 *	for (;;) {
 *		struct pollfd p = {.fd = xv_fd(c), .events = POLLIN | (xv_unsent(c) ? POLLOUT : 0)};
 *		poll(&p, 1, 100);
 *		while ((got = xv_wait(c, &r, 0, &why)) == 1)
 *			take(&r);
 *	}
 *
 * Reconnect and resume: when the server is lost while calls are open, xv_wait() connects again and sends each call with
 *what came of it so far; a stream goes on with the next chunk, the same bits as without the loss, unless `no_resume` is
 *set. A call that the server had three times when it went away, without a new token in between, is given up: it gets an
 *Error (ERR_INTERNAL) made here. A call that begins while the model loads waits; `notice` hears of it. A time limit of
 *a request counts from xv_send(). A reply of another kind than the request has becomes an Error (ERR_FORMAT), the
 *call's last.
 *
 * Errors are ERR_* (negative, base/base.h) with a text in struct why. Memory: a reply is the library's until the next
 *xv_ call of that client; requests stay the caller's. Not thread-safe: one client a thread. SIGPIPE is never raised. */
#ifndef XVERSE_H
#define XVERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/codec/codec.h"

struct xv_client;

struct xv_options {
	const char *path;       /* NULL: XVERSE_SOCKET, else $XDG_RUNTIME_DIR/xversed.sock, else
				   /run/xversed/xversed.sock */
	int connect_timeout_ms; /* 0: 40,000, longer than the launcher ever waits before it starts a job again
				 */
	int silence_timeout_ms; /* a server that says nothing for so long while calls are open is lost; time in which
				   xv_wait() was not called does not count; 0: 5000 */
	bool no_resume;
	int resume_timeout_ms;  /* how long to try to come back; 0: 120000 */
	int loading_timeout_ms; /* how long a call that has not begun waits for the model to load; 0: resume_timeout_ms;
				   below 0: not at all, ERR_LOADING is its answer */
	bool no_wait;           /* xv_connect() does not wait for the server's Hello: it never blocks */
	/* Called when calls, or xv_connect(), begin to wait, with what for ("the model is still loading"), once until
	 * something is heard. May be NULL; it makes no xv_ call. */
	void (*notice)(void *arg, const char *what);
	void *notice_arg;
};

/* 0 or ERR_*; the text says what to do. */
int xv_connect(struct xv_client **out, const struct xv_options *how, struct why *why);
void xv_close(struct xv_client *c); /* NULL is fine; open calls are cancelled by the server */
const struct rpc_hello *xv_server(const struct xv_client *c);

/* Sends; returns the call's id on this connection (> 0). r->id is set here. The request is copied where
 * resume needs it. */
uint64_t xv_send(struct xv_client *c, struct rpc_request *r);
/* False: the server knows nothing of the call (any more), so that no reply comes. */
bool xv_cancel(struct xv_client *c, uint64_t id);

/* The next reply of any call (r is valid until the next xv_ call), 1; 0: none within timeout_ms; ERR_*: the
 * connection is lost for good. Keep-alives are passed on too. A resumed stream goes on with the next Chunk as
 * if nothing had happened. */
int xv_wait(struct xv_client *c, struct rpc_reply *r, int timeout_ms, struct why *why);
/* For a poll loop of your own: poll xv_fd() for reading (and for writing while xv_unsent()), then call
 * xv_wait(c, r, 0) until it returns 0; also do so every 100 ms, for retries and silence. The descriptor is
 * another one after a resume, and -1 in between. */
int xv_fd(const struct xv_client *c);
bool xv_unsent(const struct xv_client *c);
/* After a time in which the caller did not want to read: that silence was not the server's. */
void xv_forgive(struct xv_client *c);
int xv_resumed(const struct xv_client *c, uint64_t id); /* how often this call was resumed */
int xv_resends(const struct xv_client *c); /* calls sent again because the server was lost, over the client's life */

/* The default path of the socket, in `out`. */
void xv_default_path(char *out, size_t size);

#endif
