/* What the server holds and waits for, however many connections and calls there are. */
#include "rpc/server/server.h"

#include "tests/unit/rpc.h"

static struct rig rig;
static struct raw one, two, three;
static char text[512];

static void poll_for(int ms)
{
	uint64_t end = now_ns() + (uint64_t)ms * 1000000u;

	while (now_ns() < end)
		rpc_server_poll(rig.server, 10);
}

static void send_text(uint64_t call, size_t len)
{
	static char filler[8 << 20];
	struct xv_reply chunk = {.kind = XV_R_CHUNK, .chunk = {.text = filler, .text_len = len}};

	memset(filler, 'y', len);
	rpc_send(rig.server, call, &chunk);
}

TEST(every_open_call_is_kept_alive_however_many)
{
	enum { CALLS = 32, SECONDS = 4 };
	int heard[CALLS + 1] = {0};
	struct xv_reply r;

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	for (uint64_t i = 1; i <= CALLS; i++)
		raw_generate(&one, i);
	turn(&rig);
	CHECK_EQ(rig.heard.n, CALLS);
	for (int i = 0; i < SECONDS * 20; i++) {
		poll_for(50);
		while (raw_next(&one, &r)) {
			CHECK_EQ(r.kind, XV_R_KEEP_ALIVE);
			heard[r.id]++;
			rpc_reply_free(&r);
		}
	}
	for (int i = 1; i <= CALLS; i++)
		if (heard[i] < SECONDS)
			CHECK_FAIL("call %d heard %d keep-alives in %d s", i, heard[i], SECONDS);
	close(one.fd);
	rig_close(&rig);
}

/* More than the client's frame limit of 4096 bytes. */
static void send_too_large(uint64_t call, enum xv_reply_kind kind)
{
	static int32_t ids[4000];
	struct xv_reply r = {.kind = kind};

	for (int i = 0; i < 4000; i++)
		ids[i] = 100000;
	if (kind == XV_R_STARTED)
		r.started = (struct xv_started){
			.fingerprint = "", .numerics_class = "", .prompt_ids = ids, .n_prompt_ids = 4000};
	else
		r.chunk = (struct xv_chunk){.text = "", .ids = ids, .n_ids = 4000};
	rpc_send(rig.server, call, &r);
}

TEST(a_reply_over_the_clients_limit_ends_its_call)
{
	static const enum xv_reply_kind kinds[] = {XV_R_STARTED, XV_R_CHUNK};

	for (int k = 0; k < 2; k++) {
		rig_open(&rig, (struct rpc_server_options){0});
		raw_hello(&rig, &one, 4096);
		raw_generate(&one, 1);
		turn(&rig);
		send_too_large(rig.heard.call[0], kinds[k]);
		CHECK(!rpc_call_open(rig.server, rig.heard.call[0]));
		CHECK_EQ(rig.heard.n_cancelled, 0); /* never from rpc_send() */
		send_too_large(rig.heard.call[0], kinds[k]);
		send_text(rig.heard.call[0], 3);
		rpc_send_error(rig.server, rig.heard.call[0], ERR_CANCELLED, 0, "cancelled");
		turn(&rig);
		CHECK_EQ(rig.heard.n_cancelled, 1);
		CHECK_EQ(rig.heard.cancelled[0], rig.heard.call[0]);
		expect_error(&one, 1, ERR_LIMIT, text);
		CHECK_EQ(rpc_open_calls(rig.server), 0);
		raw_generate(&one, 1); /* the id is free */
		turn(&rig);
		CHECK_EQ(rig.heard.n, 2);
		rpc_send_error(rig.server, rig.heard.call[1], ERR_UNKNOWN, 0, "the end");
		turn(&rig);
		expect_error(&one, 1, ERR_UNKNOWN, text); /* and this is the next thing heard */
		close(one.fd);
		rig_close(&rig);
	}
}

static void expect_end(struct raw *c, const char *part)
{
	expect_error(c, 0, ERR_INVALID, text);
	CHECK_HAS(text, part);
	poll_for(50);
	raw_read(c);
	CHECK(c->eof);
}

TEST(an_error_without_an_id_ends_the_connection)
{
	struct xv_request none = {.kind = XV_STATUS};

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	raw_say(&one, &none);
	raw_generate(&one, 9); /* comes too late */
	turn(&rig);
	expect_end(&one, "id: every request");
	raw_hello(&rig, &two, 0);
	raw_generate(&two, 5);
	raw_generate(&two, 5);
	turn(&rig);
	expect_end(&two, "5 belongs to an open call");
	CHECK_EQ(rig.heard.n, 1);
	CHECK_EQ(rig.heard.n_cancelled, 1);
	CHECK_EQ(rpc_connections(rig.server), 0);
	close(one.fd);
	close(two.fd);
	rig_close(&rig);
}

