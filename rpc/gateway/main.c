/* xverse-gateway: one thread and one loop between HTTP (libmicrohttpd) and the daemons (libxverse). */
#include <gnutls/gnutls.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/inherited.h"
#include "base/file/own.h"
#include "rpc/gateway/api/openapi.h"
#include "rpc/gateway/api/routes.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/daemons.h"
#include "rpc/gateway/http/budget.h"
#include "rpc/gateway/http/server.h"
#include "rpc/gateway/options.h"
#include "rpc/manager.h"

struct gateway {
	struct gateway_options how;
	struct http_loop loop;
	struct http_server *server;
	struct gateway_daemons daemons;
	struct api_context api;
	struct http_watch signals;
	struct manager manager;
	int signal_fd, n_signals;
	uint64_t hold_end_ns; /* 0: connections are accepted */
};

enum { HOLD_MS = 1000 };

static void on_signals(void *data, uint32_t events)
{
	struct gateway *g = data;
	struct signalfd_siginfo info;

	(void)events;
	while (read(g->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP) {
			http_server_reload(g->server);
			continue;
		}
		if (info.ssi_signo == SIGUSR2) {
			log_at(LOG_INFO, "another gateway listens now; open requests finish here");
			http_server_leave(g->server);
			continue;
		}
		log_event(LOG_INFO, g->n_signals ? "stopping now" : "draining; open requests finish first",
			  " signal=\"%s\"", strsignal((int)info.ssi_signo));
		g->n_signals++;
		manager_say(&g->manager, "STOPPING=1\nSTATUS=Draining: open requests finish first\n");
		http_server_drain(g->server);
	}
}

/* A loop that hangs sends none. */
static void ping(void *data, bool second)
{
	const struct gateway *g = data;

	if (second)
		manager_say(&g->manager, "WATCHDOG=1\n");
}

static void catch_signals(struct gateway *g)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	g->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	g->signals = (struct http_watch){on_signals, g, -1, 0};
	http_watch_set(&g->loop, &g->signals, g->signal_fd, EPOLLIN);
}

/* A second signal ends the program at once. */
static bool ended(const void *data)
{
	const struct gateway *g = data;

	return g->n_signals > 1 || http_server_drained(g->server);
}

/* Who waits at a socket that another gateway had is not to hear that the daemons are unknown as yet. */
static void hold(struct gateway *g)
{
	if (!http_server_was_passed(g->server))
		return;
	g->hold_end_ns = now_ns() + (uint64_t)HOLD_MS * NS_PER_MS;
	http_server_hold(g->server, true);
}

static void accept_when_known(void *data)
{
	struct gateway *g = data;
	bool known = true;

	if (!g->hold_end_ns)
		return;
	for (int i = 0; i < g->daemons.n; i++)
		known &= gateway_daemon_status(&g->daemons.daemon[i]) != NULL;
	if (!known && now_ns() < g->hold_end_ns)
		return;
	g->hold_end_ns = 0;
	http_server_hold(g->server, false);
}

static int open_all(struct gateway *g, struct why *why)
{
	int n, err;
	const struct http_route *routes = api_routes(&n);

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* keys and prompts stay out of core files */
	http_loop_open(&g->loop);
	http_loop_add(&g->loop, (struct http_hook){.tick = ping, .ended = ended, .turn = accept_when_known, .data = g});
	catch_signals(g);
	g->api =
		(struct api_context){.daemons = &g->daemons, .title = g->how.title, .resume_ms = (int)g->how.resume_ms};
	err = http_server_open(&g->server, &g->loop, &g->how.http, routes, n, &g->api, why);
	if (!err && !g->how.check)
		hold(g);
	if (!err && !g->how.check)
		gateway_daemons_open(&g->daemons, &g->loop, g->how.daemon_name, g->how.daemon_socket, g->how.n_daemons);
	return err;
}

static void serve(struct gateway *g)
{
	manager_say(&g->manager, "READY=1\nSTATUS=Serving\n");
	http_loop_run(&g->loop);
}

static void close_all(struct gateway *g)
{
	http_server_close(g->server);
	gateway_daemons_close(&g->daemons);
	http_loop_close(&g->loop);
}

static int print_openapi(void)
{
	int n;
	const struct http_route *routes = api_routes(&n);
	char *s = json_dumps(api_openapi_document(routes, n), JSON_INDENT(1));

	puts(s);
	free(s);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct gateway g;
	struct why why = {""};
	int err;

	inherited_mend();
	err = gateway_options_read(&g.how, argc, argv, &why);

	log_init(-1, LOG_INFO);
	if (err) {
		fprintf(stderr, "xverse-gateway: %s\n", why.text);
		return EXIT_USAGE;
	}
	if (g.how.help) {
		gateway_options_help(stdout);
		return EXIT_OK;
	}
	if (g.how.print_openapi)
		return print_openapi();
	if (g.how.check)
		log_level_set(LOG_ERROR); /* it listens only to find out whether it can */
	manager_open(&g.manager);
	gnutls_global_init();
	http_budget_init();
	err = open_all(&g, &why);
	if (err)
		fprintf(stderr, "xverse-gateway: %s\n", why.text);
	else if (g.how.check)
		http_server_show(g.server);
	else
		serve(&g);
	close_all(&g);
	return !err ? EXIT_OK : err == ERR_INVALID ? EXIT_CONFIG : EXIT_INPUT;
}
