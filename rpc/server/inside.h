/* inside.h - what the files of the server share; private to this folder. */
#ifndef RPC_SERVER_INSIDE_H
#define RPC_SERVER_INSIDE_H

#include <stdatomic.h>

#include "rpc/codec/prefix.h"
#include "rpc/frame.h"
#include "rpc/server/listen.h"
#include "rpc/server/server.h"

/* What last.c needs to send the last words from another thread: plain arrays of atomics. */
enum last_state {
	LAST_NONE,
	LAST_CLEAN,   /* what was written ends with a frame's end */
	LAST_WRITING, /* the poll thread is in send() */
	LAST_TORN,    /* a frame may be half out */
	LAST_TAKEN,   /* the last words have it; the poll thread keeps off, close() included */
};
struct last_conn {
	_Atomic int fd, state;
};
struct last_call {
	_Atomic uint32_t changes; /* odd while the other two change */
	_Atomic int conn;         /* slot, -1: none */
	_Atomic uint64_t id;
};
struct last {
	struct last_conn *conns; /* (n_conns) */
	struct last_call *calls; /* (n_calls) */
	int n_conns, n_calls;
};
void last_init(struct last *l, int n_conns, int n_calls);
void last_finish(struct last *l);
void last_open(struct last *l, int conn, int fd);
bool last_close(struct last *l, int conn);       /* false: keep the descriptor open */
bool last_write_begin(struct last *l, int conn); /* false: do not write */
void last_write_end(struct last *l, int conn, bool whole);
void last_call_set(struct last *l, int call, int conn, uint64_t id);

struct call {
	char *key;                     /* of its asker; NULL: none */
	size_t bytes;                  /* of its request */
	uint64_t number, id, heard_ns; /* heard_ns: when something was last sent */
	struct conn *conn;             /* NULL: a free entry */
	struct call *chain;            /* of the hash, or of the free entries */
	struct call *next, **link;     /* of the connection */
	bool cancelled;
};

struct conn {
	int fd, slot;
	uint32_t life; /* distinguishes events of an earlier owner of the slot */
	struct rpc_peer peer;
	bool hello;   /* said */
	bool doomed;  /* to be closed by the next conn_attend */
	bool ending;  /* to be closed once all is written; nothing more is read */
	bool waiting; /* in the server's list of connections to attend */
	bool stalled; /* whole frames may wait in `in` until output has drained */
	struct conn *next_waiting;
	uint64_t since_ns;  /* accepted, or ending */
	uint64_t frame_ns;  /* when the frame began that is not whole yet; 0: none is */
	uint64_t behind_ns; /* since then there has been something unsent, if there is */
	size_t large;       /* bytes of large replies since all was sent, which do not count against the cap */
	uint64_t window_ns; /* over its cap a client must read at LEAST_RATE: `moved` bytes went out since */
	size_t moved;
	uint32_t frame_limit; /* what the client takes */
	uint32_t interest;    /* epoll events asked for */
	uint8_t *in;          /* (in_max) bytes read and not yet handled */
	size_t in_len, in_max;
	struct rpc_out out;
	size_t sent;        /* of out */
	size_t out_counted; /* of out.max, in the server's out_held */
	struct call *calls;
	int n_calls;
	size_t calls_bytes; /* of their requests */
	struct rpc_prefix prefix;
	uint64_t heard_ns; /* when bytes last arrived */
};

struct rpc_server {
	struct rpc_server_options how; /* strings owned */
	struct rpc_handler handler;
	struct rpc_listener listener;
	int epoll_fd;
	struct conn **conns; /* (max_connections) by slot */
	int n_conns;
	struct conn *waiting;
	uint32_t lives;
	uint64_t next_call, next_connection, tick_ns;
	bool leaving;                               /* another process takes the connections that come */
	uint64_t deaf_until_ns;                     /* accept() failed for want of descriptors or memory */
	struct call *calls, *free_calls, **buckets; /* (last.n_calls), (n_buckets) */
	size_t n_buckets;
	int n_calls;
	size_t in_held;  /* of in_max of all connections, beyond IN_STEP of each */
	size_t out_held; /* of out.max of all connections, where it is more than OUT_STEP */
	struct rpc_refused refused;
	uint64_t n_cut; /* connections closed because they were not read */
	uint64_t *late; /* (n_late of max_late) calls that ended in rpc_send(): their handler hears of it in the next
			   poll */
	int n_late, max_late;
	struct last last;
};
enum {
	SLOT_LISTENER = INT32_MAX,
	SLOT_WATCHED = INT32_MAX - 1,
	IN_STEP = 64 << 10,
	OUT_STEP = 64 << 10,
	TICK_MS = 250,
	KEEP_ALIVE_MS = 200,
	LEAVE_MS = 1000
};
enum { LEAST_RATE = 64 << 10 }; /* bytes a second */

/* calls.c */
void calls_init(struct rpc_server *s, int max);
void calls_finish(struct rpc_server *s);
struct call *call_find(const struct rpc_server *s, uint64_t number);
struct call *call_of(const struct conn *c, uint64_t id);
struct call *call_open(struct rpc_server *s, struct conn *c, const struct xv_request *r); /* NULL: no room */
void call_close(struct rpc_server *s, struct call *call);
/* Answers a Cancel request. */
void calls_cancel(struct rpc_server *s, struct conn *c, const struct xv_request *r);

/* conn.c */
void conn_accept(struct rpc_server *s);
void conn_event(struct rpc_server *s, struct conn *c, uint32_t events);
void conn_attend_all(struct rpc_server *s);            /* flush, drop */
void conn_close(struct rpc_server *s, struct conn *c); /* at once, without callbacks */

/* input.c */
static inline size_t input_counted(size_t in_max)
{
	return in_max > IN_STEP ? in_max - IN_STEP : 0;
}
static inline size_t
conn_input_held(const struct conn *c) /* bytes of its requests, unfinished or open, and its prefix */
{
	return input_counted(c->in_max) + c->calls_bytes + rpc_prefix_bytes(&c->prefix);
}
bool conn_read(struct rpc_server *s, struct conn *c); /* true: bytes arrived */
void conn_forget_input(struct rpc_server *s, struct conn *c);

/* users.c */
bool user_is_owner(uid_t uid); /* root, or who runs this process */
bool users_may_connect(const struct rpc_server *s, uid_t uid, pid_t pid);
bool users_may_call(const struct rpc_server *s, const struct conn *c);
size_t users_input_left(const struct rpc_server *s,
			const struct conn *c); /* bytes that its large requests may still take */

/* reply.c */
/* False: the client's frame limit, or want of memory, made it an Error, which is its call's last reply. */
bool conn_reply(struct rpc_server *s, struct conn *c, const struct xv_reply *reply);
/* An Error without an id is about the connection, and ends it. */
void conn_error(struct rpc_server *s, struct conn *c, uint64_t id, int code, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void conn_end(struct conn *c);                                           /* close once all is written */
void conn_cut(struct rpc_server *s, struct conn *c, const char *reason); /* close by the next conn_attend_all() */
void conn_attend(struct rpc_server *s, struct conn *c);
bool conn_flush(struct rpc_server *s, struct conn *c); /* false: bytes are left */
size_t conn_unsent(const struct conn *c);
/* A client that does not read is not read from either, until it does. */
bool conn_is_full(const struct rpc_server *s, const struct conn *c);
void conn_update_interest(struct rpc_server *s, struct conn *c);
void conn_forget_output(struct rpc_server *s, struct conn *c);

/* frames.c: whole frames to requests */
void frames_handle(struct rpc_server *s, struct conn *c);

#endif
