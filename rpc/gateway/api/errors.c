#include "rpc/gateway/api/errors.h"

#include <string.h>

#include "rpc/gateway/http/answer.h"

enum { MAX_RETRY = 60 }; /* seconds; older official clients wait no longer than that */

/* The status decides which error class a client raises, and whether it retries. */
static const struct api_error_row {
	int err, status;
	const char *code;
	bool no_retry; /* clients would retry this status, in vain */
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
	{ERR_DENIED, 403, "not_allowed", false},
	{ERR_DEADLINE, 504, "deadline", true},
	{ERR_LOST_RANK, 500, "rank_failed", false},
	{ERR_MISMATCH, 409, "model_changed", true},
	{ERR_CANCELLED, 409, "cancelled", true},
	{ERR_FORMAT, 500, "internal", true},
	{ERR_INTERNAL, 500, "internal", true},
};

static const struct api_error_row *row_of(int err)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].err == err)
			return &rows[i];
	return row_of(ERR_INTERNAL);
}

/* Errors of the daemon about a field begin with "name: ", "name[3]: " or "name.part: ". */
static const char *param_of(const char *text, char out[40])
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz_");

	if (!n || n >= 40 || !text[n] || !strchr(":[.", text[n]))
		return NULL;
	memcpy(out, text, n);
	out[n] = 0;
	return out;
}

/* Returns what clients may see of an error. Paths belong into the log. */
static const char *for_clients(int err, const char *text)
{
	if (strcmp(row_of(err)->code ? row_of(err)->code : "", "unreachable"))
		return text;
	log_at(LOG_WARN, "%s", text);
	return "the daemon cannot be reached";
}

/* Recognises the daemon's errors about a prompt or conversation that, with its answer, exceeds the context. */
static bool is_length(const char *text)
{
	size_t n = strlen(text);

	return strstr(text, "max-model-len") ||
	       (strstr(text, "has more than ") && n > 7 && !strcmp(text + n - 7, " tokens"));
}

/* Clients recognise this error by this text (LiteLLM) or by the code (LangChain). */
static void refuse_length(struct http_exchange *x, const struct gateway_daemon *d, const char *text)
{
	const struct xv_status *s = d ? gateway_daemon_status(d) : NULL;

	http_answer_error(
		x, 400, "context_length_exceeded", NULL,
		"This model's maximum context length is %u tokens. However, %.300s. Please reduce the length of the prompt or of the answer.",
		s ? s->max_model_len : 0, text);
}

void api_answer_err(struct http_exchange *x, const struct gateway_daemon *d, int err, const char *text,
		    uint32_t retry_ms)
{
	const struct api_error_row *row = row_of(err);
	char param[40];
	int after = 0;

	if (err == ERR_LIMIT && is_length(text)) {
		refuse_length(x, d, text);
		return;
	}
	if (row->status == 429 || row->status == 503)
		after = max_int(1, min_int(MAX_RETRY, (int)((retry_ms + 999) / 1000)));
	http_answer_retry(x, after,
			  row->no_retry          ? HTTP_RETRY_NEVER
			  : err == ERR_LOST_RANK ? HTTP_RETRY_ALWAYS
						 : HTTP_RETRY_BY_STATUS);
	http_answer_error(x, row->status, row->code, row->status == 400 ? param_of(text, param) : NULL, "%s",
			  for_clients(err, text));
}

struct api_shown_error api_shown_error(int err, const char *text)
{
	return (struct api_shown_error){row_of(err)->status, row_of(err)->code, for_clients(err, text)};
}
