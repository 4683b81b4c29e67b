/* board_nodes.c - boards of several nodes send each other what is on them. All but board_lose() runs on the watch
 * threads of leaders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "parallel/board.h"
#include "parallel/board_page.h"
#include "parallel/trunk.h"

#define SILENT_NS (7 * NS_PER_S) /* TCP sends again 6.2 s after the first packet that a cut took, at the latest */
#define QUIET_NS NS_PER_S        /* of several heartbeats none came */
enum { REASON_MS = 1000, OFTEN_MS = 50 };

struct beat_line {
	uint64_t beat, where;
	int32_t pid;
	uint32_t state, watched, unused;
};

/* What a node sends: its own ranks, in order. */
struct beat {
	uint32_t claim, said, log_level, hangups;
	int32_t done;
	struct blame detail;
	struct beat_line line[TRUNK_NODES];
};

void board_nodes(struct board *b, const struct nodes *map, struct trunk *trunk)
{
	REQUIRE(!b->thread && b->size <= TRUNK_NODES);
	b->nodes = map;
	b->trunk = trunk;
	if (!trunk)
		return;
	b->node = xalloc((size_t)map->n, sizeof *b->node);
	for (int i = 0; i < map->n; i++)
		atomic_store(&b->node[i].heard, now_ns());
	b->fds = xgrow(b->fds, (size_t)board_fds(b), sizeof *b->fds);
	for (int i = 0; i < map->n; i++)
		b->fds[b->size + 1 + i] =
			(struct pollfd){.fd = i == map->mine ? -1 : trunk_beat_fd(trunk, i), .events = POLLIN};
}

uint64_t board_node_age(const struct board *b, int node)
{
	return now_ns() - atomic_load(&b->node[node].heard);
}

void board_expect(struct board *b, const int32_t *pid)
{
	for (int r = 0; r < b->size; r++) {
		struct board_line *line = &b->page->line[r];

		if (board_here(b, r))
			continue;
		atomic_store(&line->pid, pid[r]);
		atomic_store(&line->state, LINE_JOINED);
	}
}

static size_t beat_bytes(const struct board *b, int node)
{
	return offsetof(struct beat, line) + (size_t)b->nodes->node[node].ranks * sizeof(struct beat_line);
}

void board_tell(struct board *b)
{
	struct beat t = {.claim = 0};
	int n = 0;

	if (!b->trunk)
		return;
	b->told = now_ns();
	t.claim = board_blamed(b, &t.detail);
	t.said = atomic_load(&b->page->said);
	t.log_level = atomic_load(&b->page->log_level);
	t.hangups = atomic_load(&b->page->hangups);
	t.done = atomic_load(&b->page->done);
	for (int r = 0; r < b->size; r++) {
		struct board_line *line = &b->page->line[r];

		if (board_here(b, r))
			t.line[n++] = (struct beat_line){atomic_load(&line->beat),    atomic_load(&line->where),
							 atomic_load(&line->pid),     atomic_load(&line->state),
							 atomic_load(&line->watched), 0};
	}
	for (int i = 0; i < b->nodes->n; i++)
		if (i != b->nodes->mine && !b->node[i].ended)
			trunk_beat_send(b->trunk, i, &t, beat_bytes(b, b->nodes->mine));
}

void board_tell_often(struct board *b, uint64_t now)
{
	bool doubt = false;

	if (!b->trunk || now - b->told < OFTEN_MS * NS_PER_MS)
		return;
	for (int i = 0; i < b->nodes->n; i++)
		doubt |= b->node[i].doubt > now;
	if (doubt)
		board_tell(b);
}

static void take_lines(struct board *b, int node, const struct beat *t)
{
	int n = 0;

	for (int r = 0; r < b->size; r++) {
		struct board_line *line = &b->page->line[r];
		const struct beat_line *from = &t->line[n];

		if (b->nodes->of_rank[r] != node)
			continue;
		atomic_store(&line->beat, from->beat);
		atomic_store(&line->where, from->where);
		atomic_store(&line->pid, from->pid);
		atomic_store(&line->state, from->state <= LINE_LEFT ? from->state : LINE_JOINED);
		atomic_store(&line->watched, from->watched);
		n++;
	}
}

static void take_beat(struct board *b, int node, struct beat *t)
{
	struct blame *what = &t->detail;

	b->node[node].beats++;
	atomic_store(&b->node[node].heard, now_ns());
	take_lines(b, node, t);
	if (node == 0) {
		atomic_store(&b->page->done, t->done);
		atomic_store(&b->page->log_level, t->log_level);
		atomic_store(&b->page->hangups, t->hangups);
		atomic_store(&b->page->said, t->said);
	}
	what->text[sizeof what->text - 1] = what->node[sizeof what->node - 1] = 0;
	if (t->claim && what->kind > BLAME_NONE && what->kind <= BLAME_LOST && what->rank >= 0 && what->rank < b->size)
		board_blame(b, what);
}

static void blame_node(struct board *b, int node, const char *why)
{
	char ranks[100], lost[130], text[160];

	nodes_ranks_text(b->nodes, b->size, node, ranks, sizeof ranks);
	board_loss_text(b, node, lost, sizeof lost);
	snprintf(text, sizeof text, "%.36s (%.32s)%s%.84s", why, ranks, *lost ? "; " : "", lost);
	blame_rank(b, BLAME_LOST, b->nodes->node[node].leader, text);
}

/* A node whose link ends without a word has lost its leader. One that stopped responding before was stopped, and then
 * killed by another rank of its node. */
static void link_ended(struct board *b, int node)
{
	int leader = b->nodes->node[node].leader;
	struct other_node *o = &b->node[node];
	uint64_t still = still_look(&o->beat, o->beats, 0);
	char text[160] = "the link to its node has ended";

	if (still > QUIET_NS)
		snprintf(text, sizeof text, "it stopped responding %d s before the link to its node ended",
			 (int)(still / NS_PER_S));
	o->ended = true;
	b->fds[b->size + 1 + node].fd = -1;
	if (atomic_load(&b->page->line[leader].state) == LINE_JOINED)
		blame_rank(b, BLAME_DIED, leader, text);
}

void board_hear(struct board *b)
{
	struct beat t;

	for (int i = 0; b->trunk && i < b->nodes->n; i++) {
		int got = 1;

		while (i != b->nodes->mine && !b->node[i].ended && got > 0) {
			got = trunk_beat_take(b->trunk, i, &t, beat_bytes(b, i));
			if (got > 0)
				take_beat(b, i, &t);
			else if (got < 0)
				link_ended(b, i);
		}
	}
}

void board_look_for_nodes(struct board *b, uint64_t since)
{
	for (int i = 0; b->trunk && i < b->nodes->n; i++) {
		struct other_node *o = &b->node[i];
		bool watched = o->beats && !o->ended &&
			       atomic_load(&b->page->line[b->nodes->node[i].leader].state) == LINE_JOINED;

		if (i != b->nodes->mine && still_look(&o->beat, o->beats, since) > SILENT_NS && watched)
			blame_node(b, i, "nothing was heard for 7 s");
	}
}

void board_lose(struct board *b, int node, const char *why)
{
	if (atomic_load(&b->watcher) && wait_set(&b->page->claim, REASON_MS))
		return;
	blame_node(b, node, why);
}
