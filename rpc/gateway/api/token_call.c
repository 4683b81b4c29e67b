#include "rpc/gateway/api/token_call.h"

#include <stdlib.h>

#include "rpc/gateway/api/errors.h"
#include "rpc/gateway/http/answer.h"
#include "rpc/gateway/http/budget.h"

static void answer_counted(struct http_exchange *x, struct text *t)
{
	int status = http_budget_set(x, HTTP_BUDGET_ANSWER, (int64_t)t->max);

	if (!status) {
		http_answer_text(x, 200, "application/json", t);
		return;
	}
	text_finish(t);
	http_answer_error(x, status, "overloaded", NULL, "%s", http_budget_text(status));
}

static void answer_tokens(const struct api_token_call *c, const struct xv_tokens *t)
{
	const struct xv_status *s = gateway_daemon_status(c->up->daemon);
	struct text out = {0};

	text_fmt(&out, "{\"count\":%d,\"tokens\":[", t->n_ids);
	for (int i = 0; i < t->n_ids; i++)
		text_fmt(&out, i ? ",%d" : "%d", t->ids[i]);
	text_fmt(&out, "],\"max_model_len\":%u,\"token_strs\":%s", s ? s->max_model_len : 0,
		 c->strings && t->pieces ? "[" : "null");
	for (int i = 0; c->strings && t->pieces && i < t->n_ids; i++) {
		if (i)
			text_str(&out, ",");
		text_json(&out, t->pieces[i], t->piece_len[i]);
	}
	text_str(&out, c->strings && t->pieces ? "]}" : "}");
	answer_counted(c->x, &out);
}

static void answer_prompt(struct http_exchange *x, const char *s, size_t len)
{
	struct text out = {0};

	text_str(&out, "{\"prompt\":");
	text_json(&out, s, len);
	text_str(&out, "}");
	answer_counted(x, &out);
}

static void take(void *data, const struct xv_reply *r)
{
	const struct api_token_call *c = data;
	char text[512];

	switch (r->kind) {
	case XV_R_TOKENS:
		answer_tokens(c, &r->tokens);
		break;
	case XV_R_RENDERED:
		answer_tokens(c, &(struct xv_tokens){.ids = r->rendered.ids, .n_ids = r->rendered.n_ids});
		break;
	case XV_R_TEXT:
		answer_prompt(c->x, r->text.text, r->text.text_len);
		break;
	case XV_R_ERROR:
		snprintf(text, sizeof text, "%s", r->error.text);
		api_answer_err(c->x, c->up->daemon, r->error.code, text, r->error.retry_after_ms);
		break;
	default:
		return;
	}
	api_upstream_close(c->up);
	http_budget_set(c->x, HTTP_BUDGET_WORK, 0);
}

static void lost(void *data, int err, const char *text)
{
	const struct api_token_call *c = data;

	api_answer_err(c->x, c->up->daemon, err, text, 1000);
}

static void destroy(void *data)
{
	struct api_token_call *c = data;

	free(c->ids);
	api_chat_finish(&c->chat);
	free(c);
}

struct api_token_call *api_token_call_create(struct http_exchange *x)
{
	struct api_upstream *up = api_upstream_for_model(x);
	struct api_token_call *c;

	if (!up)
		return NULL;
	c = xalloc(1, sizeof *c);
	c->x = x;
	c->up = up;
	up->calls = (struct api_calls){.take = take, .lost = lost, .free = destroy, .data = c};
	return c;
}

void api_token_call_send(struct api_token_call *c, struct xv_request *r, size_t bytes)
{
	int status = http_budget_set(c->x, HTTP_BUDGET_WORK, 2 * (int64_t)bytes);

	if (status)
		http_answer_error(c->x, status, "overloaded", NULL, "%s", http_budget_text(status));
	if (status || !api_upstream_connect(c->up))
		return;
	api_upstream_send(c->up, r);
	api_upstream_wait(c->up);
}
