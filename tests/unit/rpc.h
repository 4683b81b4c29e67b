/* rpc.h - a server on a socket of its own and raw clients of it, for unit tests of one thread. */
#ifndef TESTS_UNIT_RPC_H
#define TESTS_UNIT_RPC_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "rpc/server/server.h"
#include "tests/check.h"

enum { KEPT = 64 };
/* What the handler was told. */
struct heard {
	struct xv_request request[KEPT];
	struct rpc_peer peer[KEPT];
	uint64_t call[KEPT], cancelled[KEPT];
	int n, n_cancelled;
};

struct rig {
	struct rpc_server *server;
	struct heard heard;
	char path[64];
};

static inline void rig_request(void *ctx, uint64_t call, const struct rpc_peer *peer, struct xv_request *r)
{
	struct heard *h = ctx;

	if (h->n == KEPT) {
		rpc_request_free(r);
		return;
	}
	h->peer[h->n] = *peer;
	h->call[h->n] = call;
	h->request[h->n++] = *r;
}

static inline void rig_cancel(void *ctx, uint64_t call)
{
	struct heard *h = ctx;

	if (h->n_cancelled < KEPT)
		h->cancelled[h->n_cancelled++] = call;
}

static inline uint32_t rig_place(void *ctx, uint64_t call)
{
	(void)ctx;
	return (uint32_t)call + 6;
}

static inline void rig_open(struct rig *g, struct rpc_server_options how)
{
	struct rpc_handler h = {
		.ctx = &g->heard, .request = rig_request, .cancel = rig_cancel, .queue_place = rig_place};
	struct why why = {""};
	static int no;

	*g = (struct rig){0};
	snprintf(g->path, sizeof g->path, "/tmp/xv-unit-%d-%d", (int)getpid(), no++);
	how.path = g->path;
	how.listen_fd = -1;
	how.group = (gid_t)-1;
	how.version = "unit";
	how.served_model = "a model";
	if (rpc_server_open(&g->server, &how, &h, &why))
		CHECK_FAIL("%s", why.text);
}

static inline void rig_close(struct rig *g)
{
	for (int i = 0; i < g->heard.n; i++)
		rpc_request_free(&g->heard.request[i]);
	rpc_server_close(g->server, 100);
}

static inline void turn(struct rig *g)
{
	for (int i = 0; i < 4; i++)
		rpc_server_poll(g->server, 0);
}

/* A raw client. */
struct raw {
	int fd;
	uint8_t in[1 << 20];
	size_t in_len;
	bool eof;
};

static inline void raw_connect(struct raw *c, const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	c->in_len = 0;
	c->eof = false;
	strcpy(to.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(!connect(c->fd, (struct sockaddr *)&to, sizeof to));
}

/* As another user: only root can. The socket is opened to all for it. */
static inline void raw_connect_as(struct raw *c, const char *path, uid_t uid)
{
	CHECK(!chmod(path, 0666) && !seteuid(uid));
	raw_connect(c, path);
	CHECK(!seteuid(0));
}

static inline void raw_send(const struct raw *c, const void *bytes, size_t n)
{
	CHECK_EQ(send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT), n);
}

static inline void raw_say(const struct raw *c, const struct xv_request *r)
{
	struct rpc_out o = {0};

	rpc_request_encode(&o, r);
	raw_send(c, o.data, o.len);
	rpc_out_finish(&o);
}

static inline void raw_read(struct raw *c)
{
	ssize_t n = -1;

	while (c->in_len < sizeof c->in &&
	       (n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT)) > 0)
		c->in_len += (size_t)n;
	c->eof |= c->in_len < sizeof c->in && (n == 0 || (n < 0 && errno == ECONNRESET));
}

/* The next whole reply: true; the caller frees it. */
static inline bool raw_next(struct raw *c, struct xv_reply *r)
{
	const uint8_t *payload;
	size_t size;
	struct why why = {""};
	long n;

	raw_read(c);
	n = frame_next(c->in, c->in_len, FRAME_LIMIT, &payload, &size);
	if (n <= 0)
		return false;
	CHECK_EQ(rpc_reply_decode(r, payload, size, &why), 0);
	c->in_len -= (size_t)n;
	memmove(c->in, c->in + n, c->in_len);
	return true;
}

/* On a connection: Hello, and its answer. */
static inline void raw_greet(struct rig *g, struct raw *c, uint32_t frame_limit)
{
	struct xv_request hello = {.kind = XV_HELLO};
	struct xv_reply r;

	hello.hello = (struct xv_hello){1, 1, frame_limit, "raw", ""};
	raw_say(c, &hello);
	turn(g);
	CHECK(raw_next(c, &r));
	CHECK_EQ(r.kind, XV_R_HELLO);
	rpc_reply_free(&r);
}

static inline void raw_hello(struct rig *g, struct raw *c, uint32_t frame_limit)
{
	raw_connect(c, g->path);
	raw_greet(g, c, frame_limit);
}

/* An Error with this code and id comes next; its text in `text`. */
static inline void expect_error(struct raw *c, uint64_t id, int code, char text[512])
{
	struct xv_reply r;

	CHECK(raw_next(c, &r));
	CHECK_EQ(r.kind, XV_R_ERROR);
	snprintf(text, 512, "%s", r.error.text);
	CHECK_EQ(r.error.code, code);
	CHECK_EQ(r.id, id);
	rpc_reply_free(&r);
}

static inline void raw_generate(const struct raw *c, uint64_t id)
{
	static const int32_t ids[] = {1, 2, 3};
	struct xv_request r = {.id = id, .kind = XV_GENERATE};

	r.generate.prompt = (struct xv_prompt){.text = "", .ids = ids, .n_ids = 3};
	r.generate.user = "";
	raw_say(c, &r);
}

#endif
