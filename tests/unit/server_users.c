/* Who may do what, and how much, on one server: users of the socket, and those for whom a gateway asks. Other users
 * need root. */
#include "rpc/server/server.h"

#include <time.h>

#include "tests/unit/rpc.h"

enum { GATEWAY = 4001, OTHER };

static struct rig rig;
static struct raw one;
static char text[512];

static void status_for(struct raw *c, uint64_t id, const char *key, const char *client)
{
	struct xv_request r = {.id = id, .kind = XV_STATUS, .asker = {key, client}};

	raw_say(c, &r);
	turn(&rig);
}

TEST(an_owner_who_asks_for_others_is_none)
{
	rig_open(&rig, (struct rpc_server_options){.gateway_uid = GATEWAY});
	raw_hello(&rig, &one, 0);
	status_for(&one, 1, "", "");
	status_for(&one, 2, "alice", "10.0.0.1");
	CHECK_EQ(rig.heard.n, 2);
	CHECK(rig.heard.peer[0].owner);
	CHECK(!rig.heard.peer[1].owner);
	CHECK_STR(rig.heard.request[1].asker.key, "alice");
	CHECK_STR(rig.heard.request[1].asker.client, "10.0.0.1");
	close(one.fd);
	rig_close(&rig);
}

TEST(only_the_gateway_may_say_whom_it_asks_for)
{
	rig_open(&rig, (struct rpc_server_options){.gateway_uid = GATEWAY});
	for (uid_t uid = GATEWAY; uid <= OTHER && !geteuid(); uid++) {
		raw_connect_as(&one, rig.path, uid);
		raw_greet(&rig, &one, 0);
		status_for(&one, 1, "", "");
		CHECK(!rig.heard.peer[rig.heard.n - 1].owner);
		status_for(&one, 2, "", "me");
		if (uid == OTHER)
			expect_error(&one, 2, ERR_DENIED, text);
		CHECK_EQ(rig.heard.n, uid == GATEWAY ? 2 : 3);
		close(one.fd);
	}
	rig_close(&rig);
}

static void cancel(struct raw *c, uint64_t id, uint64_t call, const char *key)
{
	struct xv_request r = {.id = id, .kind = XV_CANCEL, .asker = {key, ""}};

	r.cancel.has_call = true;
	r.cancel.call = call;
	raw_say(c, &r);
	turn(&rig);
}

/* Done with the number of calls that it ended. */
static uint32_t cancelled(struct raw *c)
{
	struct xv_reply r;
	uint32_t n;

	CHECK(raw_next(c, &r));
	CHECK_EQ(r.kind, XV_R_DONE);
	n = r.done.count;
	rpc_reply_free(&r);
	return n;
}

TEST(a_call_is_cancelled_by_its_own_key_or_the_owner)
{
	static const int32_t ids[] = {1, 2, 3};
	struct xv_request r = {.id = 1, .kind = XV_GENERATE, .asker = {"alice", ""}};

	rig_open(&rig, (struct rpc_server_options){0});
	raw_hello(&rig, &one, 0);
	r.generate.prompt = (struct xv_prompt){.text = "", .ids = ids, .n_ids = 3};
	r.generate.user = "";
	raw_say(&one, &r);
	turn(&rig);
	r.id = 2;
	raw_say(&one, &r);
	turn(&rig);
	CHECK_EQ(rig.heard.n, 2);
	cancel(&one, 7, rig.heard.call[0], "bob");
	expect_error(&one, 7, ERR_DENIED, text);
	CHECK_HAS(text, "another user or key");
	CHECK_EQ(rig.heard.n_cancelled, 0);
	cancel(&one, 8, rig.heard.call[0], "alice");
	CHECK_EQ(cancelled(&one), 1);
	cancel(&one, 9, rig.heard.call[1], "");
	CHECK_EQ(cancelled(&one), 1);
	close(one.fd);
	rig_close(&rig);
}

