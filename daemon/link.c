#include "daemon/link.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/wait.h"

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

enum { COMMANDS = 4096 };

static uint32_t reports_of(int max_seqs)
{
	return power_of_two((uint32_t)(4 * max_seqs + 64));
}

uint64_t link_bytes(int max_seqs)
{
	return COMMANDS * sizeof(struct link_command) + (uint64_t)reports_of(max_seqs) * sizeof(struct link_report);
}

void link_init(struct link *l, int max_seqs)
{
	memset(l, 0, sizeof *l);
	mailbox_init(&l->commands, sizeof(struct link_command), COMMANDS);
	mailbox_init(&l->reports, sizeof(struct link_report), reports_of(max_seqs));
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		die("eventfd failed");
	atomic_store(&l->step, -1);
}

void link_finish(struct link *l)
{
	mailbox_finish(&l->commands);
	mailbox_finish(&l->reports);
	close(l->wake_fd);
}

bool link_post(struct link *l, const struct link_command *c)
{
	if (!mailbox_put(&l->commands, c))
		return false;
	atomic_fetch_add(&l->bell, 1);
	wait_wake(&l->bell, 0);
	return true;
}

void link_ring_front(struct link *l)
{
	uint64_t one = 1;

	if (write(l->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full, so the front is awake */
}