TEST(a_frame_that_is_never_whole_ends_the_connection)
{
	static const uint8_t part[] = {100, 0x08, 7};

	rig_open(&rig, (struct rpc_server_options){.frame_timeout_ms = 600});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	raw_hello(&rig, &three, 0);
	for (int i = 0; i < 8; i++) {
		/* A byte at a time, 97 are wanted; it may have been closed. */
		(void)!send(one.fd, i ? "\0" : (const char *)part, i ? 1 : sizeof part, MSG_NOSIGNAL);
		raw_generate(&two, (uint64_t)i + 1); /* whole ones */
		poll_for(150);
	}
	expect_error(&one, 0, ERR_DEADLINE, text);
	CHECK_HAS(text, "600 ms");
	poll_for(50);
	raw_read(&one);
	CHECK(one.eof);
	CHECK_EQ(rpc_connections(rig.server), 2); /* idle ones stay */
	close(one.fd);
	close(two.fd);
	close(three.fd);
	rig_close(&rig);
}

/* Reads at most n bytes and throws them away. */
static void sip(const struct raw *c, size_t n)
{
	static char drop[1 << 20];

	(void)!recv(c->fd, drop, n, MSG_DONTWAIT);
}

TEST(a_trickle_is_no_reading)
{
	rig_open(&rig, (struct rpc_server_options){.max_buffered = 64 << 10, .stuck_timeout_ms = 1000});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	raw_generate(&one, 1);
	raw_generate(&two, 1);
	turn(&rig);
	send_text(rig.heard.call[0], 8 << 20);
	send_text(rig.heard.call[1], 8 << 20);
	for (int i = 0; i < 100 && rpc_connections(rig.server) == 2; i++) {
		poll_for(50);
		sip(&one, 1 << 10);  /* 20 KB/s */
		sip(&two, 64 << 10); /* 1.2 MB/s */
	}
	CHECK_EQ(rig.heard.n_cancelled, 1);
	CHECK_EQ(rig.heard.cancelled[0], rig.heard.call[0]);
	CHECK_EQ(rpc_connections_cut(rig.server), 1);
	close(one.fd);
	close(two.fd);
	rig_close(&rig);
}

TEST(what_is_unsent_to_all_has_one_budget)
{
	rig_open(&rig, (struct rpc_server_options){.max_output = 12 << 20});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	raw_hello(&rig, &three, 0);
	raw_generate(&one, 1);
	raw_generate(&two, 1);
	raw_generate(&three, 1);
	turn(&rig);
	send_text(rig.heard.call[0], 4 << 20);
	poll_for(100);
	send_text(rig.heard.call[1], 2 << 20);
	poll_for(100);
	CHECK_EQ(rpc_connections(rig.server), 3);
	send_text(rig.heard.call[2], 7 << 20); /* the largest, but of a client that had no time to read it yet */
	turn(&rig);
	CHECK_EQ(rig.heard.n_cancelled, 1);
	CHECK_EQ(rig.heard.cancelled[0], rig.heard.call[0]);
	for (int i = 0; i < 300; i++) {
		poll_for(2);
		sip(&three, 1 << 20);
	}
	send_text(rig.heard.call[2], 7 << 20); /* what was read is free again */
	turn(&rig);
	CHECK_EQ(rpc_connections(rig.server), 2);
	close(one.fd);
	close(two.fd);
	close(three.fd);
	rig_close(&rig);
}

/* A client may ask for several large answers at once, beside a stream. */
TEST(large_answers_that_wait_cut_nobody)
{
	enum { LARGE = 900 << 10 };
	struct xv_reply r;
	int heard = 0;

	rig_open(&rig, (struct rpc_server_options){.max_buffered = 256 << 10});
	raw_hello(&rig, &one, 0);
	for (uint64_t id = 1; id <= 4; id++)
		raw_generate(&one, id);
	turn(&rig);
	for (int i = 0; i < 3; i++)
		send_text(rig.heard.call[i], LARGE);
	send_text(rig.heard.call[3], 100);
	for (int i = 0; i < 2000 && heard < 4; i++) {
		turn(&rig);
		while (raw_next(&one, &r)) {
			heard += r.kind == XV_R_CHUNK;
			rpc_reply_free(&r);
		}
	}
	CHECK_EQ(heard, 4);
	CHECK_EQ(rpc_connections(rig.server), 1);
	close(one.fd);
	rig_close(&rig);
}

CHECK_MAIN()
