/* models.c - GET /v1/models and /v1/models/NAME. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
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

/* As vLLM lists one: with the model that it belongs to, and where it comes from. */
static json_t *adapter_json(const struct gateway_daemon *d, const struct xv_adapter *l)
{
	json_t *j = model_json(d);

	json_object_set_new(j, "id", json_string(l->name));
	json_object_set_new(j, "parent", json_string(gateway_daemon_name(d)));
	json_object_set_new(j, "root", json_string(l->dir));
	json_object_set_new(j, "fingerprint", json_string(l->fingerprint));
	return j;
}

static void add_adapters(json_t *list, const struct gateway_daemon *d)
{
	const struct xv_status *s = gateway_daemon_status(d);

	for (int i = 0; s && i < s->n_adapter; i++)
		if (s->adapter[i].state == XV_ADAPTER_READY)
			json_array_append_new(list, adapter_json(d, &s->adapter[i]));
}

void api_models(struct http_exchange *x)
{
	const struct gateway_daemons *all = api_context(x)->daemons;
	json_t *list = json_array();

	for (int i = 0; i < all->n; i++)
		json_array_append_new(list, model_json(&all->daemon[i]));
	for (int i = 0; i < all->n; i++)
		add_adapters(list, &all->daemon[i]);
	http_answer_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Clients write "/" and letters beyond ASCII as %XX. Not UTF-8, or U+0000: left as it is. */
static char *decoded(const char *tail)
{
	char *name = xstrdup(tail), *to = name;
	size_t bad;

	for (const char *c = tail; *c; to++) {
		int high = *c == '%' ? hex_digit(c[1]) : -1, low = high < 0 ? -1 : hex_digit(c[2]);
		*to = low < 0 ? *c : (char)(16 * high + low);
		c += low < 0 ? 1 : 3;
	}
	*to = 0;
	if (strlen(name) == (size_t)(to - name) && utf8_valid(name, strlen(name), &bad))
		return name;
	strcpy(name, tail);
	return name;
}

static void answer_model(struct http_exchange *x, const char *name)
{
	struct gateway_daemons *all = api_context(x)->daemons;
	const struct gateway_daemon *d = *name ? gateway_daemon_find(all, name, strlen(name)) : NULL;
	const struct xv_adapter *l = d ? gateway_daemon_adapter(d, name) : NULL;

	if (!*name)
		api_models(x);
	else if (!d || (!l && strcmp(gateway_daemon_name(d), name)))
		http_answer_error(x, 404, "model_not_found", NULL, "model %.100s does not exist", name);
	else
		http_answer_json(x, 200, strcmp(gateway_daemon_name(d), name) ? adapter_json(d, l) : model_json(d));
}

void api_model(struct http_exchange *x)
{
	char *name = decoded(http_tail(x));

	answer_model(x, name);
	free(name);
}
