#include "rpc/gateway/http/answer.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/http/inside.h"

static const char *type_of(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 429:
		return "rate_limit_error";
	case 503:
		return "unavailable_error";
	case 501:
		return "not_implemented_error";
	default:
		return status >= 500 ? "server_error" : "invalid_request_error";
	}
}

static void put_or_null(struct text *t, const char *s)
{
	if (s)
		text_json_str(t, s);
	else
		text_str(t, "null");
}

void http_error_json(struct text *t, int status, const char *code, const char *param, const char *message)
{
	text_str(t, "{\"error\":{\"message\":");
	text_json_str(t, message);
	text_str(t, ",\"type\":");
	text_json_str(t, type_of(status));
	text_str(t, ",\"param\":");
	put_or_null(t, param);
	text_str(t, ",\"code\":");
	put_or_null(t, code);
	text_str(t, "}}");
}

void http_answer_text(struct http_exchange *x, int status, const char *type, struct text *body)
{
	struct http_answer *a = &x->answer;

	text_finish(&a->body);
	a->status = status;
	a->type = type;
	a->body = *body;
	*body = (struct text){0};
	http_wake(x);
}

void http_answer_json(struct http_exchange *x, int status, json_t *j)
{
	struct text t = {0};
	char *s = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15)); /* 0.85, not 0.84999999999999998 */

	text_str(&t, s ? s : "{}");
	free(s);
	json_decref(j);
	http_answer_text(x, status, "application/json", &t);
}

static void put_error(struct http_exchange *x, int status, const char *code, const char *param, const char *message)
{
	struct text t = {0};

	http_error_json(&t, status, code, param, message);
	if ((status == 503 || status == 429) && !x->answer.retry_after)
		x->answer.retry_after = status == 429 ? 1 : 2;
	if (status == 501)
		x->answer.retry = HTTP_RETRY_NEVER;
	x->answer.ask_key = status == 401;
	http_answer_text(x, status, "application/json", &t);
}

void http_answer_error(struct http_exchange *x, int status, const char *code, const char *param, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	put_error(x, status, code, param, message);
}

/* A browser sends a preflight before the request itself. "*" would not cover Authorization, so the names that it asks
 * for are repeated. */
static void add_preflight(const struct http_exchange *x, struct MHD_Response *r)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_, ";
	const char *asked = http_header(x, "Access-Control-Request-Headers");

	MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
	MHD_add_response_header(r, "Access-Control-Max-Age", "600");
	if (asked && strspn(asked, allowed) == strlen(asked))
		MHD_add_response_header(r, "Access-Control-Allow-Headers", asked);
}

static void add_cors(const struct http_exchange *x, struct MHD_Response *r)
{
	if (!x->head.origin)
		return;
	MHD_add_response_header(r, "Access-Control-Allow-Origin", x->head.origin);
	MHD_add_response_header(r, "Vary", "Origin");
	MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
	if (!strcmp(x->head.method, "OPTIONS"))
		add_preflight(x, r);
}

void http_answer_retry(struct http_exchange *x, int after_seconds, enum http_retry retry)
{
	x->answer.retry_after = after_seconds;
	x->answer.retry = retry;
}

void http_answer_ignored(struct http_exchange *x, const char *names)
{
	snprintf(x->answer.ignored, sizeof x->answer.ignored, "%s", names);
}

void http_answer_policy(struct http_exchange *x, const char *policy)
{
	x->answer.policy = policy;
}

int64_t http_answer_bytes(const struct http_exchange *x)
{
	return (int64_t)x->answer.body.max;
}

void http_answer_headers(struct http_exchange *x, struct MHD_Response *r)
{
	const struct http_answer *a = &x->answer;
	char number[16];

	MHD_add_response_header(r, "X-Request-Id", x->head.id);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	add_cors(x, r);
	if (a->retry_after) {
		snprintf(number, sizeof number, "%d", a->retry_after);
		MHD_add_response_header(r, "Retry-After", number);
	}
	if (a->retry != HTTP_RETRY_BY_STATUS)
		MHD_add_response_header(r, "x-should-retry", a->retry == HTTP_RETRY_ALWAYS ? "true" : "false");
	if (*a->ignored)
		MHD_add_response_header(r, "X-Ignored-Fields", a->ignored);
	if (*a->allow)
		MHD_add_response_header(r, "Allow", a->allow);
	if (a->policy) {
		MHD_add_response_header(r, "Content-Security-Policy", a->policy);
		MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
		MHD_add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
		MHD_add_response_header(r, "Cache-Control", "no-cache");
	}
	if (a->ask_key)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (a->close || x->server->draining)
		MHD_add_response_header(r, "Connection", "close");
}

struct MHD_Response *http_answer_response(struct http_exchange *x)
{
	struct http_answer *a = &x->answer;
	struct MHD_Response *r;

	text_put(&a->body, "", 0);
	r = MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_FREE);
	if (!r)
		return NULL;
	a->body.data = NULL; /* libmicrohttpd frees it */
	if (a->type)
		MHD_add_response_header(r, "Content-Type", a->type);
	http_answer_headers(x, r);
	x->conn->given += a->body.len;
	x->sent_bytes = a->body.len;
	return r;
}
