/* xverse-gateway: HTTP for xversed. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/file/own.h"
#include "rpc/gateway/gateway.h"
#include "rpc/gateway/http/listen.h"

static void catch_signals(struct gateway *g)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	g->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	g->signal_watch = (struct watch){.kind = WATCH_SIGNAL, .owner = g, .fd = -1};
	watch_set(g, &g->signal_watch, g->signal_fd, EPOLLIN);
}

/* A connection of each side for each stream. Where so many files are not allowed fewer connections are taken, so that
 * the limit is one that is answered. */
static void raise_files(struct gateway *g)
{
	enum { OURS = 64 };
	rlim_t want = (rlim_t)g->how.max_connections * 2 + OURS;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= want)
		return;
	r.rlim_cur = want < r.rlim_max ? want : r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= want)
		return;
	g->how.max_connections = r.rlim_cur > OURS + 2 ? (int64_t)(r.rlim_cur - OURS) / 2 : 1;
	log_event(LOG_WARN, "fewer open files are allowed than --max-connections wants",
		  " allowed=%ju wanted=%ju connections=%jd", (uintmax_t)r.rlim_cur, (uintmax_t)want,
		  (intmax_t)g->how.max_connections);
}

static int open_log(struct gateway *g, struct why *why)
{
	const char *path = g->how.access_log;

	g->log_fd = path && !strcmp(path, "-") ? STDOUT_FILENO : -1;
	if (!path || g->log_fd >= 0)
		return 0;
	g->log_fd = file_append(path);
	return g->log_fd >= 0 ? 0
			      : fail(why, ERR_IO, "--access-log %s: %s", path,
				     errno == ENXIO ? "nobody reads this pipe" : strerror(errno));
}

static int open_all(struct gateway *g, struct why *why)
{
	int err = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* keys and prompts stay out of core files */
	g->started_ns = now_ns();
	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	raise_files(g);
	catch_signals(g);
	if (g->how.key_file)
		err = keys_read(&g->keys, g->how.key_file, why);
	if (!err)
		err = open_log(g, why);
	if (!err)
		err = parser_start(g, why);
	if (!err)
		err = http_open(g, why);
	if (!err && !g->how.check)
		models_open(g);
	return err;
}

static void close_all(struct gateway *g)
{
	parser_stop(g);
	http_close(g);
	models_close(g);
	keys_destroy(g->keys);
	if (g->log_fd > STDERR_FILENO)
		close(g->log_fd);
}

static int print_openapi(void)
{
	char *s = json_dumps(openapi_document(), JSON_INDENT(1));

	puts(s);
	free(s);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct gateway g;
	struct why why = {""};
	int err;

	stdio_open();
	err = options_parse(&g.how, argc, argv, &why);

	log_init(-1, LOG_INFO);
	if (err) {
		fprintf(stderr, "xverse-gateway: %s\n", why.text);
		return EXIT_USAGE;
	}
	if (g.how.help) {
		options_help(stdout);
		return EXIT_OK;
	}
	if (g.how.print_openapi)
		return print_openapi();
	if (g.how.check)
		log_level_set(LOG_ERROR); /* it listens only to see that it could */
	gnutls_global_init();
	budget_open();
	err = open_all(&g, &why);
	if (err)
		fprintf(stderr, "xverse-gateway: %s\n", why.text);
	else if (!g.how.check)
		loop_run(&g);
	close_all(&g);
	return !err ? EXIT_OK : err == ERR_INVALID ? EXIT_CONFIG : EXIT_INPUT;
}
