/* exchange.c - one request and its response, from its head to its last byte. */
#include "rpc/gateway/http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/http/inside.h"

struct http_exchange *http_exchange_create(struct http_connection *c, const char *method, const char *path,
					   const char *version)
{
	struct http_exchange *x = xalloc(1, sizeof *x);
	struct http_server *s = c->server;

	x->server = s;
	x->conn = c;
	x->start_ns = now_ns();
	x->head.path = path;
	x->head.http11 = !strcmp(version, "HTTP/1.1");
	snprintf(x->head.method, sizeof x->head.method, "%s", method);
	http_head_set_id(x);
	x->next = s->exchanges;
	x->link = &s->exchanges;
	if (x->next)
		x->next->link = &x->next;
	s->exchanges = x;
	s->count.exchanges++;
	c->x = x;
	return x;
}

void http_attach(struct http_exchange *x, struct http_work work)
{
	REQUIRE(!x->work.free);
	x->work = work;
}

static void stop_work(struct http_exchange *x)
{
	if (x->work.stop)
		x->work.stop(x->work.data);
}

void http_exchange_destroy(struct http_exchange *x)
{
	stop_work(x);
	if (x->work.free)
		x->work.free(x->work.data);
	*x->link = x->next;
	if (x->next)
		x->next->link = x->link;
	x->server->count.exchanges--;
	http_budget_leave(x);
	if (x->head.account)
		x->head.account->open--;
	x->conn->x = NULL;
	text_finish(&x->body.bytes);
	text_finish(&x->answer.body);
	text_finish(&x->stream.queue);
	json_close(x->body.doc);
	free(x->head.tail);
	free(x->head.origin);
	free(x);
}

/* Names the field that the refused value belongs to. */
static void refuse_json(struct http_exchange *x, const struct json_error *e)
{
	size_t n = strcspn(e->path, ".[");
	bool values = e->err == ERR_LIMIT && !strstr(e->text, "deep");
	char field[64];
	struct why why;

	snprintf(field, sizeof field, "%.*s", (int)n, e->path);
	json_why(&why, e, values ? "the body is too large" : "the body is not valid JSON");
	http_answer_error(x, values ? 413 : 400, NULL, *field ? field : NULL, "%s", why.text);
}

static void drop_json(struct http_exchange *x)
{
	json_close(x->body.doc);
	x->body.doc = NULL;
	http_budget_set(x, HTTP_BUDGET_JSON, 0);
}

static void take_json(void *data, struct json_doc *doc, const struct json_error *e)
{
	struct http_exchange *x = data;
	int status;

	x->body.reading = false;
	x->body.doc = doc;
	text_finish(&x->body.bytes);
	http_budget_set(x, HTTP_BUDGET_BODY, 0);
	status = http_budget_set(x, HTTP_BUDGET_JSON, doc ? (int64_t)json_bytes(doc) : 0);
	if (x->conn->hung_up || x->cut)
		http_exchange_hung_up(x);
	else if (!doc)
		refuse_json(x, e);
	else if (status)
		http_answer_error(x, status, "overloaded", NULL, "%s", http_budget_text(status));
	else if (!json_is(json_root(doc), JSON_IS_OBJECT))
		http_answer_error(x, 400, NULL, NULL, "the body must be a JSON object");
	else
		x->head.route->begin(x);
	drop_json(x);
}

void http_exchange_begin(struct http_exchange *x)
{
	const struct text *body = &x->body.bytes;
	struct json_error e;
	struct json_doc *doc;

	x->begun = true;
	if (x->answer.status)
		return;
	if (!(x->head.route->flags & HTTP_JSON)) {
		x->head.route->begin(x);
		return;
	}
	if (body->len > HTTP_LARGE_BODY) {
		x->body.reading = true;
		http_bodies_put(x->server->bodies, &x->body.bytes, take_json, x);
		return;
	}
	doc = http_read_json(body->data ? body->data : "", body->len, &e);
	take_json(x, doc, &e);
}

/* Nothing is worth doing any more. */
void http_exchange_hung_up(struct http_exchange *x)
{
	stop_work(x);
	x->cut = true;
	if (!x->body.reading)
		http_wake(x);
}

bool http_exchange_is_sent(const struct http_exchange *x)
{
	const struct http_stream *s = &x->stream;

	return x->queued && (!s->on || (s->ended && s->sent == s->queue.len));
}

void http_exchange_tick(struct http_exchange *x)
{
	const struct http_server *s = x->server;

	if (s->draining && x->stream.on && now_ns() > s->drain_end_ns && !x->stream.ended)
		http_exchange_hung_up(x);
	if (x->work.tick)
		x->work.tick(x->work.data);
	http_stream_tick(x);
}

/* ---- what endpoints ask for ---- */

void *http_context(const struct http_exchange *x)
{
	return x->server->context;
}

const struct http_route *http_routes(const struct http_exchange *x, int *n)
{
	*n = x->server->n_routes;
	return x->server->routes;
}

const struct http_counts *http_counts(const struct http_exchange *x)
{
	return &x->server->count;
}

const struct json *http_body(const struct http_exchange *x)
{
	return json_root(x->body.doc);
}
