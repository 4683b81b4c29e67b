/* answer.c - whole answers and the error object of the API. */
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/gateway.h"

enum { MAX_RETRY = 60 }; /* seconds: older official clients wait for no longer */

/* What an ERR_* is over HTTP. Clients choose their error class, and whether to try again, by the status alone. */
static const struct error_row {
	int err, status;
	const char *code;
	bool no_retry; /* a 4xx or 5xx that clients would send again for nothing */
} rows[] = {
	{ERR_INVALID, 400, NULL, false},
	{ERR_LIMIT, 400, "limit_exceeded", false},
	{ERR_UNSUPPORTED, 400, "unsupported", false},
	{ERR_UNKNOWN, 404, "not_found", false},
	{ERR_BUSY, 429, "queue_full", false},
	{ERR_LOADING, 503, "loading", false},
	{ERR_DRAINING, 503, "draining", false},
	{ERR_GONE, 503, "unreachable", false},
	{ERR_IO, 503, "unreachable", false},
	{ERR_DENIED, 503, "unreachable", false},
	{ERR_DEADLINE, 504, "deadline", true},
	{ERR_LOST_RANK, 500, "rank_failed", false},
	{ERR_MISMATCH, 409, "model_changed", true},
	{ERR_CANCELLED, 409, "cancelled", true},
	{ERR_FORMAT, 500, "internal", true},
	{ERR_INTERNAL, 500, "internal", true},
};

static const struct error_row *row_of(int err)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].err == err)
			return &rows[i];
	return row_of(ERR_INTERNAL);
}

int error_status(int err, const char **code)
{
	*code = row_of(err)->code;
	return row_of(err)->status;
}

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

void error_object(struct text *t, int status, const char *code, const char *param, const char *message)
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

void answer_text(struct exchange *x, int status, const char *type, struct text *body)
{
	struct answer *a = &x->answer;

	text_finish(&a->body);
	a->status = status;
	a->type = type;
	a->body = *body;
	*body = (struct text){0};
	exchange_wake(x);
}

void answer_json(struct exchange *x, int status, json_t *j)
{
	struct text t = {0};
	char *s = json_dumps(j, JSON_COMPACT);

	text_str(&t, s ? s : "{}");
	free(s);
	json_decref(j);
	answer_text(x, status, "application/json", &t);
}

static void put_error(struct exchange *x, int status, const char *code, const char *param, const char *message)
{
	struct text t = {0};

	error_object(&t, status, code, param, message);
	if ((status == 503 || status == 429) && !x->answer.retry_after)
		x->answer.retry_after = status == 429 ? 1 : 2;
	x->answer.no_retry |= status == 501;
	x->answer.ask_key = status == 401;
	answer_text(x, status, "application/json", &t);
}

void answer_error(struct exchange *x, int status, const char *code, const char *param, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	put_error(x, status, code, param, message);
}

/* The daemon's texts about a field begin with "name: " or "name[3]: ". */
static const char *param_of(const char *text, char out[40])
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz_");

	if (!n || n >= 40 || (text[n] != ':' && text[n] != '['))
		return NULL;
	memcpy(out, text, n);
	out[n] = 0;
	return out;
}

/* Paths and the like are for the log, not for clients. */
const char *error_told(int err, const char *text)
{
	if (strcmp(row_of(err)->code ? row_of(err)->code : "", "unreachable"))
		return text;
	log_at(LOG_WARN, "%s", text);
	return "the daemon cannot be reached";
}

/* The daemon's words for a prompt, a conversation, or either with its answer that the context does not hold. */
static bool is_length(const char *text)
{
	size_t n = strlen(text);

	return strstr(text, "max-model-len") ||
	       (strstr(text, "has more than ") && n > 7 && !strcmp(text + n - 7, " tokens"));
}

/* Clients know a context that is too long by these words (LiteLLM) or by the code (LangChain). */
static void refuse_length(struct exchange *x, const char *text)
{
	const struct rpc_status *s = x->model ? model_status(x->model) : NULL;

	answer_error(
		x, 400, "context_length_exceeded", NULL,
		"This model's maximum context length is %u tokens. However, %.300s. Please reduce the length of the prompt or of the answer.",
		s ? s->max_model_len : 0, text);
}

void answer_err(struct exchange *x, int err, const char *text, uint32_t retry_ms)
{
	const struct error_row *row = row_of(err);
	char param[40];

	if (err == ERR_LIMIT && is_length(text)) {
		refuse_length(x, text);
		return;
	}
	if (row->status == 429 || row->status == 503)
		x->answer.retry_after = max_int(1, min_int(MAX_RETRY, (int)((retry_ms + 999) / 1000)));
	x->answer.no_retry = row->no_retry;
	x->answer.do_retry = err == ERR_LOST_RANK;
	put_error(x, row->status, row->code, err == ERR_INVALID ? param_of(text, param) : NULL, error_told(err, text));
}

/* Asked for by a browser before the request itself. "*" would not cover Authorization, so the names are told
 * back. */
static void add_preflight(const struct exchange *x, struct MHD_Response *r)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_, ";
	const char *asked = exchange_header(x, "Access-Control-Request-Headers");

	MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
	MHD_add_response_header(r, "Access-Control-Max-Age", "600");
	if (asked && strspn(asked, allowed) == strlen(asked))
		MHD_add_response_header(r, "Access-Control-Allow-Headers", asked);
}

static void add_cors(const struct exchange *x, struct MHD_Response *r)
{
	if (!x->origin)
		return;
	MHD_add_response_header(r, "Access-Control-Allow-Origin", x->origin);
	MHD_add_response_header(r, "Vary", "Origin");
	MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
	if (!strcmp(x->method, "OPTIONS"))
		add_preflight(x, r);
}

void answer_headers(struct exchange *x, struct MHD_Response *r)
{
	const struct answer *a = &x->answer;
	char number[16];

	MHD_add_response_header(r, "X-Request-Id", x->id);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	add_cors(x, r);
	if (a->retry_after) {
		snprintf(number, sizeof number, "%d", a->retry_after);
		MHD_add_response_header(r, "Retry-After", number);
	}
	if (a->no_retry || a->do_retry)
		MHD_add_response_header(r, "x-should-retry", a->do_retry ? "true" : "false");
	if (*a->ignored)
		MHD_add_response_header(r, "X-Ignored-Fields", a->ignored);
	if (a->allow)
		MHD_add_response_header(r, "Allow", a->allow);
	if (a->policy) {
		MHD_add_response_header(r, "Content-Security-Policy", a->policy);
		MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
		MHD_add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
		MHD_add_response_header(r, "Cache-Control", "no-cache");
	}
	if (a->ask_key)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (a->close || x->g->draining)
		MHD_add_response_header(r, "Connection", "close");
}

struct MHD_Response *answer_response(struct exchange *x)
{
	struct answer *a = &x->answer;
	struct MHD_Response *r;

	text_put(&a->body, "", 0);
	r = MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_FREE);
	if (!r)
		return NULL;
	a->body.data = NULL; /* libmicrohttpd's */
	if (a->type)
		MHD_add_response_header(r, "Content-Type", a->type);
	answer_headers(x, r);
	x->conn->given += a->body.len;
	x->stream.bytes = a->body.len;
	return r;
}
