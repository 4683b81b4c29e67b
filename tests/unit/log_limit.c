/* Lines that a client can cause: a few, then their number. */
#include "base/log_limit.h"

#include <string.h>
#include <time.h>

#include "base/base.h"
#include "tests/check.h"

static char last[300];
static int n_lines;

static void sink(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	snprintf(last, sizeof last, "%s", line);
	n_lines++;
}

TEST(a_flood_of_lines_becomes_a_few_and_a_number)
{
	static struct log_limit a = {.event = "HTTP came"}, b = {.event = "refused"};
	struct timespec second = {1, 100000000};
	int passed = 0;

	log_sink(sink, NULL);
	for (int i = 0; i < 100000; i++)
		passed += log_limit(&a);
	CHECK(passed >= 10 && passed <= 12);
	CHECK(log_limit(&b)); /* another kind has its own */
	log_limit_flush();
	CHECK_EQ(n_lines, 0); /* its bucket is empty as yet */
	nanosleep(&second, NULL);
	log_limit_flush();
	CHECK_EQ(n_lines, 1);
	CHECK_HAS(last, "HTTP came");
	CHECK_HAS(last, passed == 10 ? "more_like_this=99990" : "more_like_this=9998");
	log_limit_flush();
	CHECK_EQ(n_lines, 1);
	nanosleep(&second, NULL);
	CHECK(log_limit(&a));
	log_sink(NULL, NULL);
}

CHECK_MAIN()
