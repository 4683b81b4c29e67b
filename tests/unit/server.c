/* The server's side of the protocol: what it refuses, what it bounds, and that a call ends once. */
#include "rpc/server/server.h"

#include <pthread.h>
#include <time.h>

#include "tests/unit/rpc.h"

static struct rig rig;
static struct raw one, two;
static char text[512];

TEST(hello_tells_the_limit_that_counts)
{
	struct xv_request hello = {.kind = XV_HELLO, .hello = {1, 1, 0, "raw", ""}};
	struct xv_reply r;

	rig_open(&rig, (struct rpc_server_options){0});
	raw_connect(&one, rig.path);
	raw_say(&one, &hello);
	turn(&rig);
	CHECK(raw_next(&one, &r));
	CHECK_EQ(r.hello.frame_limit, FRAME_LIMIT);
	CHECK_STR(r.hello.served_model, "a model");
	rpc_reply_free(&r);
	close(one.fd);
	rig_close(&rig);
}

/* A Tokenize request of `size` bytes, head excluded. */
static size_t sized_request(uint8_t *out, size_t size)
{
	struct xv_request r = {.id = 9, .kind = XV_TOKENIZE};
	struct rpc_out o = {0};
	static char filler[1 << 20];
	size_t n, len = size - 16;

	memset(filler, 'x', sizeof filler);
	do {
		o.len = 0;
		r.tokenize.text = filler;
		r.tokenize.text_len = len++;
		r.tokenize.add_special = true;
		rpc_request_encode(&o, &r);
	} while (o.len < size + (size < 16384 ? 2 : 3));
	n = o.len;
	memcpy(out, o.data, n);
	rpc_out_finish(&o);
	return n;
}

TEST(a_frame_of_the_limit_passes_and_one_above_does_not)
{
	uint8_t frame[9000];

	rig_open(&rig, (struct rpc_server_options){.max_frame = 8192});
	raw_hello(&rig, &one, 0);
	raw_send(&one, frame, sized_request(frame, 8192));
	turn(&rig);
	CHECK_EQ(rig.heard.n, 1);
	raw_send(&one, frame, sized_request(frame, 8193));
	turn(&rig);
	expect_error(&one, 0, ERR_LIMIT, text);
	CHECK_HAS(text, "8193");
	CHECK_HAS(text, "8192");
	turn(&rig);
	raw_read(&one);
	CHECK(one.eof);
	CHECK_EQ(rig.heard.n, 1);
	CHECK_EQ(rpc_connections(rig.server), 0);
	close(one.fd);
	rig_close(&rig);
}

TEST(bytes_that_come_one_by_one)
{
	struct xv_request r = {.id = 4, .kind = XV_STATUS};
	struct rpc_out o = {0};

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	rpc_request_encode(&o, &r);
	for (size_t i = 0; i < o.len; i++) {
		CHECK_EQ(rig.heard.n, 0);
		raw_send(&one, o.data + i, 1);
		turn(&rig);
	}
	CHECK_EQ(rig.heard.n, 1);
	rpc_out_finish(&o);
	close(one.fd);
	rig_close(&rig);
}

/* One connection that says these bytes first: the error it gets, after which it is closed. */
static void first_bytes(const void *bytes, size_t n, int code)
{
	raw_connect(&one, rig.path);
	raw_send(&one, bytes, n);
	turn(&rig);
	expect_error(&one, 0, code, text);
	raw_read(&one);
	CHECK(one.eof);
	close(one.fd);
}

TEST(first_message)
{
	struct xv_request status = {.id = 1, .kind = XV_STATUS};
	struct xv_request future = {.kind = XV_HELLO, .hello = {7, 9, 0, "", ""}};
	struct xv_request small = {.kind = XV_HELLO, .hello = {1, 1, 100, "", ""}};
	struct rpc_out o = {0};

	rig_open(&rig, (struct rpc_server_options){0});
	rpc_request_encode(&o, &status);
	first_bytes(o.data, o.len, ERR_FORMAT);
	CHECK_HAS(text, "Hello");
	o.len = 0;
	rpc_request_encode(&o, &future);
	first_bytes(o.data, o.len, ERR_UNSUPPORTED);
	CHECK_HAS(text, "7 to 9");
	o.len = 0;
	rpc_request_encode(&o, &small);
	first_bytes(o.data, o.len, ERR_INVALID);
	first_bytes("\xff\xff\xff\xff\xff\xff", 6, ERR_FORMAT);
	first_bytes("\xff\xff\xff\xff\x0f", 5, ERR_LIMIT);
	first_bytes("\x03\x01\x02\x03", 4, ERR_FORMAT);
	rpc_out_finish(&o);
	CHECK_EQ(rpc_connections(rig.server), 0);
	rig_close(&rig);
}

