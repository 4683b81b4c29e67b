#include "base/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

enum { IDLE_NS = 100000000 };

static _Atomic int64_t spin_ns; /* the same for all waits of the process */

void wait_policy(int64_t ns)
{
	atomic_store(&spin_ns, ns < 0 ? 0 : ns);
}

int64_t wait_spin_ns(void)
{
	return atomic_load_explicit(&spin_ns, memory_order_relaxed);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, int shared, const struct timespec *t)
{
	return syscall(SYS_futex, word, shared ? op : op | FUTEX_PRIVATE_FLAG, value, t, NULL, 0);
}

/* Returns *word, which still is `old` if the spinning time ran out. */
static uint32_t spin(_Atomic uint32_t *word, uint32_t old)
{
	int64_t limit = wait_spin_ns();
	uint32_t now = atomic_load_explicit(word, memory_order_acquire);
	uint64_t end;

	if (now != old || !limit)
		return now;
	end = now_ns() + (uint64_t)limit;
	do {
		for (int i = 0; i < 16 && now == old; i++) {
			relax();
			now = atomic_load_explicit(word, memory_order_acquire);
		}
	} while (now == old && now_ns() < end);
	return now;
}

/* The kernel compares *word with `old` before it sleeps, so a wake before the sleep is not lost. */
uint32_t wait_change(_Atomic uint32_t *word, uint32_t old, int shared, void (*idle)(void *), void *arg)
{
	const struct timespec nap = {.tv_nsec = IDLE_NS};
	uint32_t now = spin(word, old);
	uint64_t looked;

	if (now != old)
		return now;
	looked = now_ns();
	for (;;) {
		long rc = futex(word, FUTEX_WAIT, old, shared, &nap);

		REQUIRE(rc == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
		now = atomic_load_explicit(word, memory_order_acquire);
		if (now != old)
			return now;
		if (now_ns() - looked >= IDLE_NS) {
			if (idle)
				idle(arg);
			looked = now_ns();
		}
	}
}

void wait_reach(_Atomic uint32_t *word, uint32_t at_least, int shared, void (*idle)(void *), void *arg)
{
	uint32_t now = atomic_load_explicit(word, memory_order_acquire);

	while ((int32_t)(now - at_least) < 0)
		now = wait_change(word, now, shared, idle, arg);
}

/* Always a system call, since *word does not show whether a thread sleeps. */
void wait_wake(_Atomic uint32_t *word, int shared)
{
	futex(word, FUTEX_WAKE, INT32_MAX, shared, NULL);
}
