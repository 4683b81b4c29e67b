/* exchange.c - one request and its answer, from its head to its last byte. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "rpc/gateway/api/request.h"
#include "rpc/gateway/gateway.h"

/* The client's own id where it can go into a header unchanged, else a fresh one. */
static void set_id(struct exchange *x)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *asked = MHD_lookup_connection_value(x->conn->http, MHD_HEADER_KIND, "X-Request-Id");
	size_t len = asked ? strlen(asked) : 0;
	uint64_t random[2] = {now_ns(), (uintptr_t)x};

	if (len && len <= 128 && strspn(asked, allowed) == len) {
		memcpy(x->id, asked, len + 1);
		return;
	}
	if (getrandom(random, sizeof random, 0) < 0)
		log_at(LOG_WARN, "getrandom failed: a request id was made from the clock");
	snprintf(x->id, sizeof x->id, "%016jx%08x", (uintmax_t)random[0], (unsigned)random[1]);
}

struct exchange *exchange_create(struct connection *c, const char *method, const char *path, const char *version)
{
	struct exchange *x = xalloc(1, sizeof *x);
	struct gateway *g = c->g;

	x->g = g;
	x->conn = c;
	x->watch = (struct watch){.kind = WATCH_EXCHANGE, .owner = x, .fd = -1};
	x->path = path;
	x->start_ns = now_ns();
	x->http11 = !strcmp(version, "HTTP/1.1");
	snprintf(x->method, sizeof x->method, "%s", method);
	set_id(x);
	exchange_name_asker(x, NULL);
	x->next = g->exchanges;
	x->link = &g->exchanges;
	if (x->next)
		x->next->link = &x->next;
	g->exchanges = x;
	g->n_exchanges++;
	c->x = x;
	return x;
}

void exchange_forget_daemon(struct exchange *x)
{
	watch_gone(x->g, &x->watch);
	xv_close(x->client);
	x->client = NULL;
}

void exchange_destroy(struct exchange *x)
{
	exchange_forget_daemon(x);
	if (x->ops)
		x->ops->free(x);
	*x->link = x->next;
	if (x->next)
		x->next->link = x->link;
	x->g->n_exchanges--;
	budget_leave(x);
	if (x->account)
		x->account->open--;
	x->conn->x = NULL;
	text_finish(&x->body);
	text_finish(&x->answer.body);
	text_finish(&x->stream.queue);
	json_close(x->doc);
	free(x->tail_copy);
	free(x->origin);
	free(x);
}

void exchange_wake(struct exchange *x)
{
	if (!x->suspended)
		return;
	x->suspended = false;
	x->g->run_http = true;
	MHD_resume_connection(x->conn->http);
}

/* A route without a body starts at once, another after its JSON. */
void exchange_begin(struct exchange *x)
{
	struct json_error e;
	struct json_doc *doc;

	x->begun = true;
	if (x->answer.status)
		return;
	if (strcmp(x->method, "POST") || x->route->begin == post_cancel) {
		x->route->begin(x);
		return;
	}
	if (x->body.len > GW_LARGE_BODY) {
		x->parsing = true;
		parser_put(x);
		return;
	}
	doc = parse_body(x->body.data ? x->body.data : "", x->body.len, &e);
	exchange_parsed(x, doc, &e);
}

/* Names the field that the refused value belongs to. */
static void refuse_json(struct exchange *x, const struct json_error *e)
{
	size_t n = strcspn(e->path, ".[");
	bool values = e->err == ERR_LIMIT && !strstr(e->text, "deep");
	char field[64];
	struct why why;

	snprintf(field, sizeof field, "%.*s", (int)n, e->path);
	json_why(&why, e, values ? "the body is too large" : "the body is not valid JSON");
	answer_error(x, values ? 413 : 400, NULL, *field ? field : NULL, "%s", why.text);
}