TEST(http_gets_an_answer_that_a_person_can_read)
{
	rig_open(&rig, (struct rpc_server_options){0});
	raw_connect(&one, rig.path);
	raw_send(&one, "GET / HTTP/1.1\r\n\r\n", 18);
	turn(&rig);
	raw_read(&one);
	one.in[one.in_len] = 0;
	CHECK_HAS((char *)one.in, "HTTP/1.0 400");
	CHECK_HAS((char *)one.in, "xverse-gateway");
	CHECK(one.eof);
	close(one.fd);
	rig_close(&rig);
}

TEST(what_is_wrong_in_one_request_ends_only_that)
{
	struct xv_request hello = {.kind = XV_HELLO, .hello = {1, 1, 0, "raw", ""}};
	static const uint8_t broken[] = {5, 0x08, 7, 0x1a, 9, 0};  /* id 7, then a Generate that ends early */
	static const uint8_t unknown[] = {5, 0x08, 8, 0xa2, 6, 0}; /* id 8, field 100 */

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	raw_send(&one, broken, sizeof broken);
	raw_send(&one, unknown, sizeof unknown);
	hello.id = 3;
	raw_say(&one, &hello);
	raw_generate(&one, 5);
	turn(&rig);
	expect_error(&one, 7, ERR_FORMAT, text);
	expect_error(&one, 8, ERR_UNKNOWN, text);
	expect_error(&one, 3, ERR_INVALID, text);
	CHECK_EQ(rig.heard.n, 1);
	CHECK_EQ(rpc_open_calls(rig.server), 1);
	close(one.fd);
	turn(&rig);
	rig_close(&rig);
}

TEST(a_client_that_vanishes_is_a_cancel)
{
	struct xv_reply chunk = {.kind = XV_R_CHUNK, .chunk = {.text = "x", .text_len = 1}};

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	raw_generate(&one, 1);
	raw_generate(&one, 2);
	raw_send(&one, "\x7f half a frame", 14);
	turn(&rig);
	close(one.fd);
	turn(&rig);
	CHECK_EQ(rig.heard.n, 2);
	CHECK_EQ(rig.heard.n_cancelled, 2);
	CHECK(!rpc_call_open(rig.server, rig.heard.call[0]));
	rpc_send(rig.server, rig.heard.call[0], &chunk);
	CHECK_EQ(rpc_connections(rig.server), 0);
	CHECK_EQ(rpc_open_calls(rig.server), 0);
	rig_close(&rig);
}

static void say_cancel(const struct raw *c, uint64_t own, bool has_call, uint64_t call, bool has_id, uint64_t id)
{
	struct xv_request r = {.id = own, .kind = XV_CANCEL};

	r.cancel.has_call = has_call;
	r.cancel.call = call;
	r.cancel.has_id = has_id;
	r.cancel.id = id;
	raw_say(c, &r);
	turn(&rig);
}

static void expect_done(struct raw *c, uint64_t id, uint32_t count)
{
	struct xv_reply r;

	CHECK(raw_next(c, &r));
	CHECK_EQ(r.kind, XV_R_DONE);
	CHECK_EQ(r.id, id);
	CHECK_EQ(r.done.count, count);
	rpc_reply_free(&r);
}

TEST(cancels)
{
	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	for (uint64_t i = 1; i <= 4; i++)
		raw_generate(&one, i);
	turn(&rig);
	say_cancel(&one, 10, false, 0, true, 2);
	expect_done(&one, 10, 1);
	CHECK_EQ(rig.heard.cancelled[0], rig.heard.call[1]);
	say_cancel(&two, 11, true, rig.heard.call[2], false, 0); /* another connection of the same user */
	expect_done(&two, 11, 1);
	CHECK_EQ(rig.heard.cancelled[1], rig.heard.call[2]);
	say_cancel(&one, 12, false, 0, false, 0); /* all that are left */
	expect_done(&one, 12, 2);
	say_cancel(&one, 13, false, 0, false, 0);
	expect_done(&one, 13, 0);
	CHECK_EQ(rig.heard.n_cancelled, 4);
	say_cancel(&one, 14, true, 999, false, 0);
	expect_done(&one, 14, 0);
	close(one.fd);
	close(two.fd);
	turn(&rig);
	CHECK_EQ(rig.heard.n_cancelled, 4); /* each is told once */
	rig_close(&rig);
}

