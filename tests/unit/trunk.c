/* Links between nodes, here threads over loopback: they come up whoever else calls, carry frames and heartbeats, and
 * fall at a frame that cannot be. And how nodes are numbered. */
#include "parallel/trunk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parallel/nodes.h"
#include "parallel/shard.h"
#include "parallel/trunk_inside.h"
#include "tests/check.h"

enum { NODES = 3, ROOM = 1 << 20 };

static struct trunk_place place[NODES];
static struct trunk_secret secret;
static int listener[NODES], join_ms = 60000;

struct node_run {
	int mine, lacks; /* what trunk_join() returned */
	struct trunk *t;
	const struct trunk_secret *secret;
	char memory[NODES][ROOM];
	_Atomic uint32_t came[NODES], lost[NODES];
};
static struct node_run runs[NODES];

static void *join_node(void *arg)
{
	struct node_run *r = arg;

	r->lacks = trunk_join(&r->t, listener[r->mine], place, NODES, r->mine, r->secret, join_ms);
	return NULL;
}

static void listen_all(void)
{
	struct why why;

	trunk_secret_make(&secret);
	for (int i = 0; i < NODES; i++) {
		place[i] = (struct trunk_place){.interface = "lo", .address = "127.0.0.1", .prefix = 8};
		listener[i] = trunk_listen(&place[i], &why);
		CHECK(listener[i] >= 0);
		CHECK(place[i].port);
	}
}

static void join_all(const struct trunk_secret *of_last)
{
	pthread_t thread[NODES];

	memset(runs, 0, sizeof runs);
	for (int i = 0; i < NODES; i++) {
		runs[i].mine = i;
		runs[i].secret = i == NODES - 1 ? of_last : &secret;
		CHECK(!pthread_create(&thread[i], NULL, join_node, &runs[i]));
	}
	for (int i = 0; i < NODES; i++)
		pthread_join(thread[i], NULL);
}

static void *place_frame(void *arg, int node, const struct trunk_frame *f)
{
	struct node_run *r = arg;

	return trunk_fits(f, ROOM) ? r->memory[node] + f->at : NULL;
}

static void frame_arrived(void *arg, int node, const struct trunk_frame *f)
{
	struct node_run *r = arg;

	(void)f;
	atomic_fetch_add(&r->came[node], 1);
}

static void link_lost(void *arg, int node, const char *why)
{
	struct node_run *r = arg;

	(void)why;
	atomic_fetch_add(&r->lost[node], 1);
}

static void start_all(void)
{
	for (int i = 0; i < NODES; i++) {
		struct trunk_sink s = {place_frame, frame_arrived, &runs[i]};

		CHECK_EQ(runs[i].lacks, -1);
		trunk_sink(runs[i].t, TRUNK_PARTS, &s);
		trunk_start(runs[i].t, link_lost, &runs[i]);
	}
}

static void close_all(void)
{
	for (int i = 0; i < NODES; i++)
		trunk_ending(runs[i].t);
	for (int i = 0; i < NODES; i++)
		trunk_close(runs[i].t);
}

static bool becomes(_Atomic uint32_t *word, uint32_t value)
{
	for (int i = 0; i < 60000 && atomic_load(word) < value; i++)
		usleep(1000);
	return atomic_load(word) == value;
}

TEST(frames_reach_all_others)
{
	static char payload[ROOM];

	listen_all();
	join_all(&secret);
	start_all();
	for (int i = 0; i < ROOM; i++)
		payload[i] = (char)(i * 7 + i / 251);
	for (int i = 0; i < NODES; i++) {
		struct trunk_frame big = {.kind = TRUNK_PARTS, .bytes = ROOM}, small = {.kind = TRUNK_PARTS, .at = 5};

		trunk_send_all(runs[i].t, &big, payload);
		trunk_send_all(runs[i].t, &small, NULL);
	}
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < NODES; k++) {
			CHECK(becomes(&runs[i].came[k], i == k ? 0 : 2));
			CHECK(i == k || !memcmp(runs[i].memory[k], payload, ROOM));
			CHECK(i == k || trunk_bytes(runs[i].t, k, false) == ROOM + 2 * sizeof(struct trunk_frame));
		}
	close_all();
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < NODES; k++)
			CHECK_EQ(runs[i].lost[k], 0);
}

