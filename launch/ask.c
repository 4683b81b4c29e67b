#include "launch/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 4 << 20, CANNOT = 127 };

/* It has a process group, so that a time limit ends what it started, too. */
__attribute__((noreturn)) static void child(char *const *argv, int fd, bool both)
{
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (geteuid() == 0) {
		setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
		setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	}
	if (null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || (both && dup2(fd, 2) < 0))
		_exit(CANNOT);
	execvp(argv[0], argv);
	_exit(CANNOT);
}

/* Until its end of file. False: the time is over. */
static bool take_all(int fd, uint64_t end, struct text *out)
{
	char bytes[4096];

	for (;;) {
		uint64_t now = now_ns();
		struct pollfd p = {fd, POLLIN, 0};
		ssize_t n;
		if (now >= end)
			return false;
		if (poll(&p, 1, (int)((end - now) / NS_PER_MS) + 1) <= 0)
			continue;
		n = read(fd, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return true;
		if (out->len + (size_t)n < MOST)
			text_put(out, bytes, (size_t)n);
	}
}

int ask(char *const *argv, int seconds, bool both, struct text *out)
{
	int pipe_fd[2], status;
	bool ended;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return ASK_FAILED;
	pid = fork();
	if (pid == 0)
		child(argv, pipe_fd[1], both);
	close(pipe_fd[1]);
	ended = pid > 0 && take_all(pipe_fd[0], now_ns() + (uint64_t)seconds * 1000 * NS_PER_MS, out);
	close(pipe_fd[0]);
	if (pid < 0)
		return ASK_FAILED;
	if (!ended)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!ended)
		return ASK_TIMEOUT;
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT && !out->len)
		return ASK_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
