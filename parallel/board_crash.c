/* board_crash.c - a crash of this process blames its rank. Calls only what a signal handler may call. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapped.h"
#include "parallel/board.h"
#include "parallel/board_page.h"

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT};
enum { CRASHES = sizeof crashes / sizeof *crashes, STACK = 64 << 10 };

static struct board *_Atomic board; /* NULL: no handler is set */
static struct sigaction before[CRASHES];
static _Atomic int32_t crashing; /* the first thread that crashed */

static void blame_crash(struct board *b, int signal, const void *address)
{
	struct blame what = {.kind = BLAME_DIED, .rank = b->rank, .pid = getpid(), .signal = signal};
	const char *file = signal == SIGBUS ? mapped_what(address) : NULL;

	if (file)
		strncpy(what.text, file, sizeof what.text - 1);
	blame_place(b, &what, atomic_load(&b->page->line[b->rank].where));
	board_blame(b, &what);
	if (atomic_load(&b->page->line[0].watched) && atomic_load(&b->watcher) != gettid())
		wait_set(&b->page->said, LAST_WORDS_MS);
}

/* Restores the previous handler and lets the signal happen again: a fault recurs when this handler returns, a signal
 * that was sent is raised. */
static void on_crash(int signal, siginfo_t *info, void *context)
{
	struct board *b = atomic_load(&board);
	int32_t none = 0;

	(void)context;
	if (!atomic_compare_exchange_strong(&crashing, &none, gettid()) && none != gettid())
		for (;;)
			pause(); /* another thread ends the process */
	if (b && !none)
		blame_crash(b, signal, info->si_addr);
	for (int i = 0; i < CRASHES; i++)
		if (crashes[i] == signal)
			sigaction(signal, &before[i], NULL);
	if (info->si_code <= 0)
		raise(signal);
}

/* The handler needs a stack of its own, since an overflow of the main thread's may be the crash. */
static void make_stack(void)
{
	static char memory[STACK];

	sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = sizeof memory}, NULL);
}

void board_crashes(struct board *b)
{
	struct sigaction a = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	bool set = atomic_exchange(&board, b) != NULL;

	if (!b == !set)
		return;
	if (b)
		make_stack();
	sigfillset(&a.sa_mask);
	for (int i = 0; i < CRASHES; i++) {
		if (b)
			sigaction(crashes[i], &a, &before[i]);
		else
			sigaction(crashes[i], &before[i], NULL);
	}
}
