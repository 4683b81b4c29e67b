#include <stdio.h>
#include <stdlib.h>

#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

/* A field without a key is left out. */
static void set_number(json_t *j, const char *key, int64_t value)
{
	if (key)
		json_object_set_new(j, key, json_integer(value));
}

static void set_text(json_t *j, const char *key, const char *text)
{
	if (key)
		json_object_set_new(j, key, json_string(text));
}

static json_t *ranks_json(const struct xv_status *s)
{
	json_t *list = json_array();

	for (int i = 0; i < s->n_rank; i++) {
		json_t *j = json_object();
#define RANK(field, type, cli, gateway, ...) set_number(j, gateway, (int64_t)s->rank[i].field);
#include "proto/status.def"
		json_array_append_new(list, j);
	}
	return list;
}

/* A float as its shortest decimal: 0.92, not 0.92000001668930054. */
static json_t *decimal(float x)
{
	char text[32];

	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)x);
		if (strtof(text, NULL) == x)
			break;
	}
	return json_real(strtod(text, NULL));
}

/* The value of each sampling field in a request that does not name it; a field without one is left out. */
static json_t *defaults_json(const struct xv_sampling *s)
{
	json_t *j = json_object();

#define FIELD(NAME, key, make) \
	if (s->has >> XV_##NAME & 1) \
		json_object_set_new(j, key, make);
#define REAL(NAME, field, ...) FIELD(NAME, #field, decimal(s->field))
#define WHOLE(NAME, type, field, wire, ...) FIELD(NAME, #wire, json_integer((json_int_t)s->field))
#include "proto/sampling.def"
#undef FIELD
	return j;
}

static json_t *server_json(const struct gateway_daemon *d)
{
	const struct xv_status *s = gateway_daemon_status(d);
	json_t *j = json_pack("{s:s, s:s}", "id", gateway_daemon_name(d), "state", gateway_daemon_state_name(d));

	if (!s)
		return j;
#define TEXT(field, cli, gateway, ...) set_text(j, gateway, s->field);
#define NUMBER(field, type, cli, gateway, ...) set_number(j, gateway, (int64_t)s->field);
#include "proto/status.def"
	set_number(j, "uptime_s", (int64_t)(s->uptime_ns / 1000000000u));
	json_object_set_new(j, "defaults", defaults_json(&s->defaults));
	json_object_set_new(j, "rank", ranks_json(s));
	return j;
}

void api_server_info(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	json_t *list = json_array();

	for (int i = 0; i < all->n; i++)
		json_array_append_new(list, server_json(&all->daemon[i]));
	http_answer_json(x, 200, json_pack("{s:o, s:s*}", "models", list, "title", api_context(x)->title));
}
