/* Waiting threads: nobody sleeps through a wake, and who waits long gets to look around. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/wait.h"
#include "tests/check.h"

enum { THREADS = 6, ROUNDS = 2000 };

struct line {
	_Alignas(64) _Atomic uint32_t word;
};
static struct line count[THREADS];
static uint32_t data[THREADS]; /* plain memory: the counters must order it */
static _Atomic int wrong;

/* Every round, each thread tells its number and waits for all others. */
static void *meet(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		data[me] = round;
		atomic_store_explicit(&count[me].word, 2 * round - 1, memory_order_release);
		wait_wake(&count[me].word, 0);
		for (int t = 0; t < THREADS; t++) {
			wait_reach(&count[t].word, 2 * round - 1, 0, NULL, NULL);
			if (data[t] != round)
				atomic_fetch_add(&wrong, 1);
		}
		atomic_store_explicit(&count[me].word, 2 * round, memory_order_release);
		wait_wake(&count[me].word, 0);
		for (int t = 0; t < THREADS; t++)
			wait_reach(&count[t].word, 2 * round, 0, NULL, NULL);
	}
	return NULL;
}

static void all_meet(void)
{
	pthread_t thread[THREADS];

	for (int t = 0; t < THREADS; t++)
		atomic_store(&count[t].word, 0);
	for (int t = 0; t < THREADS; t++)
		CHECK_EQ(pthread_create(&thread[t], NULL, meet, (void *)(intptr_t)t), 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(thread[t], NULL);
	CHECK_EQ(wrong, 0);
}

TEST(many_threads_meet_asleep)
{
	wait_policy(0);
	all_meet();
}

TEST(many_threads_meet_spinning)
{
	wait_policy(20000);
	CHECK_EQ(wait_spin_ns(), 20000);
	all_meet();
	wait_policy(0);
}

static void *pong(void *arg)
{
	_Atomic uint32_t *word = arg;

	for (uint32_t old = 0; old < 2 * ROUNDS; old += 2) {
		wait_change(word, old, 0, NULL, NULL);
		atomic_fetch_add(word, 1);
		wait_wake(word, 0);
	}
	return NULL;
}

TEST(ping_pong_on_one_word)
{
	static _Atomic uint32_t word;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, pong, &word), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t old = atomic_fetch_add(&word, 1) + 1;

		wait_wake(&word, 0);
		CHECK_EQ(wait_change(&word, old, 0, NULL, NULL), old + 1);
	}
	pthread_join(thread, NULL);
}

static void third_look(void *arg)
{
	_Atomic uint32_t *word = arg;
	static int looks;

	if (++looks == 3)
		atomic_store(word, 5);
}

TEST(a_sleeper_looks_around)
{
	static _Atomic uint32_t word;
	uint64_t start = now_ns();
	double ms;

	CHECK_EQ(wait_change(&word, 0, 0, third_look, &word), 5); /* nobody ever wakes it */
	ms = (double)(now_ns() - start) * 1e-6;
	if (ms < 250 || ms > 5000)
		CHECK_FAIL("3 looks took %.0f ms", ms);
}

TEST(counters_may_wrap)
{
	static _Atomic uint32_t word = 3;

	wait_reach(&word, UINT32_MAX - 2, 0, NULL, NULL); /* 3 is past it */
	CHECK_EQ(wait_change(&word, 2, 0, NULL, NULL), 3);
}

TEST(wakes_another_process)
{
	_Atomic uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	CHECK(word != MAP_FAILED);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		wait_reach(word, 1, 1, NULL, NULL);
		atomic_store(word, 2);
		wait_wake(word, 1);
		_exit(7);
	}
	usleep(20000);
	atomic_store(word, 1);
	wait_wake(word, 1);
	wait_reach(word, 2, 1, NULL, NULL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 7);
	munmap(word, 4096);
}

CHECK_MAIN()
