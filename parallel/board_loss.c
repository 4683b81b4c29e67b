/* board_loss.c - a link that loses many packets lets a heartbeat through now and then, so that a wait for the next one
 * ends late or never, while each sum waits for TCP to send it again. And one that loses all large packets lets every
 * heartbeat through. */
#include <stdio.h>

#include "base/base.h"
#include "parallel/board.h"
#include "parallel/board_page.h"

enum { LEAST = 6 /* packets */, SHARE = 6 /* one in so many */, TICK_MS = 250 };
#define STUCK_NS (6 * NS_PER_S) /* a cut link is found before, by its heartbeats */

static void count(struct board_loss *l, const struct trunk_packets *now)
{
	l->tick[l->at++ % LOSS_TICKS] = (struct loss_tick){
		(int)(now->sent - l->last.sent), (int)(now->lost - l->last.lost), now->arrived != l->last.arrived};
	l->last = *now;
}

/* All ticks; *moved: in how many of them something arrived. */
static struct loss_tick sum(struct board_loss *l, int *moved)
{
	struct loss_tick all = {0};

	*moved = 0;
	for (int i = 0; i < LOSS_TICKS; i++) {
		all.sent += l->tick[i].sent;
		all.lost += l->tick[i].lost;
		*moved += l->tick[i].moved;
	}
	atomic_store(&l->sent, (uint32_t)all.sent);
	atomic_store(&l->lost, (uint32_t)max_int(0, all.lost));
	return all;
}

/* A link that was cut for a moment has lost all packets of that moment, and goes on. */
static bool is_lossy(const struct loss_tick *all, int moved)
{
	return all->lost >= LEAST && all->lost * SHARE >= all->sent && moved >= LOSS_TICKS / 2;
}

void board_loss_text(const struct board *b, int node, char *out, size_t size)
{
	const struct board_loss *l = &b->node[node].loss;
	uint32_t lost = atomic_load(&l->lost);

	*out = 0;
	if (lost)
		snprintf(out, size, "%u of %u packets from node %.40s to it were lost within %d s", lost,
			 atomic_load(&l->sent), b->nodes->node[b->nodes->mine].name, LOSS_TICKS * TICK_MS / 1000);
}

static void look_at_beats(struct board *b, int node)
{
	struct board_loss *l = &b->node[node].loss;
	struct trunk_packets now = trunk_beat_packets(b->trunk, node);
	struct loss_tick all;
	char lost[130], text[160];
	int moved;

	count(l, &now);
	all = sum(l, &moved);
	if (!is_lossy(&all, moved))
		return;
	board_loss_text(b, node, lost, sizeof lost);
	snprintf(text, sizeof text, "%s: mend the network", lost);
	blame_rank(b, BLAME_LOST, b->nodes->node[node].leader, text);
}

static void look_at_data(struct board *b, int node, uint64_t since)
{
	struct still *data = &b->node[node].data;
	struct trunk_packets now = trunk_data_packets(b->trunk, node);
	char text[160];

	if (!now.waiting)
		*data = (struct still){.value = now.arrived};
	else if (still_look(data, now.arrived, since) > STUCK_NS) {
		snprintf(
			text, sizeof text,
			"heartbeats from node %.40s arrive there, but no data for 6 s: do all machines and switches have the same MTU?",
			b->nodes->node[b->nodes->mine].name);
		blame_rank(b, BLAME_LOST, b->nodes->node[node].leader, text);
	}
}

void board_look_for_loss(struct board *b, uint64_t since)
{
	for (int i = 0; b->trunk && i < b->nodes->n; i++) {
		if (i == b->nodes->mine || b->node[i].ended)
			continue;
		look_at_beats(b, i);
		look_at_data(b, i, since);
	}
}
