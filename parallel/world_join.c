/* world_join.c - the nodes of a job find each other: MPI carries who listens where, and the secrets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/program.h"
#include "parallel/agree.h"
#include "parallel/board.h"
#include "parallel/trunk.h"
#include "parallel/world.h"

enum { JOIN_MS = 9000 };

struct places {
	struct trunk_place at[TRUNK_PLACES];
};
struct has { /* what a node has, as a part of a sentence */
	char text[160];
};

static bool leads(const struct world *w)
{
	return w->local_rank == 0;
}

/* Rank 0: of what each rank brought (size, bytes), what the leaders did (n, bytes). */
static void keep_leaders(const struct world *w, const void *of_rank, size_t bytes, void *of_node)
{
	for (int i = 0; i < w->nodes.n; i++)
		memcpy((char *)of_node + (size_t)i * bytes,
		       (const char *)of_rank + (size_t)w->nodes.node[i].leader * bytes, bytes);
}

/* Collective: each leader's bytes to all (n, bytes). */
static void share_leaders(const struct world *w, const void *mine, size_t bytes, void *of_node)
{
	void *all = xalloc((size_t)w->size, bytes);

	world_gather(w, mine, bytes, all);
	if (w->rank == 0)
		keep_leaders(w, all, bytes, of_node);
	world_bcast(w, of_node, (size_t)w->nodes.n * bytes);
	free(all);
}

static void describe(struct has *out, const char *interface, const struct places *p)
{
	size_t at = 0;

	if (!*p->at[0].address) {
		at = (size_t)snprintf(out->text, sizeof out->text, "%s", interface ? "none of it, but " : "");
		trunk_interfaces(out->text + at, sizeof out->text - at);
	}
	for (int k = 0; k < TRUNK_PLACES && *p->at[k].address && at < sizeof out->text; k++)
		at += (size_t)snprintf(out->text + at, sizeof out->text - at, "%s%s=%s", k ? " " : "",
				       p->at[k].interface, p->at[k].address);
}

/* Collective. */
static int no_network(const struct world *w, const struct places *mine, const char *interface, struct why *why)
{
	struct has own = {""}, *all = xalloc((size_t)w->nodes.n, sizeof *all);
	char text[360] = "";
	size_t at = 0;

	if (leads(w))
		describe(&own, interface, mine);
	share_leaders(w, &own, sizeof own, all);
	for (int i = 0; i < w->nodes.n && at < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s has %s", i ? ", " : "", w->nodes.node[i].name,
				       all[i].text);
	free(all);
	if (interface)
		return fail(
			why, ERR_UNKNOWN,
			"--node-interface %s: %s: name an interface, or a network as 10.0.0.0/8, in which each node has an "
			"address of its own (ip -br addr)",
			interface, text);
	return fail(why, ERR_UNKNOWN, "the nodes have no network in common (%s): --node-interface names the one to use",
		    text);
}

/* The same on all ranks: which address each node's links use. */
static int choose(const struct world *w, const char *interface, struct trunk_place *place, struct why *why)
{
	struct places mine = {0}, *all = xalloc((size_t)w->nodes.n, sizeof *all);
	int chosen[TRUNK_NODES], err = 0;

	if (leads(w))
		trunk_addresses(interface, mine.at);
	share_leaders(w, &mine, sizeof mine, all);
	if (!trunk_choose(all[0].at, w->nodes.n, interface, chosen))
		err = no_network(w, &mine, interface, why);
	for (int i = 0; i < w->nodes.n && !err; i++)
		place[i] = all[i].at[chosen[i]];
	free(all);
	return err;
}

/* Leaders. Not ERR_IO: the launcher starts the job again, since the network may come back. */
static int join(struct world *w, int listener, const struct trunk_place *place, const struct trunk_secret *secret,
		struct why *why)
{
	int mine = w->nodes.mine, lost = trunk_join(&w->trunk, listener, place, w->nodes.n, mine, secret, JOIN_MS);

	if (lost < 0)
		return 0;
	return fail(
		why, ERR_LOST_RANK,
		"no link between node %s (%s on %s) and node %s (%s) within %d s: let TCP pass between them, or name another "
		"network by --node-interface",
		w->nodes.node[mine].name, place[mine].address, place[mine].interface, w->nodes.node[lost].name,
		place[lost].address, JOIN_MS / 1000);
}

static int link_up(struct world *w, struct trunk_place *place, struct why *why)
{
	struct trunk_secret secret;
	struct trunk_place mine = place[w->nodes.mine];
	int listener = leads(w) ? trunk_listen(&mine, why) : 0, err;

	err = world_agree(w, listener < 0 ? listener : 0, why);
	if (err)
		return err;
	share_leaders(w, &mine, sizeof mine, place);
	if (w->rank == 0)
		trunk_secret_make(&secret);
	world_bcast(w, &secret, sizeof secret);
	if (leads(w))
		err = join(w, listener, place, &secret, why);
	explicit_bzero(&secret, sizeof secret);
	return world_agree(w, err, why);
}

static void lose_node(void *arg, int node, const char *why)
{
	board_lose(arg, node, why);
}

static void tell_board(struct world *w)
{
	int32_t mine = getpid(), *pid = xalloc((size_t)w->size, sizeof *pid);

	world_gather(w, &mine, sizeof mine, pid);
	world_bcast(w, pid, (size_t)w->size * sizeof *pid);
	board_nodes(w->board, &w->nodes, w->trunk);
	if (leads(w))
		board_expect(w->board, pid);
	free(pid);
}

static void log_nodes(const struct world *w, const struct trunk_place *place)
{
	char ranks[160];

	for (int i = 0; w->rank == 0 && i < w->nodes.n; i++) {
		nodes_ranks_text(&w->nodes, w->size, i, ranks, sizeof ranks);
		log_event(LOG_INFO, "node", " number=%d name=%s ranks=\"%s\" interface=%s address=%s mbit=%u", i,
			  w->nodes.node[i].name, ranks, place[i].interface, place[i].address, place[i].mbit);
	}
}

int world_join(struct world *w, const char *interface, struct why *why)
{
	struct trunk_place place[TRUNK_NODES] = {0};
	char build[AGREE_VALUE];
	int err;

	if (w->nodes.n < 2) /* the option is without effect, which is no reason to let a wrong one pass */
		return world_agree(w, trunk_has_interface(interface, why), why);
	program_build(build, sizeof build);
	err = world_same(w, "the build of xversed", build, "install the same one on all nodes", why);
	if (err)
		return err;
	if (w->nodes.n > TRUNK_NODES)
		return fail(why, ERR_INVALID, "%d nodes are too many: a job has %d ranks at most", w->nodes.n,
			    TRUNK_NODES);
	err = choose(w, interface, place, why);
	if (!err)
		err = link_up(w, place, why);
	if (err)
		return err;
	snprintf(w->address, sizeof w->address, "%s", place[w->nodes.mine].address);
	tell_board(w);
	if (w->trunk)
		trunk_start(w->trunk, lose_node, w->board);
	log_nodes(w, place);
	return 0;
}
