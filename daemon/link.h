/* link.h - what the front thread and the engine thread of rank 0 share: two mailboxes, two bells, a few
 * published numbers. Neither ever waits for the other: a full ring makes the engine pause before its next
 * step, and the front say "busy". */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include "daemon/mailbox.h"
#include "engine/models/model.h"
#include "engine/sched/sched.h"

enum command_kind { COMMAND_ADD, COMMAND_CANCEL, COMMAND_STOP };
struct command { /* front -> engine */
	enum command_kind kind;
	uint64_t call;
	struct call *add;   /* COMMAND_ADD: owned by the front until the call's last event */
	enum finish reason; /* COMMAND_CANCEL */
};

enum { LINK_TOKENS = 8 };
struct report { /* engine -> front */
	struct event event;
	int refused; /* ERR_*, then `text` */
	char text[256];
	int n_details;
	struct sampled detail[LINK_TOKENS];
};

enum link_state { LINK_STARTING, LINK_LOADING, LINK_READY, LINK_STOPPED };

struct link {
	struct mailbox commands, reports;
	_Atomic uint32_t bell; /* rung for the engine */
	int wake_fd;           /* eventfd, rung for the front once a step */
	_Atomic int state;     /* enum link_state; the engine thread writes it */
	struct load_progress progress;
	/* published by the engine after each step */
	_Atomic int64_t step;
	_Atomic int running, waiting, preempted /* of those waiting */, kv_held;
	_Atomic int64_t waiting_tokens;
	_Atomic uint64_t steps_ahead, preemptions, prompt_tokens, output_tokens, cached_tokens, prefix_queries,
		adds_taken;
};

void link_init(struct link *l, int max_seqs);
void link_finish(struct link *l);
uint64_t link_bytes(int max_seqs); /* that link_init() takes */
/* Front: put a command and ring; false: the ring is full. */
bool link_command(struct link *l, const struct command *c);
/* Engine: wake the front. */
void link_ring_front(struct link *l);

#endif
