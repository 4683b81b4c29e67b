/* requests.c - /v1/requests/ID: the place in the queue of a request that is open, and its cancelling. */
#include <string.h>

#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/api/upstream.h"
#include "rpc/gateway/http/answer.h"

/* Takes the id of a request, or of its response, which has a prefix. */
static bool same_id(const char *asked, size_t len, const char *id)
{
	static const char *const prefixes[] = {"", "cmpl-", "chatcmpl-", "resp_"};

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		size_t n = strlen(prefixes[i]);
		if (len == n + strlen(id) && !strncmp(asked, prefixes[i], n) && !memcmp(asked + n, id, len - n))
			return true;
	}
	return false;
}

/* Ids are the clients' choice, so a request is seen and cancelled only with the key that made it. */
static bool is_open(const struct http_exchange *x, const struct api_upstream *u, size_t len)
{
	return u->calls.cancel && u->client && http_key_name(u->x) == http_key_name(x) &&
	       same_id(http_tail(x), len, http_request_id(u->x));
}

static void refuse(struct http_exchange *x)
{
	http_answer_error(x, 404, "not_found", NULL, "no such request is open");
}

void api_open_request(struct http_exchange *x)
{
	size_t len = strlen(http_tail(x));

	for (struct api_upstream *u = api_context(x)->upstreams; u; u = u->next)
		if (is_open(x, u, len)) {
			http_answer_json(x, 200,
					 json_pack("{s:s, s:i}", "id", http_request_id(u->x), "queue_place",
						   (int)u->queue_place));
			return;
		}
	refuse(x);
}

static void cancel(struct http_exchange *x, size_t len)
{
	int n = 0;

	for (struct api_upstream *u = api_context(x)->upstreams, *next; u; u = next) {
		next = u->next;
		if (!is_open(x, u, len))
			continue;
		u->calls.cancel(u->calls.data);
		n++;
	}
	if (n)
		http_answer_json(x, 200, json_pack("{s:i}", "cancelled", n));
	else
		refuse(x);
}

void api_cancel_by_post(struct http_exchange *x)
{
	const char *tail = http_tail(x);
	size_t len = strcspn(tail, "/");

	if (strcmp(tail + len, "/cancel"))
		refuse(x);
	else
		cancel(x, len);
}

void api_cancel_by_delete(struct http_exchange *x)
{
	cancel(x, strlen(http_tail(x)));
}
