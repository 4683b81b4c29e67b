/* libxverse and a server that is not ready, goes away again and again, or is silent: what waits, and what ends. */
#include "tests/unit/pump.h"

static uint64_t ask_within(struct xv_client *c, uint32_t timeout_ms)
{
	static const int32_t prompt[] = {1, 2, 3};
	struct xv_request r = {.kind = XV_GENERATE};

	r.generate.prompt = (struct xv_prompt){.text = "", .ids = prompt, .n_ids = 3};
	r.generate.user = "";
	r.generate.timeout_ms = timeout_ms;
	return xv_send(c, &r);
}

static void look_for(struct xv_client *c, int ms)
{
	struct xv_reply r;
	uint64_t end = now_ns() + (uint64_t)ms * 1000000u;

	while (now_ns() < end)
		if (xv_wait(c, &r, 20, why.text) == 1)
			CHECK_EQ(r.kind, XV_R_KEEP_ALIVE);
}

TEST(a_call_that_the_server_had_at_three_losses_is_given_up)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;
	uint64_t id = ask(c, false);

	for (int i = 0; i < 3; i++) {
		wait_requests(c, i + 1);
		restart();
	}
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.id, id);
	CHECK_EQ(r.error.code, ERR_INTERNAL);
	CHECK(!r.error.retryable);
	CHECK_HAS(r.error.text, "lost 3 times");
	CHECK_HAS(r.error.text, "the request may be what ends the server");
	CHECK_EQ(xv_wait(c, &r, 300, why.text), 0);
	CHECK_EQ(rig.heard.n, 3);
	CHECK_EQ(xv_resends(c), 2);
	id = ask(c, false); /* the client goes on */
	wait_requests(c, 4);
	finished(3);
	r = expect(c, XV_R_FINISHED);
	CHECK_EQ(r.id, id);
	leave(c);
}

TEST(last_words_and_the_end_of_the_connection_are_one_loss)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;

	ask(c, false);
	for (int i = 0; i < 3; i++) {
		wait_requests(c, 2 * i + 1);
		refuse(2 * i, ERR_LOST_RANK, 50);
		if (i == 2)
			break;
		wait_requests(c, 2 * i + 2); /* it is sent again on the connection that ends */
		restart();
	}
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.error.code, ERR_INTERNAL);
	leave(c);
}

TEST(a_new_token_between_losses_is_progress)
{
	struct xv_client *c = connect_now(NULL);

	ask(c, false);
	for (int i = 0; i < 6; i++) {
		wait_requests(c, i + 1);
		started(i, 5);
		if (!i)
			expect(c, XV_R_STARTED);
		if (i % 2) {
			tokens(i, 10 + i, 1, "x", false);
			expect(c, XV_R_CHUNK);
		}
		restart();
	}
	wait_requests(c, 7);
	CHECK_EQ(rig.heard.request[6].generate.resume.n_ids, 3);
	finished(6);
	expect(c, XV_R_FINISHED);
	leave(c);
}

TEST(a_server_that_asks_for_a_long_wait_is_asked_again_while_the_caller_waits)
{
	struct xv_client *c = connect_now(&(struct xv_options){.resume_timeout_ms = 300});
	struct xv_reply r;
	uint64_t id = ask(c, false);

	for (int i = 0; i < 2; i++) {
		wait_requests(c, i + 1);
		refuse(i, ERR_LOADING, i ? 3600000u : UINT32_MAX);
	}
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.id, id);
	CHECK_EQ(r.error.code, ERR_LOADING);
	CHECK_EQ(rig.heard.n, 2);
	leave(c);
}

static int notices;
static void notice(void *arg, const char *what)
{
	CHECK_STR(what, (const char *)arg);
	notices++;
}

TEST(a_call_that_begins_while_the_model_loads_waits)
{
	char text[] = "no";
	struct xv_client *c = connect_now(&(struct xv_options){.notice = notice, .notice_arg = text});

	ask(c, false);
	notices = 0;
	for (int i = 0; i < 3; i++) {
		wait_requests(c, i + 1);
		refuse(i, ERR_LOADING, 100);
	}
	wait_requests(c, 4);
	CHECK_EQ(notices, 1);       /* once, however often it is put off */
	CHECK_EQ(xv_resends(c), 0); /* it was put off, not lost */
	finished(3);
	expect(c, XV_R_FINISHED);
	leave(c);
}

