#include "rpc/gateway/daemons.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "rpc/frame.h"

enum { ASK_MS = 1000, FIRST_ASK_MS = 100, SILENT_MS = 4000 };

static void drop(struct gateway_daemon *d, enum gateway_daemon_state state, const char *why)
{
	http_watch_drop(d->all->loop, &d->watch);
	xv_close(d->client);
	d->client = NULL;
	d->asked_id = 0;
	d->state = state;
	d->next_ns = now_ns() + (uint64_t)ASK_MS / 2 * NS_PER_MS;
	snprintf(d->why, sizeof d->why, "%s", why);
}

/* Keeps a copy that owns its memory, by encoding and decoding it. */
static void keep(struct gateway_daemon *d, const struct xv_reply *r)
{
	static const enum gateway_daemon_state states[] = {DAEMON_LOADING, DAEMON_LOADING, DAEMON_READY,
							   DAEMON_DRAINING};
	struct rpc_out bytes = {0};
	const uint8_t *payload;
	struct why why;
	size_t size;

	rpc_reply_encode(&bytes, r);
	REQUIRE(frame_next(bytes.data, bytes.len, SIZE_MAX / 2, &payload, &size) > 0);
	rpc_reply_free(&d->status);
	if (rpc_reply_decode(&d->status, payload, size, &why))
		d->status.kind = XV_R_NONE;
	rpc_out_finish(&bytes);
	d->state = states[min_int((int)r->status.state, 3)];
	d->was_ready |= d->state == DAEMON_READY;
	if (!d->created)
		d->created = (int64_t)time(NULL);
}

static void ask(struct gateway_daemon *d)
{
	struct xv_request r = {.kind = XV_STATUS};

	if (!d->no_asker)
		r.asker.client = "xverse-gateway";
	d->asked_id = xv_send(d->client, &r);
	d->asked_ns = now_ns();
	d->next_ns = d->asked_ns + (uint64_t)(d->state == DAEMON_READY ? ASK_MS : FIRST_ASK_MS) * NS_PER_MS;
}

static void connect_daemon(struct gateway_daemon *d)
{
	struct xv_options how = {.path = d->socket, .no_wait = true, .no_resume = true};
	struct why why;

	if (xv_connect(&d->client, &how, why.text))
		drop(d, DAEMON_UNREACHABLE, why.text);
	else
		ask(d);
}

static void take(struct gateway_daemon *d, const struct xv_reply *r)
{
	if (r->id != d->asked_id)
		return;
	if (r->kind == XV_R_STATUS)
		keep(d, r);
	else if (r->kind == XV_R_ERROR && r->error.code == ERR_DENIED && !d->no_asker) {
		d->no_asker = true;
		log_event(
			LOG_WARN,
			"the daemon does not accept client names from this user and treats all clients as one (--gateway-uid)",
			" model=\"%s\"", gateway_daemon_name(d));
	}
	d->asked_id = 0;
}

static void look(struct gateway_daemon *d)
{
	struct xv_reply r;
	struct why why = {""};
	int got;

	if (!d->client && now_ns() >= d->next_ns)
		connect_daemon(d);
	while (d->client && (got = xv_wait(d->client, &r, 0, why.text))) {
		if (got < 0) {
			drop(d, DAEMON_UNREACHABLE, why.text);
			return;
		}
		take(d, &r);
	}
	if (!d->client)
		return;
	if (d->asked_id && now_ns() - d->asked_ns > (uint64_t)SILENT_MS * NS_PER_MS) {
		drop(d, DAEMON_SILENT, "the daemon stopped responding");
		return;
	}
	if (!d->asked_id && now_ns() >= d->next_ns)
		ask(d);
	http_watch_set(d->all->loop, &d->watch, xv_fd(d->client), EPOLLIN);
}

static void on_event(void *data, uint32_t events)
{
	(void)events;
	look(data);
}

static void tick(void *data, bool second)
{
	struct gateway_daemons *all = data;

	(void)second;
	for (int i = 0; i < all->n; i++)
		look(&all->daemon[i]);
}

void gateway_daemons_open(struct gateway_daemons *all, struct http_loop *loop, const char *const *name,
			  const char *const *socket, int n)
{
	*all = (struct gateway_daemons){.loop = loop, .n = n};
	for (int i = 0; i < n; i++) {
		struct gateway_daemon *d = &all->daemon[i];
		*d = (struct gateway_daemon){.all = all, .name = name[i], .socket = socket[i]};
		d->watch = (struct http_watch){on_event, d, -1, 0};
		look(d);
	}
	http_loop_add(loop, (struct http_hook){.tick = tick, .data = all});
}

void gateway_daemons_close(struct gateway_daemons *all)
{
	for (int i = 0; i < all->n; i++) {
		drop(&all->daemon[i], DAEMON_UNREACHABLE, "");
		rpc_reply_free(&all->daemon[i].status);
	}
}

const struct xv_status *gateway_daemon_status(const struct gateway_daemon *d)
{
	return d->status.kind == XV_R_STATUS ? &d->status.status : NULL;
}

const char *gateway_daemon_name(const struct gateway_daemon *d)
{
	const struct xv_status *s = gateway_daemon_status(d);

	return d->name ? d->name : s && *s->model ? s->model : "default";
}

/* A single daemon accepts any name as long as neither it nor --model has named its own. */
static bool takes_any_name(const struct gateway_daemons *all)
{
	return all->n == 1 && !all->daemon[0].name && !gateway_daemon_status(&all->daemon[0]);
}

const struct xv_adapter *gateway_daemon_adapter(const struct gateway_daemon *d, const char *name)
{
	const struct xv_status *s = gateway_daemon_status(d);

	for (int i = 0; s && i < s->n_adapter; i++)
		if (s->adapter[i].state == XV_ADAPTER_READY && !strcmp(s->adapter[i].name, name))
			return &s->adapter[i];
	return NULL;
}

struct gateway_daemon *gateway_daemon_find(struct gateway_daemons *all, const char *name, size_t len)
{
	if (!len)
		return &all->daemon[0];
	if (strlen(name) != len)
		return NULL;
	if (takes_any_name(all))
		return &all->daemon[0];
	for (int i = 0; i < all->n; i++)
		if (!strcmp(gateway_daemon_name(&all->daemon[i]), name))
			return &all->daemon[i];
	for (int i = 0; i < all->n; i++)
		if (gateway_daemon_adapter(&all->daemon[i], name))
			return &all->daemon[i];
	return NULL;
}

const char *gateway_daemon_state_name(const struct gateway_daemon *d)
{
	static const char *const names[] = {
		[DAEMON_UNREACHABLE] = "unreachable", [DAEMON_SILENT] = "silent",
		[DAEMON_LOADING] = "loading",         [DAEMON_READY] = "ready",
		[DAEMON_DRAINING] = "draining",
	};

	return names[d->state];
}
