#include "rpc/cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/exit.h"
#include "rpc/cli/cli.h"
#include "rpc/cli/interrupt.h"

struct spawn {
	pid_t pid; /* 0: it has ended */
	char *dir, *socket, *log;
	int status; /* once it has ended */
};

enum { PAUSE_NS = 20000000, STOP_S = 60 };

/* Beside this program, else as it stands, for the PATH. */
static char *find_program(const char *name)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
	char *slash;

	path[n > 0 ? n : 0] = 0;
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, name);
	return xstrdup(access(path, X_OK) ? name : path);
}

static bool on_path(const char *name)
{
	const char *at = getenv("PATH");

	for (; at && *at; at += *at == ':') {
		size_t n = strcspn(at, ":");
		char *path = xprintf("%.*s/%s", (int)n, at, name);
		bool found = !access(path, X_OK);
		free(path);
		if (found)
			return true;
		at += n;
	}
	return strchr(name, '/') && !access(name, X_OK);
}

static const char **arguments(const struct spawn *s, const char *program, bool launcher, const char *model, int ranks,
			      const char *const *options)
{
	const char **argv;
	size_t n = 0, i = 0;

	while (options && options[n])
		n++;
	argv = xalloc(n + 12, sizeof *argv);
	argv[i++] = program;
	if (launcher) {
		static char count[16];
		snprintf(count, sizeof count, "%d", ranks);
		argv[i++] = "-n";
		argv[i++] = count;
		argv[i++] = "--restart";
	}
	argv[i++] = model;
	argv[i++] = "--uds";
	argv[i++] = s->socket;
	for (n = 0; options && options[n]; n++)
		argv[i++] = options[n];
	return argv;
}

/* A signal of the terminal is the command's alone to answer, so the daemon has a group of its own. */
static void become(const struct spawn *s, const char **argv)
{
	int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (log >= 0 && null >= 0 && dup2(null, 0) == 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2)
		execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int make_places(struct spawn *s, const char *socket, struct why *why)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	s->dir = xprintf("%s/xverse-XXXXXX", base && *base && strlen(base) < 60 ? base : "/tmp");
	if (!mkdtemp(s->dir))
		return fail(why, ERR_IO, "%s: %s", s->dir, strerror(errno));
	s->socket = socket ? xstrdup(socket) : xprintf("%s/s", s->dir);
	s->log = xprintf("%s/log", s->dir);
	return 0;
}

static bool has_ended(struct spawn *s)
{
	if (s->pid && waitpid(s->pid, &s->status, WNOHANG) == s->pid)
		s->pid = 0;
	return !s->pid;
}

/* Of a log what may be a reason: not what goes on, and not what mpirun writes between lines of dashes when a rank ends.
 * Shortens the text in place. */
static void keep_reasons(char *text)
{
	char *to = text, *rest, *line;
	bool frame = false;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t n = strlen(line);
		bool dashes = n > 20 && strspn(line, "-") == n;

		frame ^= dashes;
		if (dashes || frame || strstr(line, " level=info ") || strspn(line, " ") == n)
			continue;
		memmove(to, line, n);
		to += n;
		*to++ = '\n';
	}
	to -= to > text;
	*to = 0;
}

/* The end of its log, malloced. */
static char *read_log(const struct spawn *s)
{
	enum { MOST = 64 << 10 };
	char *text = xalloc(MOST + 1, 1);
	int fd = open(s->log, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = fd < 0 ? 0 : pread(fd, text, MOST, size > MOST ? size - MOST : 0);

	text[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

/* Options, a model or a machine that do not fit end the same way each time. */
static int error_of(int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	return code == EXIT_USAGE || code == EXIT_INPUT || code == EXIT_CONFIG ? ERR_INVALID : ERR_GONE;
}

/* The last lines that it logged say why it ended. */
static int tell_end(const struct spawn *s, const char *program, struct why *why)
{
	enum { SHOWN = 400 };
	char *log = read_log(s);
	size_t n;
	int err;

	keep_reasons(log);
	n = strlen(log);
	if (WIFEXITED(s->status) && WEXITSTATUS(s->status) == 127 && !n)
		err = fail(why, ERR_UNKNOWN, "cannot run %s, which serves the model", program);
	else
		err = fail(why, error_of(s->status), "%s has ended: %s", program,
			   n ? log + (n > SHOWN ? n - SHOWN : 0) : "it logged no reason");
	free(log);
	return err;
}

int spawn_start(struct spawn **out, const char *model, int ranks, const char *const *options, const char *socket,
		struct why *why)
{
	struct spawn *s = xalloc(1, sizeof *s);
	char *program = find_program("xverse-launch");
	bool launcher = on_path(program);
	const char **argv;
	struct stat st;
	int err = make_places(s, socket, why);

	*out = NULL;
	interrupt_catch();
	if (!launcher) {
		free(program);
		program = find_program("xversed");
	}
	argv = err ? NULL : arguments(s, program, launcher, model, ranks, options);
	if (!err && !launcher && ranks > 1)
		err = fail(why, ERR_UNKNOWN, "%d ranks need xverse-launch, which is not installed", ranks);
	if (!err) {
		s->pid = fork();
		if (!s->pid)
			become(s, argv);
		if (s->pid < 0)
			err = fail(why, ERR_IO, "fork: %s", strerror(errno));
	}
	while (!err && (stat(s->socket, &st) || !S_ISSOCK(st.st_mode))) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		if (has_ended(s))
			err = tell_end(s, program, why);
		else if (interrupt_count())
			err = fail(why, ERR_CANCELLED, "interrupted");
	}
	free(argv);
	free(program);
	if (err)
		spawn_stop(s);
	else
		*out = s;
	return err;
}

const char *spawn_socket(const struct spawn *s)
{
	return s->socket;
}

int spawn_ready(const struct spawn *s, struct why *why)
{
	struct xv_options how = {.path = s->socket};
	struct xv_client *c;
	int err;

	for (;;) {
		err = xv_connect(&c, &how, why->text);
		if (err && has_ended((struct spawn *)(uintptr_t)s))
			return tell_end(s, "the server", why);
		if (!err)
			break;
		if (interrupt_count())
			return fail(why, ERR_CANCELLED, "interrupted");
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	err = loading_wait(c, why);
	xv_close(c);
	if (err && err != ERR_CANCELLED && has_ended((struct spawn *)(uintptr_t)s))
		return tell_end(s, "the server", why);
	return err;
}

static void remove_places(struct spawn *s)
{
	if (s->socket)
		unlink(s->socket);
	if (s->log)
		unlink(s->log);
	rmdir(s->dir);
}

/* After a second interrupt what is open there is not waited for. */
void spawn_stop(struct spawn *s)
{
	if (!s)
		return;
	if (s->pid > 0)
		kill(s->pid, SIGTERM);
	for (int i = 0; s->pid > 0 && !has_ended(s); i++) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		if (i == STOP_S * 50 || (interrupt_count() > 1 && i % 50 == 0))
			kill(s->pid, SIGQUIT); /* at once */
	}
	remove_places(s);
	free(s->dir);
	free(s->socket);
	free(s->log);
	free(s);
	interrupt_release();
}
