#include "rpc/cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

enum { KINDS = 3, PATIENCE = 3 };
static const int kinds[KINDS] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction before[KINDS];
static volatile sig_atomic_t count;
static int depth;

/* The end of a terminal may be signalled by the kernel and by the shell: that is no second wish. */
static void on_signal(int number)
{
	if (number == SIGHUP && count)
		return;
	if (++count > PATIENCE) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

/* A shell that starts a command with & ignores SIGINT for it, and what stops such a command sends SIGINT all the same;
 * SIGHUP is ignored where the command is meant to outlive its terminal. */
void interrupt_catch(void)
{
	struct sigaction take = {.sa_handler = on_signal};

	if (depth++)
		return;
	count = 0;
	for (int i = 0; i < KINDS; i++) {
		sigaction(kinds[i], NULL, &before[i]);
		if (kinds[i] != SIGHUP || before[i].sa_handler != SIG_IGN)
			sigaction(kinds[i], &take, NULL);
	}
}

void interrupt_release(void)
{
	if (--depth)
		return;
	for (int i = 0; i < KINDS; i++)
		sigaction(kinds[i], &before[i], NULL);
	count = 0;
}

int interrupt_count(void)
{
	return count;
}
