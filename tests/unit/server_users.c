/* Who may do what, and how much, on one server: users of the socket, and those for whom a gateway asks. Other users need root. */
#include "rpc/server.h"

#include "tests/unit/rpc.h"

enum { GATEWAY = 4001, OTHER };

static struct rig rig;
static struct raw one;
static char text[512];

static void status_for(struct raw *c, uint64_t id, const char *key, const char *client)
{
	struct rpc_request r = {.id = id, .kind = RPC_STATUS, .asker = {key, client}};

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

CHECK_MAIN()
