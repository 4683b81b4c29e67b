/* server.h - the front door: one Unix socket, many clients, one thread, epoll.
 *
 * A call is known by a number never used twice, so nobody outside rpc/ holds a pointer to a connection: sending to a
 * call that is gone does nothing. Each connection has a cap of buffered bytes; one over it is closed and its calls are
 * cancelled. Every open call hears something at least once a second (keep-alive). */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include <sys/types.h>

#include "rpc/codec.h"

struct rpc_server;

struct rpc_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint64_t connection; /* never used twice */
};

struct rpc_handler {
	void *ctx;
	/* A request that opens a call (Generate, Score, Chat) with its fresh number, or one that is answered by one reply
	 * (Status, Tokenize, ...: `call` is fresh too). The handler takes ownership of `r`. Answers go by rpc_send(). */
	void (*request)(void *ctx, uint64_t call, const struct rpc_peer *peer, struct rpc_request *r);
	/* The client asked for it, or went away (then nothing can be sent any more). */
	void (*cancel)(void *ctx, uint64_t call);
	uint32_t (*queue_place)(void *ctx, uint64_t call); /* for keep-alives; may be NULL */
};

struct rpc_server_options {
	const char *path;       /* of the socket; ignored where listen_fd >= 0 */
	int listen_fd;          /* handed over by the launcher; -1: bind path */
	gid_t group;            /* (gid_t)-1: leave */
	const char *version, *served_model;
	int max_connections;
	size_t max_buffered;    /* bytes a connection, each way */
	int max_calls;          /* open calls a connection */
};

/* Path: flock on path.lock, bind a temporary name, rename over a stale socket; a live one is refused with its pid. */
int rpc_server_open(struct rpc_server **out, const struct rpc_server_options *how, const struct rpc_handler *h, struct why *why);
/* Flushes for at most flush_ms, closes, unlinks the path where it was bound here. */
void rpc_server_close(struct rpc_server *s, int flush_ms);
int rpc_server_fd(const struct rpc_server *s); /* the epoll descriptor: add it to another poll, or use _poll */
/* Also wait for this descriptor (an eventfd) in rpc_server_poll: it is reported and not read. */
void rpc_server_watch(struct rpc_server *s, int fd);
/* Reads, calls back and writes what it can. Waits up to timeout_ms (-1: for ever); at least one keep-alive round a second
 * while calls are open. */
void rpc_server_poll(struct rpc_server *s, int timeout_ms);

/* Sends reply->kind with the call's own id (reply->id is set here). Finished, Error and one-shot replies end the call. */
void rpc_send(struct rpc_server *s, uint64_t call, struct rpc_reply *reply);
/* The connection that has this call, or false: it is gone. */
bool rpc_call_open(const struct rpc_server *s, uint64_t call);
int rpc_open_calls(const struct rpc_server *s);
/* From another thread that ends the process: one Error on every open call, MSG_DONTWAIT, no allocation, within deadline_ms. The
 * poll thread must not be inside rpc_* (it is told to stop by the flag it polls). */
void rpc_last_words(struct rpc_server *s, const struct rpc_error *error, int deadline_ms);

#endif
