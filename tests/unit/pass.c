/* A descriptor goes from rank 0 to every other rank, whoever else sends to its socket. */
#include "parallel/pass.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

enum { RANKS = 12 };

/* A rank above 0, in a process of its own: 0 where it got the window that rank 0 wrote. */
static pid_t rank_starts(const struct pass_ticket *ticket, int rank, int wait_ms)
{
	pid_t pid = fork();
	char text[8] = "";
	int fd;

	if (pid)
		return pid;
	fd = pass_take(ticket, rank, wait_ms);
	_exit(fd < 0 ? 2 : pread(fd, text, sizeof text, 0) == sizeof text && !memcmp(text, "window", 7) ? 0 : 1);
}

static int window(void)
{
	int fd = memfd_create("window", MFD_CLOEXEC);

	CHECK_EQ(write(fd, "window\0", 8), 8);
	return fd;
}

static void all_end_with(pid_t *pid, int n, int wanted)
{
	int status;

	for (int i = 0; i < n; i++) {
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), wanted);
	}
}

TEST(every_rank_gets_it)
{
	struct pass_ticket ticket;
	int s = pass_listen(&ticket), fd = window();
	pid_t pid[RANKS];

	for (int r = 1; r < RANKS; r++)
		pid[r] = rank_starts(&ticket, r, 10000);
	CHECK(pass_give(s, &ticket, fd, RANKS, 10000));
	all_end_with(pid + 1, RANKS - 1, 0);
	close(s), close(fd);
}

/* Datagrams of others, with and without a descriptor, until it is killed. */
static pid_t stranger(const struct pass_ticket *ticket)
{
	struct pass_ticket wrong = *ticket;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	pid_t pid = fork();
	int s, n;

	if (pid)
		return pid;
	wrong.secret[0]++;
	n = snprintf(a.sun_path + 1, 100, "xversed-%016llx%016llx", (unsigned long long)ticket->name[0],
		     (unsigned long long)ticket->name[1]);
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	for (;;) {
		sendto(s, "garbage of some length, and more", 20, 0, (struct sockaddr *)&a,
		       (socklen_t)(sizeof a.sun_family + 1 + (size_t)n));
		pass_take(&wrong, 1, 1);
	}
}

TEST(strangers_hold_up_nobody)
{
	struct pass_ticket ticket;
	int s = pass_listen(&ticket), fd = window();
	pid_t other[2], pid[4];

	for (int i = 0; i < 2; i++)
		other[i] = stranger(&ticket);
	usleep(100000);
	for (int r = 1; r < 4; r++)
		pid[r] = rank_starts(&ticket, r, 20000);
	CHECK(pass_give(s, &ticket, fd, 4, 20000));
	all_end_with(pid + 1, 3, 0);
	for (int i = 0; i < 2; i++)
		kill(other[i], SIGKILL), waitpid(other[i], NULL, 0);
	close(s), close(fd);
}

TEST(a_rank_that_does_not_come_ends_the_wait)
{
	struct pass_ticket ticket;
	int s = pass_listen(&ticket), fd = window();
	pid_t pid = rank_starts(&ticket, 1, 10000);

	CHECK(!pass_give(s, &ticket, fd, 3, 500));
	all_end_with(&pid, 1, 0);
	close(s), close(fd);
}

TEST(nobody_gives)
{
	struct pass_ticket ticket;
	int s = pass_listen(&ticket);
	pid_t pid = rank_starts(&ticket, 1, 300);

	all_end_with(&pid, 1, 2);
	close(s);
	CHECK_EQ(pass_take(&ticket, 1, 300), -1); /* and no socket */
}

CHECK_MAIN()
