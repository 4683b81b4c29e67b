/* One putter, one taker, a small ring: every item arrives once, in order (run under TSan too). */
#include "daemon/mailbox.h"

#include <pthread.h>
#include <sched.h>

#include "tests/check.h"

enum { COUNT = 300000 };
struct item {
	uint64_t no, twice;
};

static void *putter(void *arg)
{
	struct mailbox *m = arg;

	for (uint64_t i = 0; i < COUNT; i++) {
		struct item it = {i, 2 * i};
		while (!mailbox_put(m, &it))
			sched_yield();
	}
	return NULL;
}

TEST(order_and_completeness)
{
	struct mailbox m;
	struct item it;
	pthread_t t;

	mailbox_init(&m, sizeof it, 64);
	pthread_create(&t, NULL, putter, &m);
	for (uint64_t i = 0; i < COUNT; i++) {
		while (!mailbox_take(&m, &it))
			sched_yield();
		CHECK_EQ(it.no, i);
		CHECK_EQ(it.twice, 2 * i);
	}
	pthread_join(t, NULL);
	CHECK(!mailbox_take(&m, &it));
	mailbox_finish(&m);
}

TEST(full_and_empty)
{
	struct mailbox m;
	int v = 0;

	mailbox_init(&m, sizeof v, 4);
	CHECK(!mailbox_take(&m, &v));
	for (int i = 0; i < 4; i++)
		CHECK(mailbox_put(&m, &i));
	CHECK_EQ(mailbox_room(&m), 0);
	CHECK(!mailbox_put(&m, &v));
	CHECK(mailbox_take(&m, &v));
	CHECK_EQ(v, 0);
	CHECK_EQ(mailbox_room(&m), 1);
	mailbox_finish(&m);
}

CHECK_MAIN()
