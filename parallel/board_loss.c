/* board_loss.c - a link that loses many packets lets a heartbeat through now and then, so that a wait for the next one
 * ends late or never, while each sum waits for TCP to send it again. And one that loses all large packets lets every
 * heartbeat through. */
#include <stdio.h>

#include "base/base.h"
#include "parallel/board.h"
#include "parallel/board_page.h"

#define STUCK_NS (7 * NS_PER_S + NS_PER_S / 2) /* a cut link is found before, by its heartbeats */

void board_loss_text(const struct board *b, int node, char *out, size_t size)
{
	const struct other_node *o = &b->node[node];
	uint32_t lost = atomic_load(&o->lost);

	*out = 0;
	if (lost)
		snprintf(out, size, "%u of %u packets from node %.40s to it were lost within %d s", lost,
			 atomic_load(&o->sent), b->nodes->node[b->nodes->mine].name, LOSS_TICKS * LOSS_TICK_MS / 1000);
}

/* Heartbeats are few: with more of them some seconds say how many packets are lost. */
static void doubt(struct board *b, int node)
{
	b->node[node].doubt = b->last_tick + (uint64_t)LOSS_TICKS * LOSS_TICK_MS * NS_PER_MS;
}

static void look_at_beats(struct board *b, int node)
{
	struct other_node *o = &b->node[node];
	struct trunk_packets now = trunk_beat_packets(b->trunk, node);
	struct loss_sum all = loss_look(&o->loss, &now);
	char lost[130], text[160];

	atomic_store(&o->sent, (uint32_t)all.sent);
	atomic_store(&o->lost, (uint32_t)all.lost);
	if (all.lost)
		doubt(b, node);
	if (!all.harmful)
		return;
	board_loss_text(b, node, lost, sizeof lost);
	snprintf(text, sizeof text, "%s: mend the network", lost);
	blame_rank(b, BLAME_LOST, b->nodes->node[node].leader, text);
}

static void look_at_data(struct board *b, int node, uint64_t since)
{
	struct other_node *o = &b->node[node];
	struct trunk_packets now = trunk_data_packets(b->trunk, node);
	char text[160];

	if (now.lost != o->data_lost)
		doubt(b, node);
	o->data_lost = now.lost;
	if (!now.waiting)
		o->data = (struct still){.value = now.arrived};
	else if (still_look(&o->data, now.arrived, since) > STUCK_NS) {
		snprintf(
			text, sizeof text,
			"heartbeats from node %.40s arrive there, but no data for 7 s: do all machines and switches have the same MTU?",
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
