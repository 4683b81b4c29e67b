/* What goes beside the mailbox instead of through it: the race that the sanitizer must find. */
#include <pthread.h>
#include <sched.h>

#include "daemon/mailbox.h"

static uint64_t beside, sum;

static void *put(void *arg)
{
	for (uint64_t i = 0; i < 1000; i++) {
		beside = i;
		while (!mailbox_put(arg, &i))
			sched_yield();
	}
	return NULL;
}

int main(void)
{
	struct mailbox m;
	pthread_t t;
	uint64_t item;

	mailbox_init(&m, sizeof item, 4);
	pthread_create(&t, NULL, put, &m);
	for (int i = 0; i < 1000; i++) {
		while (!mailbox_take(&m, &item))
			sched_yield();
		sum += beside;
	}
	pthread_join(t, NULL);
	mailbox_finish(&m);
	return sum == 1;
}
