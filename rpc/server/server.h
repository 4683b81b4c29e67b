/* server.h - the front door: one Unix socket, many clients, one thread, epoll.
 *
 * A call is known by a number never used twice, so no code outside rpc/ holds a pointer to a connection: sending to a
 * call that is gone does nothing. Each connection has a cap of unsent bytes; one over it is closed and its calls are
 * cancelled; it is not read from while half of that is unsent. What all of them send in, and what is unsent to all of
 * them, is bounded too. Every open call of a connection that keeps up hears something at least once a second
 * (keep-alive), however many there are. */
#ifndef RPC_SERVER_SERVER_H
#define RPC_SERVER_SERVER_H

#include <sys/types.h>

#include "rpc/codec/codec.h"
#include "rpc/server/peer.h"

struct rpc_server;

/* Called from rpc_server_poll() only, never from rpc_send(). Both may call rpc_send(). */
struct rpc_handler {
	void *ctx;
	/* A request that opens a call (Generate, Score, Chat) with its fresh number, or one that is answered by one
	 * reply (Status, Tokenize, ...: `call` is fresh too). The handler takes ownership of what *r holds: it copies
	 * the struct and calls rpc_request_free() some time. Every call must get its last reply some time, a cancelled
	 * one as well. */
	void (*request)(void *ctx, uint64_t call, const struct rpc_peer *peer, struct xv_request *r);
	/* The client asked for it (once a call), went away, or would not take a frame so large (in both nothing can be
	 * sent any more: rpc_call_open is false). */
	void (*cancel)(void *ctx, uint64_t call);
	uint32_t (*queue_place)(void *ctx, uint64_t call); /* for keep-alives; may be NULL */
};

struct rpc_server_options {
	const char *path;  /* of the socket; ignored where listen_fd >= 0 */
	int listen_fd;     /* handed over by the launcher; -1: bind path */
	bool hold;         /* take connections only after rpc_server_accept() */
	gid_t group;       /* (gid_t)-1: leave */
	uid_t gateway_uid; /* may set Request.asker, beside root and the server's own user; 0: no other user */
	const char *version, *served_model;
	int max_connections; /* 0: 1024. No user gets all of them, of open calls or of max_input (rpc/server/share.h),
				and a few are kept for owners */
	size_t max_frame;    /* bytes of the largest frame taken, as Hello says; 0: FRAME_LIMIT */
	size_t max_buffered; /* unsent bytes of a connection, beside its last reply; 0: 1 MiB */
	size_t max_input;  /* bytes of all connections' unfinished frames and of all requests held; 0: 256 MiB. A large
			      request over it gets BUSY. (IN_STEP of each connection is not counted.) */
	int max_calls;     /* open calls a connection; 0: 256. All together never more than 65,536 */
	size_t max_output; /* bytes that hold what is unsent to all connections; over it the one is closed whose replies
			      have waited longest for most; 0: 256 MiB. (OUT_STEP of each connection is not counted.) */
	int stuck_timeout_ms; /* read slower than 64 KiB/s over so long while more than max_buffered is unsent; 0:
				 30,000 */
	int idle_timeout_ms; /* a connection without calls, idle for so long, is closed where its user wants another; 0:
				60,000 */
	int hello_timeout_ms; /* for a connection's first message; 0: 10,000 */
	int frame_timeout_ms; /* from a later frame's first byte to its last; 0: 30,000 */
};

/* Path: flock on path.lock, bind a temporary name, rename over a stale socket; a live one is refused with its pid
 * (ERR_BUSY). The socket gets mode 0660. */
int rpc_server_open(struct rpc_server **out, const struct rpc_server_options *how, const struct rpc_handler *h,
		    struct why *why);
/* Flushes for at most flush_ms, closes, unlinks the path where it was bound here. Calls nothing back. NULL is fine. */
void rpc_server_close(struct rpc_server *s, int flush_ms);
/* Also wait for this descriptor (an eventfd) in rpc_server_poll, which then returns; it is not read. */
void rpc_server_watch(struct rpc_server *s, int fd);
void rpc_server_unwatch(struct rpc_server *s, int fd);
/* Takes connections from now on, or leaves them to another process that holds the listening socket. Then a connection
 * is closed once it has no open call and nothing has come for a second; a client whose calls are open may add
 * more. */
void rpc_server_accept(struct rpc_server *s, bool accept);
/* Reads, calls back and writes what it can. Waits up to timeout_ms (-1: until something happened); must be called at
 * least every 250 ms while calls are open, for their keep-alives (it wakes by itself where it waits longer). */
void rpc_server_poll(struct rpc_server *s, int timeout_ms);

/* Sends reply->kind with the call's own id (reply->id and, in Started, the call's number are set here). Finished, Error
 * and one-shot replies end the call. Nothing happens where the call is gone. What is sent leaves with the next poll. */
void rpc_send(struct rpc_server *s, uint64_t call, struct xv_reply *reply);
void rpc_send_error(struct rpc_server *s, uint64_t call, int code, uint32_t retry_after_ms, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The client is still there and the call has not ended. */
bool rpc_call_open(const struct rpc_server *s, uint64_t call);
int rpc_open_calls(const struct rpc_server *s);
int rpc_connections(const struct rpc_server *s);
/* How often a user's share, or the limit of all, was used up. */
struct rpc_refused {
	uint64_t connections, calls, input;
};
const struct rpc_refused *rpc_refused(const struct rpc_server *s);
uint64_t rpc_connections_cut(const struct rpc_server *s); /* closed because their clients did not read */
/* Any thread, when the process is about to end: one Error on every open call, then end-of-file, within deadline_ms.
 * Takes no lock and allocates nothing; the poll thread may be anywhere, and writes nothing any more. A connection whose
 * last frame is half out gets only the end-of-file. Nothing but _exit() follows. */
void rpc_last_words(struct rpc_server *s, const struct xv_error *error, int deadline_ms);

#endif