/* As many connections of a user as are taken, at most `most`; each says Hello. */
static int flood(int *fd, int most, uid_t uid)
{
	int n = 0;

	while (n < most) {
		struct xv_reply r;
		struct xv_request hello = {.kind = XV_HELLO, .hello = {1, 1, 0, "raw", ""}};
		bool taken;
		raw_connect_as(&one, rig.path, uid);
		raw_say(&one, &hello);
		turn(&rig);
		CHECK(raw_next(&one, &r));
		taken = r.kind == XV_R_HELLO;
		if (!taken)
			CHECK(r.error.code == ERR_BUSY && r.error.retry_after_ms >= 1000);
		rpc_reply_free(&r);
		if (!taken) {
			close(one.fd);
			return n;
		}
		fd[n++] = one.fd;
	}
	return n;
}

TEST(idle_connections_of_one_user_leave_places_for_others)
{
	enum { MOST = 128 };
	static int a[MOST], b[MOST], root[MOST];
	int n, m, k;

	if (geteuid())
		return;
	rig_open(&rig, (struct rpc_server_options){.max_connections = MOST});
	n = flood(a, MOST, OTHER);
	CHECK_EQ(n, 105); /* seven eighths of what is not kept */
	m = flood(b, MOST, OTHER + 1);
	CHECK(m >= 5);
	CHECK(rpc_refused(rig.server)->connections == 2);
	k = flood(root, MOST, 0);
	CHECK(k > 0 && n + m + k <= MOST);
	for (int i = 0; i < n; i++)
		close(a[i]);
	for (int i = 0; i < m; i++)
		close(b[i]);
	for (int i = 0; i < k; i++)
		close(root[i]);
	turn(&rig);
	CHECK_EQ(rpc_connections(rig.server), 0);
	rig_close(&rig);
}

TEST(a_connection_that_is_idle_for_long_gives_its_place_to_another_of_its_user)
{
	enum { MOST = 16 };
	static int a[MOST];
	struct timespec pause = {0, 30000000};
	char byte;
	int n;

	if (geteuid())
		return;
	rig_open(&rig, (struct rpc_server_options){.max_connections = MOST, .idle_timeout_ms = 20});
	n = flood(a, 8, OTHER);
	CHECK_EQ(n, 8);
	nanosleep(&pause, NULL);
	n += flood(a + n, MOST - n, OTHER);
	CHECK_EQ(n, MOST); /* each one more than the share took the place of an idle one */
	CHECK(rpc_connections(rig.server) < MOST);
	while (recv(a[0], &byte, 1, MSG_DONTWAIT) > 0)
		;
	CHECK_EQ(recv(a[0], &byte, 1, MSG_DONTWAIT), 0);
	for (int i = 0; i < n; i++)
		close(a[i]);
	rig_close(&rig);
}

TEST(large_requests_of_one_user_leave_room_for_another)
{
	static uint8_t piece[16384];
	static int fd[64];
	uint8_t head[FRAME_HEAD_MAX];
	int n, refused = 0;

	if (geteuid())
		return;
	rig_open(&rig, (struct rpc_server_options){.max_input = 8 << 20});
	n = flood(fd, 16, OTHER);
	for (int i = 0; i < n; i++) {
		size_t size = (size_t)frame_head(head, 2 << 20);
		CHECK_EQ(send(fd[i], head, size, MSG_NOSIGNAL), size);
		for (int k = 0; k < 60; k++) {
			refused += send(fd[i], piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
			turn(&rig);
		}
	}
	CHECK(rpc_refused(rig.server)->input > 0 && rpc_connections(rig.server) < n + 1);
	raw_connect_as(&one, rig.path, OTHER + 1);
	raw_greet(&rig, &one, 0);
	CHECK_EQ(send(one.fd, head, (size_t)frame_head(head, 2 << 20), MSG_NOSIGNAL),
		 (ssize_t)frame_head(head, 2 << 20));
	for (int k = 0; k < 16; k++) {
		CHECK_EQ(send(one.fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT), sizeof piece);
		turn(&rig);
	}
	raw_read(&one);
	CHECK(!one.eof && !one.in_len);
	close(one.fd);
	for (int i = 0; i < n; i++)
		close(fd[i]);
	rig_close(&rig);
}

CHECK_MAIN()