static int stranger(const struct trunk_place *p, const void *says, size_t bytes)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(p->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(!connect(s, (struct sockaddr *)&a, sizeof a));
	if (bytes)
		CHECK_EQ(send(s, says, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
	return s;
}

/* They are there before anyone who belongs to the job, say nothing, half a hello, or a wrong one. */
TEST(strangers_change_nothing)
{
	enum { STRANGERS = 90 };
	char noise[64];
	int s[NODES][STRANGERS];

	listen_all();
	memset(noise, 'x', sizeof noise);
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < STRANGERS; k++)
			s[i][k] = stranger(&place[i], noise, (size_t)(k % 3 ? k % 3 * 20 : 0));
	join_all(&secret);
	start_all();
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < STRANGERS; k++)
			close(s[i][k]);
	close_all();
}

TEST(a_wrong_secret_does_not_join)
{
	struct trunk_secret other;

	listen_all();
	trunk_secret_make(&other);
	join_ms = 2000; /* until the others give up */
	join_all(&other);
	join_ms = 60000;
	for (int i = 0; i < NODES; i++) {
		CHECK_EQ(runs[i].lacks, i == NODES - 1 ? 0 : NODES - 1);
		trunk_ending(runs[i].t);
		trunk_close(runs[i].t);
	}
}

/* No port is left to call once all have joined. */
TEST(the_listener_is_closed)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	listen_all();
	join_all(&secret);
	start_all();
	a.sin_port = htons(place[0].port);
	CHECK(connect(s, (struct sockaddr *)&a, sizeof a) && errno == ECONNREFUSED);
	close(s);
	close_all();
}

TEST(a_wrong_frame_ends_the_link)
{
	static const char junk[64] = "no frame";
	struct trunk_frame outside = {.kind = TRUNK_PARTS, .at = ROOM - 1, .bytes = 2};

	listen_all();
	join_all(&secret);
	start_all();
	CHECK_EQ(send(runs[1].t->link[0].data, junk, sizeof junk, MSG_NOSIGNAL), (ssize_t)sizeof junk);
	CHECK(becomes(&runs[0].lost[1], 1));
	trunk_send(runs[1].t, 2, &outside, junk);
	CHECK(becomes(&runs[2].lost[1], 1));
	CHECK_EQ(runs[2].came[1], 0);
	close_all();
}

TEST(heartbeats_are_whole)
{
	uint64_t beat[20], got[20];
	int n = 0;

	listen_all();
	join_all(&secret);
	for (uint64_t i = 0; i < 20; i++) {
		for (int k = 0; k < 20; k++)
			beat[k] = i;
		trunk_beat_send(runs[0].t, 1, beat, sizeof beat);
		for (int tries = 0; tries < 60000; tries++) {
			int took = trunk_beat_take(runs[1].t, 0, got, sizeof got);

			CHECK(took >= 0);
			if (took) {
				n++;
				CHECK(!memcmp(beat, got, sizeof got));
				break;
			}
			usleep(1000);
		}
	}
	CHECK_EQ(n, 20);
	trunk_ending(runs[0].t);
	trunk_close(runs[0].t);
	for (int tries = 0; tries < 60000 && trunk_beat_take(runs[1].t, 0, got, sizeof got) >= 0; tries++)
		usleep(1000);
	CHECK_EQ(trunk_beat_take(runs[1].t, 0, got, sizeof got), -1);
	for (int i = 1; i < NODES; i++) {
		trunk_ending(runs[i].t);
		trunk_close(runs[i].t);
	}
}

static void at(struct trunk_place *p, int node, int i, const char *interface, const char *address, int prefix)
{
	struct trunk_place *one = &p[node * TRUNK_PLACES + i];

	snprintf(one->interface, sizeof one->interface, "%s", interface);
	snprintf(one->address, sizeof one->address, "%s", address);
	one->prefix = (uint8_t)prefix;
}

