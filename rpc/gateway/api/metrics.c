/* metrics.c - GET /metrics: the daemons' own metrics where they have them, what their Status tells where not, and
 * the gateway's. Prometheus text format 0.0.4: one family is one block. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/gateway/gateway.h"

static const char content_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	text_fmt(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: quotes, backslashes and line ends escaped. */
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

static void put_model(struct text *t, const char *name, const struct model *m, double value)
{
	text_fmt(t, "%s{model_name=\"", name);
	put_label(t, model_name(m));
	text_fmt(t, "\"} %.17g\n", value);
}

typedef double value_of(const struct model *m, const struct rpc_status *s);

static double up(const struct model *m, const struct rpc_status *s)
{
	(void)s;
	return m->state == MODEL_READY;
}
static double running(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return s->running;
}
static double waiting(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return s->waiting;
}
static double kv_use(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return s->kv_blocks ? (double)s->kv_blocks_held / s->kv_blocks : 0;
}
static double prompt_tokens(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return (double)s->prompt_tokens;
}
static double output_tokens(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return (double)s->output_tokens;
}
static double cached_tokens(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return (double)s->cached_tokens;
}
static double preemptions(const struct model *m, const struct rpc_status *s)
{
	(void)m;
	return (double)s->preemptions;
}

static const struct family {
	const char *name, *type, *help;
	value_of *value;
} families[] = {
	{"xverse_num_requests_running", "gauge", "Calls in the batch.", running},
	{"xverse_num_requests_waiting", "gauge", "Calls in the queue.", waiting},
	{"xverse_kv_cache_usage_perc", "gauge", "Used part of the KV cache, 0 to 1.", kv_use},
	{"xverse_prompt_tokens_total", "counter", "Prompt tokens computed or cached.", prompt_tokens},
	{"xverse_generation_tokens_total", "counter", "Tokens generated.", output_tokens},
	{"xverse_prefix_cache_hits_total", "counter", "Prompt tokens taken from the cache.", cached_tokens},
	{"xverse_num_preemptions_total", "counter", "Calls pushed out of the batch.", preemptions},
};

static void put_status(const struct gateway *g, struct text *t)
{
	for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
		head(t, families[f].name, families[f].type, families[f].help);
		for (int i = 0; i < g->n_models; i++) {
			const struct rpc_status *s = model_status(&g->models[i]);
			if (s)
				put_model(t, families[f].name, &g->models[i], families[f].value(&g->models[i], s));
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

static void put_gateway(const struct gateway *g, struct text *t)
{
	const struct counters *c = &g->count;

	head(t, "xverse_gateway_responses_total", "counter", "Answers by the first digit of their status.");
	for (int i = 1; i <= 5; i++)
		text_fmt(t, "xverse_gateway_responses_total{class=\"%dxx\"} %ju\n", i, (uintmax_t)c->by_class[i]);
	put_one(t, "xverse_gateway_connections", "gauge", "Open connections.", g->n_connections);
	put_one(t, "xverse_gateway_requests", "gauge", "Requests being answered.", g->n_exchanges);
	put_one(t, "xverse_gateway_streams_total", "counter", "Streams begun.", (double)c->streams);
	put_one(t, "xverse_gateway_pings_total", "counter", "Comments sent in streams.", (double)c->pings);
	put_one(t, "xverse_gateway_hang_ups_total", "counter", "Clients that left before their answer's end.",
		(double)c->hang_ups);
	put_one(t, "xverse_gateway_stalled_total", "counter", "Clients cut because they read nothing.",
		(double)c->stalls);
	put_one(t, "xverse_gateway_late_total", "counter", "Connections cut because a request did not come in time.",
		(double)c->deadlines);
	put_one(t, "xverse_gateway_resends_total", "counter", "Calls sent again because their daemon was lost.",
		(double)c->resends);
	put_one(t, "xverse_gateway_refused_hosts_total", "counter", "Requests refused for their Host.",
		(double)c->refused_filter);
	put_one(t, "xverse_gateway_refused_framing_total", "counter",
		"Connections closed because their bytes are no clear request.", (double)c->refused_framing);
	put_one(t, "xverse_gateway_refused_memory_total", "counter", "Requests refused because of --max-bodies.",
		(double)c->refused_memory);
	put_one(t, "xverse_gateway_request_bytes", "gauge", "Memory that requests take, of --max-bodies.",
		(double)g->held);
	put_one(t, "xverse_gateway_access_log_lost_total", "counter", "Lines that --access-log did not take.",
		(double)c->log_lost);
	put_one(t, "xverse_gateway_refused_keys_total", "counter", "Requests refused for want of a key.",
		(double)c->refused_key);
	put_one(t, "xverse_gateway_resident_memory_bytes", "gauge", "Memory of the gateway.", resident_bytes());
	head(t, "xverse_gateway_model_ready", "gauge", "1 where the daemon takes requests.");
	for (int i = 0; i < g->n_models; i++)
		put_model(t, "xverse_gateway_model_ready", &g->models[i], up(&g->models[i], NULL));
}

static void answer_own(struct exchange *x)
{
	struct text t = {0};

	put_status(x->g, &t);
	put_gateway(x->g, &t);
	answer_text(x, 200, content_type, &t);
}

/* ---- one daemon that has metrics of its own ---- */

static void take(struct exchange *x, const struct rpc_reply *r)
{
	struct text t = {0};

	if (r->kind == RPC_R_METRICS) {
		text_put(&t, r->text.text, r->text.text_len);
		if (t.len && t.data[t.len - 1] != '\n')
			text_str(&t, "\n");
		put_gateway(x->g, &t);
		answer_text(x, 200, content_type, &t);
	} else {
		answer_own(x);
	}
	exchange_forget_daemon(x);
}

/* A daemon that says nothing must not keep the gateway's own numbers back. */
static void tick(struct exchange *x)
{
	if (now_ns() - x->start_ns < 2000000000u)
		return;
	answer_own(x);
	exchange_forget_daemon(x);
}

static void lost(struct exchange *x, int err, const char *text)
{
	(void)err;
	(void)text;
	answer_own(x);
}

static void release(struct exchange *x)
{
	(void)x;
}

static const struct work_ops ops = {take, tick, lost, release};

/* Texts of several daemons cannot be put together without taking them apart: then Status has to do. */
void get_metrics(struct exchange *x)
{
	struct xv_options how = {.no_wait = true, .no_resume = true};
	struct rpc_request r = {.kind = RPC_METRICS};
	struct why why;

	how.path = x->g->models[0].socket;
	if (x->g->n_models != 1 || xv_connect(&x->client, &how, &why)) {
		answer_own(x);
		return;
	}
	x->ops = &ops;
	exchange_send(x, &r);
	exchange_arm(x);
}
