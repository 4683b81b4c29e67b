#include "daemon/rank/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/file/own.h"

static const char *log_path;
static int starter = -1; /* standard error at start */
static char *pid_path;

/* Safe in a signal handler. */
static int point_stderr(const char *path)
{
	int fd = file_append(path), error = errno;

	if (fd < 0)
		return error;
	dup2(fd, STDERR_FILENO);
	if (fd != STDERR_FILENO)
		close(fd);
	return 0;
}

static int no_log(const char *path, int error, struct why *why)
{
	return fail(why, ERR_IO, "--log-file: %s: %s", path,
		    error == ELOOP || error == EPERM ? "another user made this name; choose a folder of your own"
						     : file_error(path, error));
}

int log_file_descriptor(const char *path, struct why *why)
{
	int fd = file_append(path);

	return fd >= 0 ? fd : no_log(path, errno, why);
}

int log_file_check(const char *path, struct why *why)
{
	int error = path ? file_append_check(path) : 0;

	return error ? no_log(path, error, why) : 0;
}

int log_file_open(const char *path, struct why *why)
{
	int fd;

	if (!path)
		return 0;
	fd = log_file_descriptor(path, why);
	if (fd < 0)
		return fd;
	starter = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_path = path;
	return 0;
}

void log_file_reopen(void)
{
	int error = log_path ? point_stderr(log_path) : 0;

	if (error)
		log_event(LOG_ERROR, "the log file cannot be opened anew", " path=\"%s\" reason=\"%s\"", log_path,
			  strerror(error));
	else if (log_path)
		log_at(LOG_INFO, "the log file was opened anew");
}

static void on_hangup(int signal)
{
	int error = errno;

	(void)signal;
	if (log_path)
		point_stderr(log_path);
	errno = error;
}

void log_file_on_hangup(void)
{
	struct sigaction a = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
	sigset_t set;

	if (!log_path)
		return;
	sigaction(SIGHUP, &a, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void start_failed(const char *text)
{
	int to = starter >= 0 ? starter : STDERR_FILENO;
	struct pollfd p = {.fd = to, .events = POLLOUT};

	if (starter >= 0)
		log_at(LOG_ERROR, "%s", text);
	if (poll(&p, 1, 1000) > 0) /* it may be a full pipe without a reader */
		dprintf(to, "xversed: %s\n", text);
}

static int no_pid(const char *path, int error, struct why *why)
{
	return fail(why, ERR_IO, "--pid-file: %s: %s", path, file_error(path, error));
}

/* The name is replaced: what matters is the folder, and that the name is none itself. */
int pid_file_check(const char *path, struct why *why)
{
	struct stat st;
	int error;

	if (!path || !*path)
		return 0;
	error = !lstat(path, &st) && S_ISDIR(st.st_mode) ? EISDIR : file_folder_check(path);
	return error ? no_pid(path, error, why) : 0;
}

int pid_file_write(const char *path, struct why *why)
{
	char *aside;
	bool good;
	int fd;

	if (!path || !*path)
		return 0;
	fd = file_create_aside(path, 0644, &aside);
	if (fd < 0)
		return no_pid(path, errno, why);
	good = dprintf(fd, "%d\n", (int)getpid()) > 0 && !fchmod(fd, 0644);
	if (close(fd) || !good || rename(aside, path)) {
		int err = no_pid(path, errno, why);
		unlink(aside);
		free(aside);
		return err;
	}
	free(aside);
	pid_path = xstrdup(path);
	return 0;
}

void pid_file_remove(void)
{
	struct why why;
	char *text;
	size_t n;

	if (!pid_path)
		return;
	if (!file_read(pid_path, 64, &text, &n, &why)) {
		if (atoi(text) == (int)getpid())
			unlink(pid_path);
		free(text);
	}
	free(pid_path);
	pid_path = NULL;
}

/* A client over --max-connections gets an error, but one over the limit of open files would wait without an answer. */
int files_raise(int connections)
{
	enum { OURS = 256 };
	rlim_t want = (rlim_t)connections + OURS;
	struct rlimit r;
	int fit;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return connections;
	if (r.rlim_cur < want) {
		r.rlim_cur = want < r.rlim_max ? want : r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
		getrlimit(RLIMIT_NOFILE, &r);
	}
	if (r.rlim_cur >= want)
		return connections;
	fit = max_int(1, (int)r.rlim_cur - min_int(OURS, (int)r.rlim_cur / 2));
	log_event(LOG_WARN, "fewer open files are allowed than --max-connections wants",
		  " allowed=%ju wanted=%ju connections=%d", (uintmax_t)r.rlim_cur, (uintmax_t)want,
		  min_int(fit, connections));
	return min_int(fit, connections);
}