static void send_text(uint64_t call, size_t len)
{
	static char filler[1 << 22];
	struct xv_reply chunk = {.kind = XV_R_CHUNK};

	memset(filler, 'y', sizeof filler);
	chunk.chunk.text = filler;
	chunk.chunk.text_len = len;
	rpc_send(rig.server, call, &chunk);
}

TEST(a_reader_that_does_not_read_is_closed_at_the_cap_and_costs_nobody)
{
	enum { CAP = 256 << 10, PIECE = 4096, MOST = (CAP + (1 << 20)) / PIECE };
	struct xv_reply r;
	int sent = 0, heard = 0;

	rig_open(&rig, (struct rpc_server_options){.max_buffered = CAP});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	raw_generate(&one, 1);
	raw_generate(&two, 1);
	turn(&rig);
	for (; rpc_call_open(rig.server, rig.heard.call[0]) && sent < 2 * MOST; sent++) {
		send_text(rig.heard.call[0], PIECE);
		send_text(rig.heard.call[1], PIECE);
		rpc_server_poll(rig.server, 0);
		while (raw_next(&two, &r)) {
			heard += r.kind == XV_R_CHUNK;
			rpc_reply_free(&r);
		}
		CHECK_EQ(heard, sent + 1);
	}
	CHECK(sent > CAP / PIECE);
	CHECK(sent < MOST); /* the cap and what the kernel holds */
	turn(&rig);
	CHECK_EQ(rig.heard.n_cancelled, 1);
	CHECK_EQ(rig.heard.cancelled[0], rig.heard.call[0]);
	CHECK_EQ(rpc_connections(rig.server), 1);
	close(one.fd);
	close(two.fd);
	rig_close(&rig);
}

TEST(one_reply_above_the_cap_reaches_a_reader)
{
	struct xv_reply r;
	int turns = 0;

	rig_open(&rig, (struct rpc_server_options){.max_buffered = 64 << 10});
	raw_hello(&rig, &one, 0);
	raw_generate(&one, 1);
	turn(&rig);
	send_text(rig.heard.call[0], 900 << 10);
	while (!raw_next(&one, &r) && turns++ < 1000)
		turn(&rig);
	CHECK(turns < 1000);
	CHECK_EQ(r.chunk.text_len, 900 << 10);
	rpc_reply_free(&r);
	CHECK_EQ(rig.heard.n_cancelled, 0);
	close(one.fd);
	rig_close(&rig);
}

static void poll_for(int ms)
{
	uint64_t end = now_ns() + (uint64_t)ms * 1000000u;

	while (now_ns() < end)
		rpc_server_poll(rig.server, 10);
}

TEST(what_nobody_reads_is_not_held_for_ever)
{
	rig_open(&rig, (struct rpc_server_options){.max_buffered = 64 << 10, .stuck_timeout_ms = 2000});
	raw_hello(&rig, &one, 0);
	raw_generate(&one, 1);
	turn(&rig);
	send_text(rig.heard.call[0], 4 << 20);
	poll_for(100);
	CHECK_EQ(rpc_connections(rig.server), 1);
	for (int i = 0; i < 100 && rpc_connections(rig.server); i++)
		poll_for(100);
	CHECK_EQ(rpc_connections(rig.server), 0);
	CHECK_EQ(rig.heard.n_cancelled, 1);
	close(one.fd);
	rig_close(&rig);
}

TEST(an_answer_that_the_client_would_not_take_is_an_error)
{
	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 4096);
	raw_generate(&one, 1);
	turn(&rig);
	send_text(rig.heard.call[0], 8192);
	turn(&rig);
	expect_error(&one, 1, ERR_LIMIT, text);
	CHECK_HAS(text, "4096");
	close(one.fd);
	rig_close(&rig);
}

