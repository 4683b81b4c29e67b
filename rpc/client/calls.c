#include "rpc/client/inside.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/frame.h"

struct client_call *client_call_find(struct xv_client *c, uint64_t id)
{
	struct client_call *call = c->calls;

	while (call && call->id != id)
		call = call->next;
	return call;
}

/* A copy that owns its memory: encoded and decoded again. */
static void copy_request(struct xv_request *out, const struct xv_request *r)
{
	struct rpc_out bytes = {0};
	const uint8_t *payload;
	size_t size;
	struct why why;

	rpc_request_encode(&bytes, r);
	REQUIRE(frame_next(bytes.data, bytes.len, SIZE_MAX / 2, &payload, &size) > 0);
	if (rpc_request_decode(out, payload, size, &why)) {
		log_at(LOG_DEBUG, "a request cannot be sent again: %s", why.text); /* the server will say why */
		*out = (struct xv_request){.id = r->id};
	}
	rpc_out_finish(&bytes);
}

/* The request's time limit; NULL where it has none. */
static uint32_t *timeout_of(struct xv_request *r)
{
	uint32_t *ms = r->kind == XV_GENERATE ? &r->generate.timeout_ms
		       : r->kind == XV_CHAT   ? &r->chat.timeout_ms
		       : r->kind == XV_SCORE  ? &r->score.timeout_ms
					      : NULL;

	return ms && *ms ? ms : NULL;
}

struct client_call *client_call_add(struct xv_client *c, const struct xv_request *r)
{
	struct client_call *call = xalloc(1, sizeof *call), **end = &c->calls;

	call->id = r->id;
	call->streams = r->kind == XV_GENERATE || r->kind == XV_CHAT || r->kind == XV_SCORE;
	copy_request(&call->asked, r);
	if (timeout_of(&call->asked))
		call->deadline_ns = now_ns() + (uint64_t)*timeout_of(&call->asked) * CLIENT_MS;
	if (r->kind == XV_GENERATE || r->kind == XV_CHAT) {
		const struct xv_resume *from = r->kind == XV_GENERATE ? &r->generate.resume : &r->chat.resume;
		call->text_bytes = from->present ? from->text_bytes : 0;
		for (int i = 0; from->present && i < from->n_ids; i++) {
			struct xv_reply chunk = {.kind = XV_R_CHUNK};
			chunk.chunk.ids = &from->ids[i];
			chunk.chunk.n_ids = 1;
			client_call_take(call, &chunk);
		}
	}
	while (*end)
		end = &(*end)->next;
	*end = call;
	return call;
}

static void set_resume(const struct client_call *call, struct xv_resume *r)
{
	*r = (struct xv_resume){.present = true,
				.ids = call->ids,
				.n_ids = call->n_ids,
				.text_bytes = call->text_bytes,
				.seed = call->seed,
				.fingerprint = call->fingerprint,
				.numerics_class = call->numerics_class,
				.adapter_fingerprint = call->adapter_fingerprint};
}

void client_call_send(struct xv_client *c, struct client_call *call)
{
	struct xv_request r = call->asked;
	uint64_t now = now_ns();

	if (call->deadline_ns) /* the server counts from when it hears */
		*timeout_of(&r) = call->deadline_ns > now ? (uint32_t)((call->deadline_ns - now) / CLIENT_MS + 1) : 1;
	if (call->started && r.kind == XV_GENERATE)
		set_resume(call, &r.generate.resume);
	if (call->started && r.kind == XV_CHAT)
		set_resume(call, &r.chat.resume);
	call->prompt_text_now = call->prompt_tokens_now = 0;
	call->retry_ns = 0;
	call->too_large = client_encode(c, r);
	if (call->too_large)
		return;
	call->resumed += call->had;
	c->resends += call->had;
	call->sent = call->had = true;
	call->started_now = false;
}

size_t client_largest(const struct xv_client *c)
{
	size_t limit = c->greeted ? c->hello.hello.frame_limit : 0;

	return limit ? limit : FRAME_LIMIT;
}