TEST(a_cancelled_call_that_is_put_off_ends)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;
	uint64_t id = ask(c, false);
	int errors = 0;

	wait_requests(c, 1);
	CHECK(xv_cancel(c, id));
	refuse(0, ERR_LOADING, 100);
	for (int i = 0; i < 20; i++)
		if (xv_wait(c, &r, 20, why.text) == 1 && r.id == id) {
			CHECK_EQ(r.kind, XV_R_ERROR);
			CHECK_EQ(r.error.code, ERR_LOADING);
			errors++;
		}
	CHECK_EQ(errors, 1);
	CHECK_EQ(rig.heard.n, 1); /* it is not sent again */
	leave(c);
}

TEST(whoever_does_not_want_to_wait_is_told)
{
	struct xv_client *c = connect_now(&(struct xv_options){.loading_timeout_ms = -1});

	ask(c, false);
	wait_requests(c, 1);
	refuse(0, ERR_LOADING, 50);
	CHECK_EQ(expect(c, XV_R_ERROR).error.code, ERR_LOADING);
	leave(c);
}

TEST(the_wait_for_the_model_ends)
{
	struct xv_client *c = connect_now(&(struct xv_options){.loading_timeout_ms = 300});
	struct xv_reply r = {0};
	int n = 0, got = 0;

	ask(c, false);
	for (int i = 0; i < 1000 && !got; i++) {
		got = xv_wait(c, &r, 10, why.text) && r.kind != XV_R_KEEP_ALIVE;
		if (n < rig.heard.n)
			refuse(n++, ERR_LOADING, 100);
	}
	CHECK_EQ(got, 1);
	CHECK_EQ(r.kind, XV_R_ERROR);
	CHECK_EQ(r.error.code, ERR_LOADING);
	CHECK(n >= 2);
	leave(c);
}

TEST(a_time_limit_counts_from_the_first_send)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;

	ask_within(c, 60000);
	wait_requests(c, 1);
	CHECK_EQ(rig.heard.request[0].generate.timeout_ms, 60000);
	look_for(c, 300);
	restart();
	wait_requests(c, 2);
	CHECK(rig.heard.request[1].generate.timeout_ms <= 59700);
	CHECK(rig.heard.request[1].generate.timeout_ms > 20000);
	finished(1);
	expect(c, XV_R_FINISHED);
	ask_within(c, 500);
	wait_requests(c, 3);
	refuse(2, ERR_LOADING, 30000);
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.error.code, ERR_DEADLINE);
	ask_within(c, 500);
	wait_requests(c, 4);
	started(3, 5);
	tokens(3, 10, 2, "ab", false);
	expect(c, XV_R_STARTED);
	expect(c, XV_R_CHUNK);
	refuse(3, ERR_LOST_RANK, 30000);
	r = expect(c, XV_R_FINISHED); /* an answer that is cut is no error */
	CHECK_EQ(r.finished.reason, XV_FINISH_DEADLINE);
	CHECK_EQ(r.finished.output_tokens, 2);
	CHECK_EQ(r.finished.prompt_tokens, 3);
	leave(c);
}

/* A call is sent again only where the connection as a whole is silent. */
TEST(one_call_that_is_heard_speaks_for_all)
{
	struct xv_client *c = connect_now(&(struct xv_options){.silence_timeout_ms = 1000});
	struct xv_reply r;

	pump_end(); /* no keep-alives: what is sent is sent here */
	for (int i = 0; i < 32; i++)
		ask(c, false);
	turn(&rig);
	CHECK_EQ(rig.heard.n, 32);
	for (int i = 0; i < 12; i++) {
		struct xv_reply chunk = {.kind = XV_R_CHUNK, .chunk = {.text = "x", .text_len = 1}};
		rpc_send(rig.server, rig.heard.call[0], &chunk);
		turn(&rig);
		while (xv_wait(c, &r, 200, why.text) == 1)
			CHECK(r.kind == XV_R_CHUNK || r.kind == XV_R_KEEP_ALIVE);
	}
	CHECK_EQ(xv_resends(c), 0);
	pump_start();
	leave(c);
}

/* What a caller does not look for, it cannot miss. */
TEST(a_client_that_was_stopped_sends_nothing_again)
{
	struct xv_client *c = connect_now(&(struct xv_options){.silence_timeout_ms = 1500});

	ask(c, false);
	wait_requests(c, 1);
	look_for(c, 100);
	pump_end(); /* both are: nothing was sent meanwhile */
	sleep(3);
	look_for(c, 200);
	CHECK_EQ(xv_resends(c), 0);
	pump_start();
	look_for(c, 500);
	sleep(3); /* the client alone: keep-alives wait for it */
	look_for(c, 500);
	CHECK_EQ(rig.heard.n, 1);
	leave(c);
}

