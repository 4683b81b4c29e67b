/* libxverse against a server that dies, is full, is silent or speaks another protocol. */
#include "rpc/codec/codec.h"
#include "rpc/xverse.h"

#include "tests/unit/pump.h"

TEST(a_stream_goes_on_where_it_stood)
{
	struct xv_client *c = connect_now(NULL);
	const struct xv_resume *resume;
	struct xv_reply r;
	uint64_t id = ask(c, false);

	wait_requests(c, 1);
	started(0, 99);
	tokens(0, 10, 3, "abc", false);
	expect(c, XV_R_STARTED);
	expect(c, XV_R_CHUNK);
	restart();
	wait_requests(c, 2);
	resume = &rig.heard.request[1].generate.resume;
	CHECK(resume->present);
	CHECK_EQ(resume->n_ids, 3);
	CHECK_EQ(resume->ids[2], 12);
	CHECK_EQ(resume->text_bytes, 3);
	CHECK_EQ(resume->seed, 99);
	CHECK_STR(resume->fingerprint, "fp");
	CHECK_STR(resume->numerics_class, "nc");
	CHECK_EQ(rig.heard.request[1].generate.prompt.n_ids, 3);
	started(1, 99); /* not shown a second time */
	tokens(1, 13, 2, "de", false);
	finished(1);
	r = expect(c, XV_R_CHUNK);
	CHECK_EQ(r.id, id);
	CHECK_EQ(r.chunk.ids[0], 13);
	CHECK_EQ(xv_resumed(c, id), 1);
	expect(c, XV_R_FINISHED);
	leave(c);
}

TEST(a_request_too_large_for_the_server_ends_alone)
{
	enum { SIZE = 17 << 20 };
	struct xv_client *c = connect_now(NULL);
	char *text = calloc(SIZE + 1, 1);
	struct xv_request r = {.kind = XV_TOKENIZE};
	struct xv_reply e;
	uint64_t id;

	ask(c, false);
	wait_requests(c, 1);
	memset(text, 'a', SIZE);
	r.tokenize.text = text;
	r.tokenize.text_len = SIZE;
	id = xv_send(c, &r);
	free(text);
	e = expect(c, XV_R_ERROR);
	CHECK_EQ(e.id, id);
	CHECK_EQ(e.error.code, ERR_LIMIT);
	CHECK_EQ(e.error.retryable, 0);
	CHECK(strstr(e.error.text, "takes 16777216 in one message") != NULL);
	started(0, 99);
	finished(0);
	expect(c, XV_R_STARTED);
	expect(c, XV_R_FINISHED);
	CHECK_EQ(rig.heard.n, 1);
	leave(c);
}

TEST(two_losses_add_up)
{
	struct xv_client *c = connect_now(NULL);

	ask(c, false);
	wait_requests(c, 1);
	started(0, 99);
	tokens(0, 10, 2, "ab", false);
	expect(c, XV_R_STARTED);
	expect(c, XV_R_CHUNK);
	restart();
	wait_requests(c, 2);
	started(1, 99);
	tokens(1, 12, 1, "c", false);
	expect(c, XV_R_CHUNK);
	restart();
	wait_requests(c, 3);
	CHECK_EQ(rig.heard.request[2].generate.resume.n_ids, 3);
	CHECK_EQ(rig.heard.request[2].generate.resume.text_bytes, 3);
	leave(c);
}

TEST(busy_is_an_answer_before_the_start_and_a_delay_after_it)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;

	ask(c, false);
	wait_requests(c, 1);
	refuse(0, ERR_BUSY, 50);
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.error.code, ERR_BUSY);
	ask(c, false);
	wait_requests(c, 2);
	started(1, 5);
	expect(c, XV_R_STARTED);
	restart();
	wait_requests(c, 3);
	refuse(2, ERR_LOADING, 50);
	wait_requests(c, 4);
	refuse(3, ERR_BUSY, 50);
	wait_requests(c, 5);
	CHECK_EQ(rig.heard.request[4].generate.resume.seed, 5);
	finished(4);
	expect(c, XV_R_FINISHED);
	leave(c);
}

TEST(a_lost_rank_is_a_delay_and_another_model_is_the_end)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;

	ask(c, false);
	wait_requests(c, 1);
	started(0, 5);
	expect(c, XV_R_STARTED);
	refuse(0, ERR_LOST_RANK, 0);
	wait_requests(c, 2);
	refuse(1, ERR_MISMATCH, 0);
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.error.code, ERR_MISMATCH);
	leave(c);
}

TEST(the_prompt_is_shown_once)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;

	ask(c, true);
	wait_requests(c, 1);
	started(0, 5);
	tokens(0, 0, 0, "prom", true);
	expect(c, XV_R_STARTED);
	expect(c, XV_R_CHUNK);
	restart();
	wait_requests(c, 2);
	started(1, 5);
	tokens(1, 0, 0, "prompt", true);
	tokens(1, 7, 1, "x", false);
	r = expect(c, XV_R_CHUNK);
	CHECK(r.chunk.prompt);
	CHECK_EQ(r.chunk.text_len, 2);
	CHECK(!memcmp(r.chunk.text, "pt", 2));
	r = expect(c, XV_R_CHUNK);
	CHECK(!r.chunk.prompt);
	leave(c);
}