/* The server would end the connection, and with it all other calls. */
size_t client_encode(struct xv_client *c, struct xv_request r)
{
	size_t before = c->out.len, size;
	const uint8_t *payload;

	rpc_prefix_save(&c->sent, &r);
	rpc_request_encode(&c->out, &r);
	REQUIRE(frame_next(c->out.data + before, c->out.len - before, SIZE_MAX / 2, &payload, &size) > 0);
	if (size <= client_largest(c))
		return 0;
	c->out.len = before;
	rpc_prefix_forget(&c->sent);
	return size;
}

void client_call_remove(struct xv_client *c, struct client_call *call)
{
	struct client_call **at = &c->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	rpc_request_free(&call->asked);
	free(call->fingerprint);
	free(call->numerics_class);
	free(call->adapter_fingerprint);
	free(call->ids);
	free(call);
}

static bool take_started(struct client_call *call, const struct xv_started *s)
{
	if (call->started)
		return false;
	call->started = true;
	call->seed = s->seed;
	call->n_prompt = s->prompt_tokens;
	call->fingerprint = xstrdup(s->fingerprint);
	call->numerics_class = xstrdup(s->numerics_class);
	call->adapter_fingerprint = xstrdup(s->adapter_fingerprint);
	return true;
}

/* The server sends the prompt again after a resume: the part that was delivered before is left out. */
static bool take_prompt(struct client_call *call, struct xv_chunk *k)
{
	uint64_t text = call->prompt_text - call->prompt_text_now,
		 tokens = call->prompt_tokens - call->prompt_tokens_now;

	text = text < k->text_len ? text : k->text_len;
	tokens = tokens < (uint64_t)k->n_tokens ? tokens : (uint64_t)k->n_tokens;
	call->prompt_text_now += k->text_len;
	call->prompt_tokens_now += (uint64_t)k->n_tokens;
	k->text += text;
	k->text_len -= text;
	k->tokens += tokens;
	k->n_tokens -= (int)tokens;
	call->prompt_text += k->text_len;
	call->prompt_tokens += (uint64_t)k->n_tokens;
	return k->text_len || k->n_tokens;
}

static void take_output(struct client_call *call, const struct xv_chunk *k)
{
	if (call->n_ids + k->n_ids > call->max_ids) {
		call->max_ids = 2 * (call->n_ids + k->n_ids);
		call->ids = xgrow(call->ids, (size_t)call->max_ids, sizeof *call->ids);
	}
	if (k->n_ids)
		memcpy(call->ids + call->n_ids, k->ids, (size_t)k->n_ids * sizeof *k->ids);
	call->n_ids += k->n_ids;
	call->text_bytes += k->text_len;
}

bool client_call_fits(const struct client_call *call, const struct xv_reply *r)
{
	static const enum xv_reply_kind answers[] = {
		[XV_STATUS] = XV_R_STATUS,     [XV_TOKENIZE] = XV_R_TOKENS,     [XV_DETOKENIZE] = XV_R_TEXT,
		[XV_CANCEL] = XV_R_DONE,       [XV_DRAIN] = XV_R_DONE,          [XV_LOG_LEVEL] = XV_R_DONE,
		[XV_METRICS] = XV_R_METRICS,   [XV_TEMPLATE] = XV_R_RENDERED,   [XV_CALLS] = XV_R_CALLS,
		[XV_LORA_LOAD] = XV_R_ADAPTER, [XV_LORA_UNLOAD] = XV_R_ADAPTER, [XV_PARSE] = XV_R_PARSED,
	};
	enum xv_kind asked = call->asked.kind;

	if (r->kind == XV_R_ERROR || r->kind == XV_R_KEEP_ALIVE || asked == XV_NONE)
		return true;
	if (call->streams)
		return r->kind == XV_R_STARTED || r->kind == XV_R_CHUNK || r->kind == XV_R_FINISHED;
	return (size_t)asked < sizeof answers / sizeof *answers && r->kind == answers[asked];
}

bool client_call_take(struct client_call *call, struct xv_reply *r)
{
	bool is_new = true;

	if (r->kind == XV_R_STARTED) {
		call->late_ns = 0;
		call->started_now = true;
		return take_started(call, &r->started);
	}
	if (r->kind != XV_R_CHUNK)
		return true;
	if (r->chunk.prompt)
		is_new = take_prompt(call, &r->chunk);
	else
		take_output(call, &r->chunk);
	if (is_new)
		call->losses = 0;
	return is_new;
}
