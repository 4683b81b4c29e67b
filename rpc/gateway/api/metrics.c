/* metrics.c - GET /metrics: the daemon's own metrics if it has them, else numbers of its Status, and the gateway's. The
 * format is Prometheus text 0.0.4, where each family is one block. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

static const char content_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	text_fmt(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Writes a label's value with quotes, backslashes and line ends escaped. */
static void put_label(struct text *t, const char *value)
{
	for (; *value; value++)
		if (*value == '\n')
			text_str(t, "\\n");
		else if (*value == '"' || *value == '\\')
			text_fmt(t, "\\%c", *value);
		else
			text_put(t, value, 1);
}

static void put_daemon(struct text *t, const char *name, const struct gateway_daemon *d, double value)
{
	text_fmt(t, "%s{model_name=\"", name);
	put_label(t, gateway_daemon_name(d));
	text_fmt(t, "\"} %.17g\n", value);
}

/* The metrics that Status can give. */
enum {
#define SHARED(name, ...) SHARED_##name,
#include "proto/metrics.def"
	N_SHARED
};

static const struct api_metric_family {
	const char *name, *type, *help;
} families[N_SHARED] = {
#define SHARED(name, type, value, help) {"xverse_" #name, #type, help},
#include "proto/metrics.def"
};

static double shared_value(int which, const struct xv_status *s)
{
	switch (which) {
#define SHARED(name, type, value, help) \
	case SHARED_##name: \
		return (double)(value);
#include "proto/metrics.def"
	default:
		return 0;
	}
}

static void put_status(struct text *t, const struct gateway_daemons *all)
{
	for (int f = 0; f < N_SHARED; f++) {
		head(t, families[f].name, families[f].type, families[f].help);
		for (int i = 0; i < all->n; i++) {
			const struct gateway_daemon *d = &all->daemon[i];
			const struct xv_status *s = gateway_daemon_status(d);
			if (s)
				put_daemon(t, families[f].name, d, shared_value(f, s));
		}
	}
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long total, pages = 0;

	if (f && fscanf(f, "%ld %ld", &total, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void put_one(struct text *t, const char *name, const char *type, const char *help, double value)
{
	head(t, name, type, help);
	text_fmt(t, "%s %.17g\n", name, value);
}

static void put_gateway(struct text *t, const struct http_exchange *x)
{
	const struct http_counts *c = http_counts(x);
	const struct gateway_daemons *all = api_context(x)->daemons;

	head(t, "xverse_gateway_responses_total", "counter", "Responses by the first digit of their status.");
	for (int i = 1; i <= 5; i++)
		text_fmt(t, "xverse_gateway_responses_total{class=\"%dxx\"} %ju\n", i, (uintmax_t)c->by_class[i]);
	put_one(t, "xverse_gateway_connections", "gauge", "Open connections.", c->connections);
	put_one(t, "xverse_gateway_requests", "gauge", "Requests being answered.", c->exchanges);
	put_one(t, "xverse_gateway_streams_total", "counter", "Streams begun.", (double)c->streams);
	put_one(t, "xverse_gateway_pings_total", "counter", "Comments sent in streams.", (double)c->pings);
	put_one(t, "xverse_gateway_hang_ups_total", "counter",
		"Clients that disconnected before the end of their response.", (double)c->hang_ups);
	put_one(t, "xverse_gateway_stalled_total", "counter", "Connections closed because their client stalled.",
		(double)c->stalls);
	put_one(t, "xverse_gateway_late_total", "counter",
		"Connections closed because a request did not arrive in time.", (double)c->deadlines);
	put_one(t, "xverse_gateway_resends_total", "counter", "Calls sent again because their daemon was lost.",
		(double)api_context(x)->resends);
	put_one(t, "xverse_gateway_refused_hosts_total", "counter", "Requests refused for their Host.",
		(double)c->refused_filter);
	put_one(t, "xverse_gateway_refused_framing_total", "counter",
		"Connections closed because their framing is ambiguous or malformed.", (double)c->refused_framing);
	put_one(t, "xverse_gateway_refused_memory_total", "counter", "Requests refused because of --max-bodies.",
		(double)c->refused_memory);
	put_one(t, "xverse_gateway_request_bytes", "gauge", "Memory that requests hold, of --max-bodies.",
		(double)c->held);
	put_one(t, "xverse_gateway_access_log_lost_total", "counter",
		"Lines that could not be written to --access-log.", (double)c->log_lost);
	put_one(t, "xverse_gateway_refused_keys_total", "counter",
		"Requests refused because they had no valid API key.", (double)c->refused_key);
	put_one(t, "xverse_gateway_resident_memory_bytes", "gauge", "Memory of the gateway.", resident_bytes());
	head(t, "xverse_gateway_model_ready", "gauge", "1 if the daemon accepts requests.");
	for (int i = 0; i < all->n; i++)
		put_daemon(t, "xverse_gateway_model_ready", &all->daemon[i], all->daemon[i].state == DAEMON_READY);
}

static void answer_own(struct http_exchange *x)
{
	struct text t = {0};

	put_status(&t, api_context(x)->daemons);
	put_gateway(&t, x);
	http_answer_text(x, 200, content_type, &t);
}

/* ---- one daemon that has metrics of its own ---- */

struct api_metrics_call {
	struct api_upstream *up;
	uint64_t began_ns;
};

static void take(void *data, const struct xv_reply *r)
{
	struct api_metrics_call *c = data;
	struct text t = {0};

	if (r->kind == XV_R_METRICS) {
		text_put(&t, r->text.text, r->text.text_len);
		if (t.len && t.data[t.len - 1] != '\n')
			text_str(&t, "\n");
		put_gateway(&t, c->up->x);
		http_answer_text(c->up->x, 200, content_type, &t);
	} else {
		answer_own(c->up->x);
	}
	api_upstream_close(c->up);
}

/* A daemon that does not respond must not keep the gateway's own numbers back. */
static void tick(void *data)
{
	struct api_metrics_call *c = data;

	if (now_ns() - c->began_ns < 2000000000u)
		return;
	answer_own(c->up->x);
	api_upstream_close(c->up);
}

static void lost(void *data, int err, const char *text)
{
	(void)err;
	(void)text;
	answer_own(((struct api_metrics_call *)data)->up->x);
}

/* Texts of several daemons cannot be joined without parsing them: their numbers come from Status instead. */
void api_metrics(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	struct xv_options how = {.path = all->daemon[0].socket, .no_wait = true, .no_resume = true};
	struct xv_request r = {.kind = XV_METRICS};
	struct xv_client *client;
	struct api_metrics_call *c;
	struct why why;

	if (all->n != 1 || xv_connect(&client, &how, why.text)) {
		answer_own(x);
		return;
	}
	c = xalloc(1, sizeof *c);
	*c = (struct api_metrics_call){api_upstream_for_none(x), now_ns()};
	c->up->client = client;
	c->up->calls = (struct api_calls){.take = take, .tick = tick, .lost = lost, .free = free, .data = c};
	api_upstream_send(c->up, &r);
	api_upstream_wait(c->up);
}
