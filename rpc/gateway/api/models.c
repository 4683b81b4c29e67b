/* models.c - GET /v1/models and /v1/models/NAME. */
#include <string.h>

#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

static json_t *model_json(const struct gateway_daemon *d)
{
	const struct xv_status *s = gateway_daemon_status(d);
	json_t *j = json_pack("{s:s, s:s, s:I, s:s}", "id", gateway_daemon_name(d), "object", "model", "created",
			      (json_int_t)d->created, "owned_by", "xversed");

	if (s && s->max_model_len)
		json_object_set_new(j, "max_model_len", json_integer(s->max_model_len));
	return j;
}

void api_models(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	json_t *list = json_array();

	for (int i = 0; i < all->n; i++)
		json_array_append_new(list, model_json(&all->daemon[i]));
	http_answer_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

void api_model(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	const char *name = http_tail(x);

	if (!*name) {
		api_models(x);
		return;
	}
	for (int i = 0; i < all->n; i++)
		if (!strcmp(gateway_daemon_name(&all->daemon[i]), name)) {
			http_answer_json(x, 200, model_json(&all->daemon[i]));
			return;
		}
	http_answer_error(x, 404, "model_not_found", NULL, "model %.100s does not exist", name);
}
