/* --detach: the command returns once the job serves, and the launcher stays. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/inside.h"

/* Waits for the word of the child, or for its end. */
__attribute__((noreturn)) static void stand_by(pid_t child, int from)
{
	char byte;
	int status = 0;

	if (read(from, &byte, 1) == 1)
		_exit(EXIT_OK);
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SOFTWARE);
}

void detach_begin(struct launcher *l)
{
	int ends[2];
	pid_t parent = getpid(), child;

	l->detach_fd = -1;
	if (!l->detach)
		return;
	if (pipe(ends) || (child = fork()) < 0)
		die("--detach: %s", strerror(errno));
	if (child) {
		close(ends[1]);
		stand_by(child, ends[0]);
	}
	close(ends[0]);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	l->detach_fd = ends[1];
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* who gives up waiting gives up the start */
	if (getppid() != parent)
		_exit(EXIT_SOFTWARE);
}

void detach_end(struct launcher *l)
{
	char byte = 0;

	if (l->detach_fd < 0)
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	if (write(l->detach_fd, &byte, 1) < 0)
		log_at(LOG_WARN, "who started this launcher is gone: %s", strerror(errno));
	close(l->detach_fd);
	l->detach_fd = -1;
}
