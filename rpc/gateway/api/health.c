/* health.c - GET /health and /health/ready. */
#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

static void unavailable(struct http_exchange *x, const struct gateway_daemon *d)
{
	static const char *const texts[] = {[DAEMON_UNREACHABLE] = "The daemon cannot be reached",
					    [DAEMON_SILENT] = "The daemon stopped responding",
					    [DAEMON_LOADING] = "Loading model",
					    [DAEMON_READY] = "Ready",
					    [DAEMON_DRAINING] = "Draining"};

	http_answer_error(x, 503, gateway_daemon_state_name(d), NULL, "%s", texts[d->state]);
}

static void fine(struct http_exchange *x)
{
	http_answer_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

/* A draining daemon is healthy as well: it finishes its calls. */
void api_health(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;

	for (int i = 0; i < all->n; i++)
		if (all->daemon[i].state >= DAEMON_READY) {
			fine(x);
			return;
		}
	unavailable(x, &all->daemon[0]);
}

/* Ready means that a request is accepted, whatever model it names. */
void api_health_ready(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;

	for (int i = 0; i < all->n; i++)
		if (all->daemon[i].state != DAEMON_READY) {
			unavailable(x, &all->daemon[i]);
			return;
		}
	fine(x);
}
