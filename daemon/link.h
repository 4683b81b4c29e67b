/* link.h - what the front thread and the engine thread of rank 0 share: two mailboxes, two bells and published numbers.
 * Neither blocks on the other: on a full ring the engine delays its next step, and the front replies BUSY. */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include "daemon/mailbox.h"
#include "engine/models/model.h"
#include "engine/sched/sched.h"

enum link_command_kind { COMMAND_ADD, COMMAND_CANCEL, COMMAND_LORA_READ, COMMAND_LORA_SWITCH, COMMAND_STOP };
struct link_command { /* front -> engine */
	enum link_command_kind kind;
	uint64_t call;      /* COMMAND_LORA_*: the ballot's question */
	struct call *add;   /* COMMAND_ADD: the front keeps it until the call's last event */
	enum finish reason; /* COMMAND_CANCEL */
};

enum { LINK_TOKENS = 8 };
struct link_report { /* engine -> front */
	struct event event;
	int refused; /* ERR_* with `text`, or 0 */
	char text[256];
	int n_details;
	struct sampled detail[LINK_TOKENS];
};

enum link_state { LINK_STARTING, LINK_LOADING, LINK_READY, LINK_STOPPED };

struct link {
	struct mailbox commands, reports;
	_Atomic uint32_t bell; /* changed to wake the engine (base/wait.h) */
	int wake_fd;           /* eventfd, written once a step to wake the front */
	_Atomic int state;     /* enum link_state, set by the engine thread */
	struct load_progress progress;
	/* published by the engine after each step, for Status, Metrics and the queue */
	_Atomic int64_t step;
	_Atomic int running, waiting, preempted /* a part of waiting */, kv_held;
	_Atomic int64_t waiting_tokens;
	_Atomic uint64_t steps_ahead, preemptions, prompt_tokens, output_tokens, cached_tokens, prefix_queries,
		adds_taken;
};

void link_init(struct link *l, int max_seqs);
void link_finish(struct link *l);
uint64_t link_bytes(int max_seqs); /* that link_init() allocates */
/* Front: posts a command and wakes the engine. False: the ring is full. */
bool link_post(struct link *l, const struct link_command *c);
/* Engine: wakes the front. */
void link_ring_front(struct link *l);

#endif
