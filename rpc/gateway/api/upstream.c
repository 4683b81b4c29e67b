#include "rpc/gateway/api/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/api/asker.h"
#include "rpc/gateway/api/errors.h"
#include "rpc/gateway/http/answer.h"

struct api_context *api_context(const struct http_exchange *x)
{
	return http_context(x);
}

void api_upstream_close(struct api_upstream *u)
{
	http_watch_drop(u->context->daemons->loop, &u->watch);
	xv_close(u->client);
	u->client = NULL;
}

void api_upstream_wait(struct api_upstream *u)
{
	if (u->client && !u->paused)
		http_watch_set(u->context->daemons->loop, &u->watch, xv_fd(u->client),
			       EPOLLIN | (xv_unsent(u->client) ? (uint32_t)EPOLLOUT : 0));
}

uint64_t api_upstream_send(struct api_upstream *u, struct xv_request *r)
{
	const char *key = http_key_name(u->x);

	if (u->daemon && !u->daemon->no_asker)
		r->asker = (struct xv_asker){key ? key : "", u->asker};
	return xv_send(u->client, r);
}

static void count_resends(struct api_upstream *u)
{
	int n = xv_resends(u->client) - u->resends;

	if (n <= 0)
		return;
	u->resends += n;
	u->context->resends += (uint64_t)n;
	log_event(LOG_WARN, "daemon lost; sending its calls again", " calls=%d id=%s model=\"%s\"", n,
		  http_request_id(u->x), gateway_daemon_name(u->daemon));
}

static void read_replies(struct api_upstream *u)
{
	struct xv_reply r;
	struct why why = {""};
	int got;

	while (u->client && !u->paused) {
		got = xv_wait(u->client, &r, 0, why.text);
		count_resends(u);
		if (!got)
			break;
		if (got < 0) {
			api_upstream_close(u);
			u->calls.lost(u->calls.data, got, why.text);
			return;
		}
		u->queue_place = r.kind == XV_R_KEEP_ALIVE ? r.keep_alive.queue_place : 0;
		if (r.kind != XV_R_KEEP_ALIVE)
			u->calls.take(u->calls.data, &r);
	}
	api_upstream_wait(u);
}

static void on_event(void *data, uint32_t events)
{
	(void)events;
	read_replies(data);
}

/* ---- as the work of an exchange ---- */

static void tick(void *data)
{
	struct api_upstream *u = data;

	if (u->client)
		read_replies(u);
	if (u->client && u->calls.tick)
		u->calls.tick(u->calls.data);
}

static void pause_reading(void *data, bool paused)
{
	struct api_upstream *u = data;

	u->paused = paused;
	if (paused) {
		http_watch_set(u->context->daemons->loop, &u->watch, -1, 0);
		return;
	}
	if (u->client)
		xv_forgive(u->client);
	api_upstream_wait(u);
}

static void stop(void *data)
{
	api_upstream_close(data);
}

static void log_work(void *data, struct http_work_log *out)
{
	const struct api_upstream *u = data;

	out->model = u->daemon ? api_upstream_model(u) : NULL;
	out->prompt_tokens = u->prompt_tokens;
	out->output_tokens = u->output_tokens;
}

static void destroy(void *data)
{
	struct api_upstream *u = data;

	if (u->calls.free)
		u->calls.free(u->calls.data);
	*u->link = u->next;
	if (u->next)
		u->next->link = u->link;
	free(u->adapter);
	free(u);
}

struct api_upstream *api_upstream_for_none(struct http_exchange *x)
{
	struct api_upstream *u = xalloc(1, sizeof *u);

	u->x = x;
	u->context = api_context(x);
	u->watch = (struct http_watch){on_event, u, -1, 0};
	api_name_asker(x, NULL, u->asker);
	u->next = u->context->upstreams;
	u->link = &u->context->upstreams;
	if (u->next)
		u->next->link = &u->next;
	u->context->upstreams = u;
	http_attach(x, (struct http_work){tick, pause_reading, stop, log_work, destroy, u});
	return u;
}

struct api_upstream *api_upstream_for_model(struct http_exchange *x)
{
	const struct json *name = json_get(http_body(x), "model");
	struct gateway_daemon *d;
	struct api_upstream *u;

	if (!json_none(name) && !json_str(name)) {
		http_answer_error(x, 400, NULL, "model", "model must be a string, not %s", json_kind_name(name));
		return NULL;
	}
	d = gateway_daemon_find(api_context(x)->daemons, json_str(name), json_none(name) ? 0 : json_len(name));
	if (!d) {
		http_answer_error(x, 404, "model_not_found", "model", "model %.100s does not exist", json_str(name));
		return NULL;
	}
	u = api_upstream_for_none(x);
	u->daemon = d;
	if (json_len(name) && strcmp(gateway_daemon_name(d), json_str(name)) &&
	    gateway_daemon_adapter(d, json_str(name)))
		u->adapter = xstrdup(json_str(name));
	return u;
}

const char *api_upstream_model(const struct api_upstream *u)
{
	return u->adapter ? u->adapter : gateway_daemon_name(u->daemon);
}

bool api_upstream_connect(struct api_upstream *u)
{
	const struct gateway_daemon *d = u->daemon;
	struct xv_options how = {.path = d->socket,
				 .no_wait = true,
				 .resume_timeout_ms = u->context->resume_ms,
				 .loading_timeout_ms = d->was_ready ? 0 : -1};
	struct why why;
	int err;

	if (d->state == DAEMON_SILENT && !d->was_ready) {
		api_answer_err(u->x, d, ERR_LOADING, "the daemon has not responded yet", 1000);
		return false;
	}
	err = xv_connect(&u->client, &how, why.text);
	if (err)
		api_answer_err(u->x, d, err == ERR_BUSY ? err : ERR_GONE, why.text, 1000);
	return !err;
}

void api_put_receipt(struct text *out, const struct xv_started *s)
{
	text_fmt(out, "%s%s%s/%s", s->fingerprint, *s->adapter ? "+" : "", s->adapter_fingerprint, s->numerics_class);
}
