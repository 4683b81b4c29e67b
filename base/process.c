#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEEPEST = 32 };

static bool read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

struct line {
	char state;
	int parent;
	unsigned long long started;
};

/* PID (NAME) STATE PARENT ... START; a name may hold anything. */
static bool read_line(pid_t pid, struct line *l)
{
	char text[1024];
	const char *end = read_proc(pid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;

	return end && sscanf(end, ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     &l->state, &l->parent, &l->started) == 3;
}

bool process_hold(struct process *p, pid_t pid)
{
	struct line l;

	*p = (struct process){.pid = pid, .fd = (int)syscall(SYS_pidfd_open, pid, 0)};
	if (p->fd < 0 && errno == ESRCH)
		return false;
	if (read_line(pid, &l))
		p->started = l.started;
	return !process_gone(p);
}

void process_drop(struct process *p)
{
	if (p->pid && p->fd >= 0)
		close(p->fd);
	*p = (struct process){.fd = -1};
}

bool process_gone(const struct process *p)
{
	struct pollfd look = {.fd = p->fd, .events = POLLIN};
	struct line l;

	if (!p->pid)
		return true;
	if (p->fd >= 0)
		return poll(&look, 1, 0) > 0;
	if (kill(p->pid, 0) && errno == ESRCH)
		return true;
	return read_line(p->pid, &l) && (l.state == 'Z' || l.state == 'X' || (p->started && l.started != p->started));
}

void process_signal(const struct process *p, int signal)
{
	if (p->pid && p->fd >= 0)
		syscall(SYS_pidfd_send_signal, p->fd, signal, NULL, 0);
	else if (p->pid && !process_gone(p))
		kill(p->pid, signal);
}

bool process_dumps_core(const struct process *p)
{
	char text[4096];

	return p->pid && read_proc(p->pid, "status", text, sizeof text) && strstr(text, "CoreDumping:\t1");
}

bool process_is_below(pid_t pid, pid_t above)
{
	struct line l;

	for (int i = 0; i < DEEPEST && pid > 1; i++) {
		if (pid == above)
			return true;
		if (!read_line(pid, &l))
			return false;
		pid = l.parent;
	}
	return false;
}
