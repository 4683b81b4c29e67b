/* What one request may take of a thread, and the log that never waits. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/check.h"

TEST(bytes_of_an_effort)
{
	struct effort e = {.bytes = 1 << 20};
	struct why why = {""};
	char *a, *b;

	effort_begin(&e);
	a = heap_grow(NULL, 600 << 10, 1);
	CHECK(a && !effort_check(&why) && effort_goes_on());
	heap_free(a);
	a = heap_grow(NULL, 600 << 10, 1); /* what was given back may be taken again */
	CHECK(a);
	memset(a, 'x', 600 << 10);
	b = heap_grow(a, 2 << 20, 1);
	CHECK(!b && a[0] == 'x' && a[(600 << 10) - 1] == 'x');
	CHECK(!effort_goes_on());
	CHECK_EQ(effort_check(&why), ERR_LIMIT);
	CHECK_HAS(why.text, "1 MiB of working memory");
	CHECK(!heap_grow(NULL, 1, 1)); /* it stays spent */
	effort_end();
	heap_free(a);
	CHECK_EQ(effort_check(&why), 0);
	effort_begin(&e);
	CHECK(!effort_check(&why));
	effort_end();
}

TEST(no_memory_is_an_answer)
{
	struct effort e = {0};
	struct why why = {""};

	effort_begin(&e);
	CHECK(!heap_take(SIZE_MAX / 2, 1));
	CHECK_EQ(effort_check(&why), ERR_BUSY);
	effort_end();
	effort_begin(&e);
	CHECK(!heap_grow(NULL, SIZE_MAX / 2, 4)); /* the product overflows */
	CHECK_EQ(effort_check(&why), ERR_BUSY);
	effort_end();
}

TEST(efforts_nest)
{
	struct effort outer = {.bytes = 1 << 16}, inner = {.bytes = 1 << 20};
	struct why why;
	void *p;

	effort_begin(&outer);
	effort_begin(&inner);
	p = heap_grow(NULL, 1 << 18, 1);
	CHECK(p && !effort_check(&why));
	heap_free(p);
	effort_end();
	CHECK(!heap_grow(NULL, 1 << 18, 1));
	CHECK_EQ(effort_check(&why), ERR_LIMIT);
	effort_end();
}

TEST(cpu_time_ends_it)
{
	struct effort e = {.cpu_ns = 20 * 1000000};
	struct why why = {""};
	uint64_t turns = 0;

	effort_begin(&e);
	while (effort_goes_on())
		turns++;
	CHECK(turns > 1000);
	CHECK_EQ(effort_check(&why), ERR_LIMIT);
	CHECK_HAS(why.text, "CPU time");
	effort_end();
}

static void *stop_it(void *e)
{
	effort_stop(e);
	return NULL;
}

TEST(another_thread_stops_it)
{
	struct effort e = {0};
	struct why why;
	pthread_t other;

	effort_begin(&e);
	CHECK(!pthread_create(&other, NULL, stop_it, &e));
	while (effort_goes_on())
		;
	CHECK_EQ(effort_check(&why), ERR_CANCELLED);
	effort_end();
	pthread_join(other, NULL);
}

/* Standard error is a pipe of a page. */
TEST(log_lines_never_wait)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	char text[9000];
	ssize_t n;

	CHECK(!pipe(pipes) && fcntl(pipes[1], F_SETPIPE_SZ, 4096) == 4096);
	dup2(pipes[1], STDERR_FILENO);
	for (int i = 0; i < 200; i++)
		log_at(LOG_ERROR, "line %d", i);
	n = read(pipes[0], text, sizeof text - 1);
	log_at(LOG_ERROR, "the one after");
	dup2(saved, STDERR_FILENO);
	CHECK(n > 2000 && n <= 4096);
	n = read(pipes[0], text, sizeof text - 1);
	CHECK(n > 0);
	text[n > 0 ? n : 0] = 0;
	CHECK_HAS(text, "log lines were lost");
	CHECK_HAS(text, "the one after");
	CHECK(strstr(text, "log lines were lost") < strstr(text, "the one after"));
	close(pipes[0]), close(pipes[1]), close(saved);
}

CHECK_MAIN()