void exchange_parsed(struct exchange *x, struct json_doc *doc, const struct json_error *e)
{
	int status;

	x->parsing = false;
	x->doc = doc;
	text_finish(&x->body);
	budget_set(x, BUDGET_BODY, 0);
	status = budget_set(x, BUDGET_JSON, doc ? (int64_t)json_bytes(doc) : 0);
	if (x->conn->hung_up || x->cut)
		exchange_hung_up(x);
	else if (!doc)
		refuse_json(x, e);
	else if (status)
		answer_error(x, status, "overloaded", NULL, "%s", budget_text(status));
	else if (!json_is(json_root(doc), JSON_IS_OBJECT))
		answer_error(x, 400, NULL, NULL, "the body must be a JSON object");
	else
		x->route->begin(x);
	exchange_drop_json(x);
}

const struct json *exchange_json(const struct exchange *x)
{
	return json_root(x->doc);
}

void exchange_drop_json(struct exchange *x)
{
	json_close(x->doc);
	x->doc = NULL;
	budget_set(x, BUDGET_JSON, 0);
}

/* The client is gone, or what it does is cut short: nothing is worth doing any more. */
void exchange_hung_up(struct exchange *x)
{
	exchange_forget_daemon(x);
	x->cut = true;
	if (!x->parsing)
		exchange_wake(x);
}

bool exchange_connect(struct exchange *x)
{
	struct xv_options how = {.path = x->model->socket,
				 .no_wait = true,
				 .resume_timeout_ms = (int)x->g->how.resume_ms,
				 .loading_timeout_ms = x->model->was_ready ? 0 : -1};
	struct why why;
	int err;

	if (x->model->state == MODEL_SILENT && !x->model->was_ready) {
		answer_err(x, ERR_LOADING, "the daemon does not answer yet", 1000);
		return false;
	}
	err = xv_connect(&x->client, &how, &why);
	if (err)
		answer_err(x, err == ERR_BUSY ? err : ERR_GONE, why.text, 1000);
	return !err;
}

uint64_t exchange_send(struct exchange *x, struct rpc_request *r)
{
	if (x->model && !x->model->no_asker)
		r->asker = (struct rpc_asker){x->account ? x->account->name : "", x->asks};
	return xv_send(x->client, r);
}

void exchange_arm(struct exchange *x)
{
	if (x->client && !x->stream.held)
		watch_set(x->g, &x->watch, xv_fd(x->client), EPOLLIN | (xv_unsent(x->client) ? (uint32_t)EPOLLOUT : 0));
}

static void count_resends(struct exchange *x)
{
	int n = xv_resends(x->client) - x->resends;

	if (n <= 0)
		return;
	x->resends += n;
	x->g->count.resends += (uint64_t)n;
	log_event(LOG_WARN, "the daemon was lost: calls are sent again", " calls=%d id=%s model=\"%s\"", n, x->id,
		  model_name(x->model));
}

void exchange_read(struct exchange *x)
{
	struct rpc_reply r;
	struct why why = {""};
	int got;

	while (x->client && !x->stream.held) {
		got = xv_wait(x->client, &r, 0, &why);
		count_resends(x);
		if (!got)
			break;
		if (got < 0) {
			exchange_forget_daemon(x);
			x->ops->lost(x, got, why.text);
			return;
		}
		x->queue_place = r.kind == RPC_R_KEEP_ALIVE ? r.keep_alive.queue_place : 0;
		if (r.kind != RPC_R_KEEP_ALIVE)
			x->ops->take(x, &r);
	}
	exchange_arm(x);
}

void exchange_tick(struct exchange *x)
{
	if (x->g->draining && x->stream.on && now_ns() > x->g->drain_end_ns && !x->stream.ended)
		exchange_hung_up(x);
	if (x->client)
		exchange_read(x);
	if (x->client && x->ops->tick)
		x->ops->tick(x);
	stream_tick(x);
}

void exchange_receipt(struct text *out, const char *fingerprint, const char *numerics_class)
{
	text_fmt(out, "%s/%s", fingerprint, numerics_class);
}

const char *exchange_header(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->conn->http, MHD_HEADER_KIND, name);
}
