/* pump.h - a server that a thread of its own drives, and a libxverse client of it. */
#ifndef TESTS_UNIT_PUMP_H
#define TESTS_UNIT_PUMP_H

#include <pthread.h>

#include "rpc/codec/codec.h"
#include "rpc/xverse.h"
#include "tests/unit/rpc.h"

static struct rig rig;
static pthread_t pump;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int stop;
static struct why why;

static inline void *pump_thread(void *arg)
{
	while (!stop) {
		pthread_mutex_lock(&lock);
		rpc_server_poll(rig.server, 0);
		pthread_mutex_unlock(&lock);
		usleep(500);
	}
	return arg;
}

static inline void pump_start(void)
{
	stop = 0;
	pthread_create(&pump, NULL, pump_thread, NULL);
}

static inline void pump_end(void)
{
	stop = 1;
	pthread_join(pump, NULL);
}

/* Until a count of what the server heard is n. */
static inline void wait_heard(struct xv_client *c, const int *count, int n)
{
	struct xv_reply r;
	uint64_t end = now_ns() + 30000000000u;
	int have = 0;

	while (have < n && now_ns() < end) {
		if (c)
			CHECK_EQ(xv_wait(c, &r, 5, why.text), 0);
		pthread_mutex_lock(&lock);
		have = *count;
		pthread_mutex_unlock(&lock);
		usleep(1000);
	}
	CHECK_EQ(have, n);
}

static inline void wait_requests(struct xv_client *c, int n)
{
	wait_heard(c, &rig.heard.n, n);
}

static inline void started(int i, uint64_t seed)
{
	struct xv_reply r = {.kind = XV_R_STARTED};

	r.started = (struct xv_started){.seed = seed, .fingerprint = "fp", .numerics_class = "nc", .prompt_tokens = 3};
	pthread_mutex_lock(&lock);
	rpc_send(rig.server, rig.heard.call[i], &r);
	pthread_mutex_unlock(&lock);
}

static inline void tokens(int i, int32_t first, int n, const char *text, bool prompt)
{
	struct xv_reply r = {.kind = XV_R_CHUNK};
	int32_t ids[16];

	for (int k = 0; k < n; k++)
		ids[k] = first + k;
	r.chunk = (struct xv_chunk){.text = text, .text_len = strlen(text), .ids = ids, .n_ids = n, .prompt = prompt};
	pthread_mutex_lock(&lock);
	rpc_send(rig.server, rig.heard.call[i], &r);
	pthread_mutex_unlock(&lock);
}

static inline void finished(int i)
{
	struct xv_reply r = {.kind = XV_R_FINISHED,
			     .finished = {.reason = XV_FINISH_LENGTH, .stop_id = -1, .stop_text = ""}};

	pthread_mutex_lock(&lock);
	rpc_send(rig.server, rig.heard.call[i], &r);
	pthread_mutex_unlock(&lock);
}

static inline void refuse(int i, int code, uint32_t after)
{
	pthread_mutex_lock(&lock);
	rpc_send_error(rig.server, rig.heard.call[i], code, after, "no");
	pthread_mutex_unlock(&lock);
}

/* The server is gone, and another one is at the same path. What it heard is kept. */
static inline void restart(void)
{
	struct rpc_server_options how = {.path = rig.path, .listen_fd = -1, .group = (gid_t)-1};
	struct rpc_handler h = {.ctx = &rig.heard, .request = rig_request, .cancel = rig_cancel};

	pump_end();
	rpc_server_close(rig.server, 100);
	usleep(100000);
	CHECK_EQ(rpc_server_open(&rig.server, &how, &h, &why), 0);
	pump_start();
}

static inline struct xv_client *connect_now(const struct xv_options *more)
{
	struct xv_options how = more ? *more : (struct xv_options){0};
	struct xv_client *c;

	rig_open(&rig, (struct rpc_server_options){0});
	pump_start();
	how.path = rig.path;
	if (xv_connect(&c, &how, why.text))
		CHECK_FAIL("%s", why.text);
	return c;
}

static inline void leave(struct xv_client *c)
{
	xv_close(c);
	pump_end();
	rig_close(&rig);
}

static inline uint64_t ask(struct xv_client *c, bool echo)
{
	static const int32_t prompt[] = {1, 2, 3};
	struct xv_request r = {.kind = XV_GENERATE};

	r.generate.prompt = (struct xv_prompt){.text = "", .ids = prompt, .n_ids = 3};
	r.generate.user = "";
	r.generate.echo = echo;
	return xv_send(c, &r);
}

/* The next reply of this kind, keep-alives passed over. */
static inline struct xv_reply expect(struct xv_client *c, enum xv_reply_kind kind)
{
	struct xv_reply r;
	int got;

	do
		got = xv_wait(c, &r, 3000, why.text);
	while (got == 1 && r.kind == XV_R_KEEP_ALIVE);
	if (got != 1)
		CHECK_FAIL("no reply %d: %d %s", kind, got, why.text);
	CHECK_EQ(r.kind, kind);
	return r;
}

#endif
