/* Processes that are held, and how long something has stood still. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "base/still.h"
#include "tests/check.h"

TEST(stillness_counts_the_time_of_the_observer)
{
	struct still s = {0};

	CHECK_EQ(still_look(&s, 5, 250000000), 0);
	CHECK_EQ(still_look(&s, 5, 250000000), 250000000);
	CHECK_EQ(still_look(&s, 5, 4000000000), 0); /* 1 s, and 4 s are forgiven */
	for (int i = 0; i < 12; i++)
		CHECK_EQ(still_look(&s, 5, 250000000), 0);
	CHECK_EQ(still_look(&s, 5, 250000000), 250000000);
	CHECK_EQ(still_look(&s, 6, 250000000), 0);
	CHECK_EQ(still_look(&s, 6, 3600000000000), 0); /* an hour away: 10 s */
	CHECK_EQ(s.grace_ns, 10000000000);
	for (int i = 0; i < 100; i++) /* always late, and found all the same */
		if (still_look(&s, 6, 900000000) > 2000000000)
			return;
	CHECK_FAIL("never found");
}

TEST(a_process_is_held_by_more_than_its_number)
{
	pid_t pid = fork();
	struct process p, other;

	if (!pid)
		for (;;)
			pause();
	CHECK(process_hold(&p, pid));
	CHECK(process_is_below(pid, getpid()));
	CHECK(process_is_below(pid, getppid()));
	CHECK(!process_is_below(getpid(), pid));
	CHECK(!process_gone(&p));
	other = p;
	if (other.fd >= 0)
		other.fd = -1; /* as where there is no pidfd_open */
	CHECK(!process_gone(&other));
	other.started++; /* of a number that was used again */
	CHECK(process_gone(&other));
	process_signal(&other, SIGKILL);
	usleep(100000);
	CHECK(!process_gone(&p));
	other.started--;
	process_signal(&other, SIGKILL);
	for (int i = 0; i < 500 && !process_gone(&p); i++)
		usleep(10000);
	CHECK(process_gone(&p));
	CHECK(process_gone(&other)); /* a zombie */
	waitpid(pid, NULL, 0);
	CHECK(process_gone(&other));
	process_drop(&p);
	CHECK(!process_hold(&p, pid));
	process_drop(&p);
}

CHECK_MAIN()