TEST(nodes_choose_a_network_that_all_are_in)
{
	struct trunk_place p[2 * TRUNK_PLACES] = {0};
	int chosen[2];

	at(p, 0, 0, "docker0", "172.17.0.1", 16); /* the same on every node */
	at(p, 0, 1, "eth0", "192.168.1.4", 24);
	at(p, 0, 2, "ib0", "10.1.0.1", 16);
	at(p, 1, 0, "docker0", "172.17.0.1", 16);
	at(p, 1, 1, "ib0", "10.1.200.2", 16);
	CHECK(trunk_choose(p, 2, false, chosen));
	CHECK_EQ(chosen[0], 2);
	CHECK_EQ(chosen[1], 1);
	at(p, 1, 1, "ib0", "10.2.200.2", 16);
	CHECK(!trunk_choose(p, 2, false, chosen));
	CHECK(!trunk_choose(p, 2, true, chosen)); /* the same address on both, as of the loopback interface */
	at(p, 1, 0, "eth0", "192.168.7.4", 24);
	CHECK(trunk_choose(p, 2, true, chosen)); /* the user says so */
	CHECK_EQ(chosen[1], 0);
}

TEST(nodes_choose_the_fastest_network_of_several)
{
	struct trunk_place p[2 * TRUNK_PLACES] = {0};
	int chosen[2];

	for (int node = 0; node < 2; node++) {
		at(p, node, 0, "eth0", node ? "10.0.0.2" : "10.0.0.1", 24);
		at(p, node, 1, "eth1", node ? "10.1.0.2" : "10.1.0.1", 24);
		at(p, node, 2, "eth2", node ? "10.2.0.2" : "10.2.0.1", 24);
	}
	CHECK(trunk_choose(p, 2, false, chosen));
	CHECK_EQ(chosen[0], 0); /* nothing is known */
	p[0].mbit = p[TRUNK_PLACES].mbit = 1000;
	p[1].mbit = 400000;
	p[TRUNK_PLACES + 1].mbit = 100; /* as fast as its slower end */
	p[2].mbit = p[TRUNK_PLACES + 2].mbit = 10000;
	CHECK(trunk_choose(p, 2, false, chosen));
	CHECK_EQ(chosen[0], 2);
	CHECK_EQ(chosen[1], 2);
	CHECK(trunk_choose(p, 2, true, chosen));
	CHECK_EQ(chosen[0], 0);
}

TEST(addresses_of_an_interface_or_network)
{
	struct trunk_place p[TRUNK_PLACES];

	CHECK(trunk_addresses("lo", p) >= 1);
	CHECK(!strcmp(p[0].interface, "lo"));
	CHECK_EQ(trunk_addresses("127.0.0.0/8", p), 1);
	CHECK(!strcmp(p[0].address, "127.0.0.1"));
	CHECK_EQ(trunk_addresses("no-such-0", p), 0);
	CHECK_EQ(trunk_addresses("10.0.0/99x", p), 0);
	CHECK(!*p[0].address);
}

TEST(a_wrong_interface_is_named_with_those_that_there_are)
{
	struct why why = {""};

	CHECK_EQ(trunk_has_interface(NULL, &why), 0);
	CHECK_EQ(trunk_has_interface("lo", &why), 0);
	CHECK_EQ(trunk_has_interface("127.0.0.0/8", &why), 0);
	CHECK_EQ(trunk_has_interface("no-such-0", &why), ERR_UNKNOWN);
	CHECK_HAS(why.text, "--node-interface no-such-0: ");
	CHECK_HAS(why.text, " lo=127.0.0.1");
}

TEST(a_node_sends_whole_subtrees)
{
	static const int leader[] = {0, 0, 2, 2}, turns[] = {0, 1, 0, 1};
	static const char name[4][NODE_NAME] = {"a", "a", "b", "b"};
	struct part part[SHARD_MAX_LEAVES];
	struct nodes n;
	char text[64];

	nodes_make(&n, 3, 4, leader, name);
	CHECK_EQ(n.n, 2);
	CHECK_EQ(n.mine, 1);
	CHECK_EQ(nodes_parts(&n, 4, 1, 32, part), 1);
	CHECK(part[0].first == 16 && part[0].count == 16);
	nodes_ranks_text(&n, 4, 1, text, sizeof text);
	CHECK(!strcmp(text, "ranks 2 3"));
	nodes_finish(&n);
	nodes_make(&n, 0, 4, turns, name);
	CHECK_EQ(nodes_parts(&n, 4, 0, 32, part), 2);
	CHECK(part[1].first == 16 && part[1].count == 8);
	nodes_finish(&n);
	nodes_even(&n, 0, 5, 2);
	CHECK_EQ(n.node[0].ranks, 2);
	CHECK_EQ(n.node[1].leader, 2);
	nodes_finish(&n);
}

CHECK_MAIN()
