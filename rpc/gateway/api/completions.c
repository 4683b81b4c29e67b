/* completions.c - POST /v1/completions, /v1/chat/completions and the cancelling of what runs. */
#include <string.h>

#include "rpc/gateway/api/generate.h"

static struct generation *create(struct exchange *x)
{
	struct generation *w = xalloc(1, sizeof *w);

	x->work = w;
	x->ops = &generation_ops;
	return w;
}

void post_completions(struct exchange *x)
{
	struct generation *w;
	const char *param = NULL;
	struct why why = {""};
	int err;

	if (!model_of(x))
		return;
	w = create(x);
	err = ask_read(&w->ask, exchange_json(x), ASK_COMPLETIONS, &param, &why);
	memcpy(x->answer.ignored, w->ask.ignored, sizeof w->ask.ignored);
	if (!err) {
		param = "prompt";
		err = prompts_read(&w->prompts, json_get(exchange_json(x), "prompt"), &why);
	}
	if (err)
		answer_error(x, 400, NULL, param, "%s", why.text);
	else
		generation_start(x, w);
}

void post_chat(struct exchange *x)
{
	struct generation *w;
	const char *param = NULL;
	struct why why = {""};
	int err;

	if (!model_of(x))
		return;
	w = create(x);
	w->chat = true;
	err = ask_read(&w->ask, exchange_json(x), ASK_CHAT, &param, &why);
	if (!err)
		err = chat_read(&w->said, exchange_json(x), w->ask.ignored, &param, &why);
	memcpy(x->answer.ignored, w->ask.ignored, sizeof w->ask.ignored);
	if (err)
		answer_error(x, 400, NULL, param, "%s", why.text);
	else
		generation_start(x, w);
}

/* ---- cancel ---- */

/* The id of a request, or of its answer: "cmpl-" and "chatcmpl-" may stand before it. */
static bool same_id(const char *asked, size_t len, const char *id)
{
	static const char *const prefixes[] = {"", "cmpl-", "chatcmpl-"};

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(prefixes[i]);
		if (len == n + strlen(id) && !strncmp(asked, prefixes[i], n) && !memcmp(asked + n, id, len - n))
			return true;
	}
	return false;
}

/* Ids are the clients' choice, so only who asked for a request may see or end it. */
static bool is_open(const struct exchange *x, const struct exchange *other, size_t len)
{
	return other != x && other->ops == &generation_ops && other->client && other->account == x->account &&
	       same_id(x->tail, len, other->id);
}

/* For who waits: its place in the daemon's queue, as of its last second. */
void get_request(struct exchange *x)
{
	size_t len = strlen(x->tail);

	for (struct exchange *other = x->g->exchanges; other; other = other->next)
		if (is_open(x, other, len)) {
			answer_json(x, 200,
				    json_pack("{s:s, s:i}", "id", other->id, "queue_place", (int)other->queue_place));
			return;
		}
	answer_error(x, 404, "not_found", NULL, "no such request is open");
}

void post_cancel(struct exchange *x)
{
	size_t len = strcspn(x->tail, "/");
	bool well = x->method[0] == 'D' ? !x->tail[len] : !strcmp(x->tail + len, "/cancel");
	int n = 0;

	for (struct exchange *other = x->g->exchanges, *next; well && other; other = next) {
		next = other->next;
		if (!is_open(x, other, len))
			continue;
		generation_cancel(other);
		n++;
	}
	if (n)
		answer_json(x, 200, json_pack("{s:i}", "cancelled", n));
	else
		answer_error(x, 404, "not_found", NULL, "no such request is open");
}
