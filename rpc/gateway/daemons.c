/* model.c - what is known of each daemon: a Status asked for once a second. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>

#include "rpc/frame.h"
#include "rpc/gateway/gateway.h"

enum { MS = 1000000, ASK_MS = 1000, FIRST_ASK_MS = 100, SILENT_MS = 4000 };

static void drop(struct model *m, enum model_state state, const char *why)
{
	watch_gone(m->g, &m->watch);
	xv_close(m->client);
	m->client = NULL;
	m->asked_id = 0;
	m->state = state;
	m->next_ns = now_ns() + (uint64_t)ASK_MS / 2 * MS;
	snprintf(m->why, sizeof m->why, "%s", why);
}

/* A copy that owns its memory: encoded and decoded again. */
static void keep(struct model *m, const struct rpc_reply *r)
{
	static const enum model_state states[] = {MODEL_LOADING, MODEL_LOADING, MODEL_READY, MODEL_DRAINING};
	struct rpc_out bytes = {0};
	const uint8_t *payload;
	struct why why;
	size_t size;

	rpc_reply_encode(&bytes, r);
	REQUIRE(frame_next(bytes.data, bytes.len, SIZE_MAX / 2, &payload, &size) > 0);
	rpc_reply_free(&m->status);
	if (rpc_reply_decode(&m->status, payload, size, &why))
		m->status.kind = RPC_R_NONE;
	rpc_out_finish(&bytes);
	m->state = states[min_int((int)r->status.state, 3)];
	m->was_ready |= m->state == MODEL_READY;
	if (!m->created)
		m->created = (int64_t)time(NULL);
}

static void ask(struct model *m)
{
	struct rpc_request r = {.kind = RPC_STATUS};

	if (!m->no_asker)
		r.asker.client = "xverse-gateway";
	m->asked_id = xv_send(m->client, &r);
	m->asked_ns = now_ns();
	m->next_ns = m->asked_ns + (uint64_t)(m->state == MODEL_READY ? ASK_MS : FIRST_ASK_MS) * MS;
}

static void connect_model(struct model *m)
{
	struct xv_options how = {.path = m->socket, .no_wait = true, .no_resume = true};
	struct why why;

	if (xv_connect(&m->client, &how, &why))
		drop(m, MODEL_UNREACHABLE, why.text);
	else
		ask(m);
}

static void take(struct model *m, const struct rpc_reply *r)
{
	if (r->id != m->asked_id)
		return;
	if (r->kind == RPC_R_STATUS)
		keep(m, r);
	else if (r->kind == RPC_R_ERROR && r->error.code == ERR_DENIED && !m->no_asker) {
		m->no_asker = true;
		log_event(
			LOG_WARN,
			"the daemon does not take from this user for whom it asks: all clients are one (--gateway-uid)",
			" model=\"%s\"", model_name(m));
	}
	m->asked_id = 0;
}

void model_look(struct model *m)
{
	struct rpc_reply r;
	struct why why = {""};
	int got;

	if (!m->client && now_ns() >= m->next_ns)
		connect_model(m);
	while (m->client && (got = xv_wait(m->client, &r, 0, &why))) {
		if (got < 0) {
			drop(m, MODEL_UNREACHABLE, why.text);
			return;
		}
		take(m, &r);
	}
	if (!m->client)
		return;
	if (m->asked_id && now_ns() - m->asked_ns > (uint64_t)SILENT_MS * MS) {
		drop(m, MODEL_SILENT, "the daemon does not answer");
		return;
	}
	if (!m->asked_id && now_ns() >= m->next_ns)
		ask(m);
	watch_set(m->g, &m->watch, xv_fd(m->client), EPOLLIN);
}

void models_open(struct gateway *g)
{
	g->n_models = g->how.n_models;
	for (int i = 0; i < g->n_models; i++) {
		struct model *m = &g->models[i];
		*m = (struct model){.g = g, .name = g->how.model_name[i], .socket = g->how.model_socket[i]};
		m->watch = (struct watch){.kind = WATCH_MODEL, .owner = m, .fd = -1};
		model_look(m);
	}
}

void models_close(struct gateway *g)
{
	for (int i = 0; i < g->n_models; i++) {
		drop(&g->models[i], MODEL_UNREACHABLE, "");
		rpc_reply_free(&g->models[i].status);
	}
}

const struct rpc_status *model_status(const struct model *m)
{
	return m->status.kind == RPC_R_STATUS ? &m->status.status : NULL;
}

/* A model without a name goes by the one that its daemon tells. */
const char *model_name(const struct model *m)
{
	const struct rpc_status *s = model_status(m);

	return m->name ? m->name : s && *s->model ? s->model : "default";
}

static struct model *by_name(struct gateway *g, const char *name)
{
	for (int i = 0; i < g->n_models; i++)
		if (!strcmp(model_name(&g->models[i]), name))
			return &g->models[i];
	return NULL;
}

/* A single model whose daemon has not told its name yet takes any. */
static bool name_unknown(const struct gateway *g)
{
	return g->n_models == 1 && !g->models[0].name && !model_status(&g->models[0]);
}

struct model *model_of(struct exchange *x)
{
	const struct json *name = json_get(exchange_json(x), "model");
	struct gateway *g = x->g;
	struct model *m;

	if (json_none(name) || (json_str(name) && !json_len(name)))
		return x->model = &g->models[0];
	if (!json_str(name)) {
		answer_error(x, 400, NULL, "model", "model must be a string, not %s", json_kind_name(name));
		return NULL;
	}
	m = strlen(json_str(name)) != json_len(name) ? NULL
	    : name_unknown(g)                        ? &g->models[0]
						     : by_name(g, json_str(name));
	if (!m)
		answer_error(x, 404, "model_not_found", "model", "there is no model %.100s here", json_str(name));
	return x->model = m;
}