TEST(a_call_that_finds_the_connection_dead_is_no_loss)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r;
	uint64_t begun;

	for (int i = 0; i < 4; i++) { /* one loss more than a call may have */
		restart();
		begun = now_ns();
		ask(c, false);
		wait_requests(c, i + 1);
		CHECK(now_ns() - begun < 1500 * 1000000ull); /* a call that may be the cause waits for 2 s */
		finished(i);
		expect(c, XV_R_FINISHED);
	}
	CHECK_EQ(xv_resends(c), 0);
	CHECK_EQ(xv_wait(c, &r, 0, why.text), 0);
	leave(c);
}

/* The server ends while no call is open, and stays away. */
TEST(a_call_of_an_idle_client_waits_no_longer_than_others)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	struct xv_client *c;
	struct xv_reply r;

	snprintf(at.sun_path, sizeof at.sun_path, "/tmp/xv-unit-away-%d", (int)getpid());
	CHECK(!bind(listener, (struct sockaddr *)&at, sizeof at) && !listen(listener, 1));
	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = at.sun_path, .no_wait = true, .resume_timeout_ms = 300},
			    why.text),
		 0);
	close(accept(listener, NULL, NULL));
	close(listener);
	unlink(at.sun_path);
	CHECK_EQ(xv_wait(c, &r, 1000, why.text), ERR_GONE);
	for (int i = 0; i < 2; i++) { /* the second time a wait was over long ago */
		int got = 0;
		uint64_t id = ask(c, false);

		for (int turn = 0; turn < 500 && !got; turn++)
			got = xv_wait(c, &r, 20, why.text);
		CHECK_EQ(got, ERR_GONE);
		CHECK_HAS(why.text, "did not come back");
		CHECK_EQ(xv_cancel(c, id), false);
		usleep(400 * 1000);
		ask(c, false);
		CHECK_EQ(xv_wait(c, &r, 50, why.text), 0); /* it waits for itself */
		xv_cancel(c, id + 1);
	}
	xv_close(c);
}

/* The queue of a listener that nobody accepts from. */
TEST(a_full_queue_is_waited_for)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct xv_client *c;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd[2];

	snprintf(at.sun_path, sizeof at.sun_path, "/tmp/xv-unit-full-%d", (int)getpid());
	CHECK(!bind(listener, (struct sockaddr *)&at, sizeof at) && !listen(listener, 0));
	for (int i = 0; i < 2; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fd[i], (struct sockaddr *)&at, sizeof at);
	}
	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = at.sun_path, .connect_timeout_ms = 300}, why.text),
		 ERR_BUSY);
	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = at.sun_path, .no_wait = true}, why.text), 0);
	ask(c, false);
	CHECK(xv_fd(c) < 0);
	close(fd[0]);
	close(accept(listener, NULL, NULL));
	for (int i = 0; i < 200 && xv_fd(c) < 0; i++)
		look_for(c, 20);
	CHECK(xv_fd(c) >= 0);
	CHECK_EQ(xv_resends(c), 0);
	xv_close(c);
	close(fd[1]);
	close(listener);
	unlink(at.sun_path);
}

TEST(an_abstract_socket_is_refused_by_name)
{
	struct xv_client *c;

	CHECK_EQ(xv_connect(&c, &(struct xv_options){.path = "@xversed"}, why.text), ERR_INVALID);
	CHECK_HAS(why.text, "@xversed: abstract sockets are not supported");
}

TEST(an_answer_to_another_question_is_an_error)
{
	struct xv_client *c = connect_now(NULL);
	struct xv_reply r, done = {.kind = XV_R_DONE};
	uint64_t id = ask(c, false);

	wait_requests(c, 1);
	pthread_mutex_lock(&lock);
	rpc_send(rig.server, rig.heard.call[0], &done);
	pthread_mutex_unlock(&lock);
	r = expect(c, XV_R_ERROR);
	CHECK_EQ(r.id, id);
	CHECK_EQ(r.error.code, ERR_FORMAT);
	CHECK_HAS(r.error.text, "\"done\"");
	leave(c);
}

CHECK_MAIN()