TEST(without_resume_the_loss_is_told)
{
	struct xv_client *c = connect_now(&(struct xv_options){.no_resume = true});
	struct xv_reply r;

	ask(c, false);
	wait_requests(c, 1);
	pump_end();
	rpc_server_close(rig.server, 100);
	CHECK_EQ(xv_wait(c, &r, 2000, why.text), ERR_GONE);
	xv_close(c);
	rig.server = NULL;
	rig_close(&rig);
}

TEST(patience_ends)
{
	struct xv_client *c = connect_now(&(struct xv_options){.resume_timeout_ms = 700});
	struct xv_reply r;
	uint64_t begin;

	ask(c, false);
	wait_requests(c, 1);
	started(0, 5);
	expect(c, XV_R_STARTED);
	pump_end();
	rpc_server_close(rig.server, 100);
	begin = now_ns();
	CHECK_EQ(xv_wait(c, &r, 5000, why.text), ERR_GONE);
	CHECK(now_ns() - begin < 4000000000u);
	CHECK_HAS(why.text, "did not come back");
	xv_close(c);
	rig.server = NULL;
	rig_close(&rig);
}

TEST(a_silent_server_is_a_lost_one)
{
	struct xv_client *c = connect_now(&(struct xv_options){.silence_timeout_ms = 1500});
	struct xv_reply r;
	int got;

	ask(c, false);
	wait_requests(c, 1);
	started(0, 5);
	expect(c, XV_R_STARTED);
	pump_end(); /* hangs */
	got = xv_wait(c, &r, 2500, why.text);
	CHECK_EQ(got, 0);
	pump_start(); /* and lives again: the new connection is heard, and the old one's end */
	wait_requests(c, 2);
	wait_heard(c, &rig.heard.n_cancelled, 1);
	CHECK_EQ(rig.heard.request[1].generate.resume.seed, 5);
	leave(c);
}

/* Full for now: whoever comes back with a stream waits. */
TEST(a_full_server_is_tried_again)
{
	struct xv_client *c = connect_now(NULL);
	struct rpc_server_options how = {.path = rig.path, .listen_fd = -1, .group = (gid_t)-1, .max_connections = 1};
	struct rpc_handler h = {.ctx = &rig.heard, .request = rig_request, .cancel = rig_cancel};
	static struct raw other;
	struct xv_reply r;

	ask(c, false);
	wait_requests(c, 1);
	started(0, 5);
	expect(c, XV_R_STARTED);
	pump_end();
	rpc_server_close(rig.server, 100);
	CHECK_EQ(rpc_server_open(&rig.server, &how, &h, &why), 0);
	raw_hello(&rig, &other, 0);
	pump_start();
	for (int i = 0; i < 10; i++)
		CHECK_EQ(xv_wait(c, &r, 50, why.text), 0);
	close(other.fd);
	wait_requests(c, 2);
	leave(c);
}

TEST(cancel)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;
	uint64_t id = ask(c, false);

	wait_requests(c, 1);
	xv_cancel(c, id);
	r = expect(c, XV_R_DONE);
	CHECK_EQ(r.done.count, 1);
	refuse(0, ERR_CANCELLED, 0);
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.id, id);
	leave(c);
}

/* The first client is dropped, the next ones are served. */
static void *die_once(void *arg)
{
	struct rpc_server_options *how = arg;
	struct rpc_handler h = {.ctx = &rig.heard, .request = rig_request, .cancel = rig_cancel};
	int fd = accept(how->listen_fd, NULL, NULL);
	struct why not_now;

	usleep(20000);
	close(fd);
	if (rpc_server_open(&rig.server, how, &h, &not_now))
		return NULL;
	return pump_thread(NULL);
}

TEST(a_server_that_goes_away_before_hello_is_waited_for)
{
	struct rpc_server_options how = {.group = (gid_t)-1};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct xv_client *c;

	snprintf(at.sun_path, sizeof at.sun_path, "/tmp/xv-unit-hello-%d", (int)getpid());
	rig = (struct rig){0};
	how.listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(how.listen_fd, (struct sockaddr *)&at, sizeof at) && !listen(how.listen_fd, 8));
	stop = 0;
	pthread_create(&pump, NULL, die_once, &how);
	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = at.sun_path}, why.text), 0);
	leave(c);
	unlink(at.sun_path);
}

TEST(what_cannot_be_connected_says_why)
{
	struct xv_client *c;
	char long_path[200];

	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = "/tmp/xv-no-such-socket"}, why.text), ERR_GONE);
	CHECK_HAS(why.text, "is xversed running?");
	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = "/etc/passwd"}, why.text), ERR_INVALID);
	CHECK_HAS(why.text, "is not a socket");
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = 0;
	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = long_path}, why.text), ERR_INVALID);
	CHECK_HAS(why.text, "107");
}

CHECK_MAIN()