/* Announces a frame of `whole` bytes and sends `part` of it, as long as it is taken. */
static void send_part(struct raw *c, size_t whole, size_t part)
{
	uint8_t head[FRAME_HEAD_MAX], piece[16384] = {0};

	raw_send(c, head, (size_t)frame_head(head, whole));
	for (size_t n = 0; n < part; n += sizeof piece) {
		if (send(c->fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
		turn(&rig);
	}
}

TEST(input_is_bounded_over_all_connections)
{
	rig_open(&rig, (struct rpc_server_options){.max_input = 1 << 20});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	send_part(&one, 4 << 20, 700 << 10); /* its buffer has 1 MiB by now, 64 KiB of which do not count */
	send_part(&two, 4 << 20, 60 << 10);  /* small: goes on */
	CHECK_EQ(rpc_connections(rig.server), 2);
	send_part(&two, 4 << 20, 160 << 10);
	expect_error(&two, 0, ERR_BUSY, text);
	turn(&rig);
	raw_read(&two);
	CHECK(two.eof);
	close(two.fd);
	close(one.fd);
	turn(&rig);
	raw_hello(&rig, &two, 0); /* what was held is free again */
	send_part(&two, 4 << 20, 400 << 10);
	CHECK_EQ(rpc_connections(rig.server), 1);
	close(two.fd);
	rig_close(&rig);
}

TEST(requests_that_are_held_count_as_input)
{
	static uint8_t frame[200 << 10];
	size_t n = sized_request(frame, 180 << 10);

	rig_open(&rig, (struct rpc_server_options){.max_input = 1 << 20});
	raw_hello(&rig, &one, 0);
	for (int i = 0; i < 10; i++) {
		for (size_t at = 0; at < n; at += 8192) {
			raw_send(&one, frame + at, n - at < 8192 ? n - at : 8192);
			turn(&rig);
		}
		if (rig.heard.n > i)
			rpc_send_error(rig.server, rig.heard.call[i], ERR_UNKNOWN, 0, "the handler still holds it");
	}
	CHECK(rig.heard.n >= 2);
	CHECK(rig.heard.n <= 5);
	close(one.fd);
	rig_close(&rig);
}

TEST(limits_of_connections_and_calls)
{
	rig_open(&rig, (struct rpc_server_options){.max_connections = 1, .max_calls = 2});
	raw_hello(&rig, &one, 0);
	for (uint64_t i = 1; i <= 3; i++)
		raw_generate(&one, i);
	turn(&rig);
	expect_error(&one, 3, ERR_BUSY, text);
	raw_connect(&two, rig.path);
	turn(&rig);
	expect_error(&two, 0, ERR_BUSY, text);
	CHECK_HAS(text, "1 clients are connected");
	raw_read(&two);
	CHECK(two.eof);
	close(two.fd);
	close(one.fd);
	turn(&rig);
	raw_hello(&rig, &two, 0); /* there is room again */
	close(two.fd);
	rig_close(&rig);
}

TEST(keep_alives_and_the_hello_that_never_comes)
{
	struct xv_reply r;
	int n = 0;

	rig_open(&rig, (struct rpc_server_options){.hello_timeout_ms = 500});
	raw_hello(&rig, &one, 0);
	raw_generate(&one, 3);
	raw_connect(&two, rig.path);
	poll_for(4100); /* one a second is promised, half of them are asked for */
	while (raw_next(&one, &r)) {
		CHECK_EQ(r.kind, XV_R_KEEP_ALIVE);
		CHECK_EQ(r.id, 3);
		CHECK_EQ(r.keep_alive.queue_place, rig.heard.call[0] + 6);
		rpc_reply_free(&r);
		n++;
	}
	CHECK(n >= 2);
	raw_read(&two);
	CHECK(two.eof);
	close(one.fd);
	close(two.fd);
	rig_close(&rig);
}

static void *good_bye(void *arg)
{
	struct xv_error e = {.code = ERR_LOST_RANK, .text = "rank 3 died", .rank = 3, .step = 17, .pid = 99};

	(void)arg;
	rpc_last_words(rig.server, &e, 500);
	return NULL;
}

TEST(last_words_reach_every_open_call)
{
	struct xv_reply r;
	pthread_t t;

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	raw_hello(&rig, &two, 0);
	raw_generate(&one, 1);
	raw_generate(&two, 7);
	raw_generate(&two, 8);
	turn(&rig);
	pthread_create(&t, NULL, good_bye, NULL);
	pthread_join(t, NULL);
	CHECK(raw_next(&one, &r));
	CHECK_EQ(r.error.rank, 3);
	CHECK_EQ(r.error.step, 17);
	CHECK_EQ(r.error.pid, 99);
	CHECK(r.error.retryable);
	rpc_reply_free(&r);
	expect_error(&two, 7, ERR_LOST_RANK, text);
	expect_error(&two, 8, ERR_LOST_RANK, text);
	CHECK_STR(text, "rank 3 died");
	raw_read(&one);
	raw_read(&two);
	CHECK(one.eof && two.eof);
	close(one.fd);
	close(two.fd);
	rig_close(&rig);
}

CHECK_MAIN()
