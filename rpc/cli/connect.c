/* connect.c - the connection of a command. */
#include <time.h>

#include "rpc/cli/cli.h"

static void say_wait(void *arg, const char *what)
{
	(void)arg;
	cli_say("xverse: waiting: %s\n", what);
}

bool cli_may_appear(const struct args *a, uint64_t begin_ns, const struct why *why)
{
	static bool said;

	if (!a->wait || (a->timeout_ms && now_ns() - begin_ns > (uint64_t)a->timeout_ms * NS_PER_MS))
		return false;
	if (!said)
		cli_say("xverse: waiting: %s\n", why->text);
	return said = true;
}

/* The time limit of a call holds for connecting, too. */
int cli_connect(struct xv_client **c, struct args *a, bool no_resume, struct why *why)
{
	struct xv_options how = {.path = a->uds,
				 .no_resume = no_resume,
				 .resume_timeout_ms = (int)(a->resume_s * 1000),
				 .loading_timeout_ms = a->no_wait ? -1 : 0,
				 .notice = say_wait};
	uint64_t begin = now_ns();
	int64_t took;
	int err;

	if (a->timeout_ms)
		how.connect_timeout_ms = (int)(a->timeout_ms < 40000 ? a->timeout_ms : 40000);
	while ((err = xv_connect(c, &how, why->text)) == ERR_GONE && cli_may_appear(a, begin, why))
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	if (!err)
		why->text[0] = 0; /* of earlier tries */
	took = (int64_t)((now_ns() - begin) / 1000000);
	if (a->timeout_ms)
		a->timeout_ms = a->timeout_ms > took ? a->timeout_ms - took : 1;
	return err;
}
