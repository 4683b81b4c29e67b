#include "rpc/client/inside.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/frame.h"

struct xv_call *xv_call_find(struct xv_client *c, uint64_t id)
{
	struct xv_call *call = c->calls;

	while (call && call->id != id)
		call = call->next;
	return call;
}

/* A copy that owns its memory: encoded and decoded again. */
static void copy_request(struct rpc_request *out, const struct rpc_request *r)
{
	struct rpc_out bytes = {0};
	const uint8_t *payload;
	size_t size;
	struct why why;

	rpc_request_encode(&bytes, r);
	REQUIRE(frame_next(bytes.data, bytes.len, SIZE_MAX / 2, &payload, &size) > 0);
	if (rpc_request_decode(out, payload, size, &why)) {
		log_at(LOG_DEBUG, "a request cannot be sent again: %s", why.text); /* the server will say why */
		*out = (struct rpc_request){.id = r->id};
	}
	rpc_out_finish(&bytes);
}

/* Where the request has its time limit, NULL without one. */
static uint32_t *timeout_of(struct rpc_request *r)
{
	uint32_t *ms = r->kind == RPC_GENERATE ? &r->generate.timeout_ms
		       : r->kind == RPC_CHAT   ? &r->chat.timeout_ms
		       : r->kind == RPC_SCORE  ? &r->score.timeout_ms
					       : NULL;

	return ms && *ms ? ms : NULL;
}

struct xv_call *xv_call_add(struct xv_client *c, const struct rpc_request *r)
{
	struct xv_call *call = xalloc(1, sizeof *call), **end = &c->calls;

	call->id = r->id;
	call->streams = r->kind == RPC_GENERATE || r->kind == RPC_CHAT || r->kind == RPC_SCORE;
	copy_request(&call->asked, r);
	if (timeout_of(&call->asked))
		call->deadline_ns = now_ns() + (uint64_t)*timeout_of(&call->asked) * XV_MS;
	if (r->kind == RPC_GENERATE || r->kind == RPC_CHAT) {
		const struct rpc_resume *from = r->kind == RPC_GENERATE ? &r->generate.resume : &r->chat.resume;
		call->text_bytes = from->present ? from->text_bytes : 0;
		for (int i = 0; from->present && i < from->n_ids; i++) {
			struct rpc_reply chunk = {.kind = RPC_R_CHUNK};
			chunk.chunk.ids = &from->ids[i];
			chunk.chunk.n_ids = 1;
			xv_call_take(call, &chunk);
		}
	}
	while (*end)
		end = &(*end)->next;
	*end = call;
	return call;
}

static void set_resume(const struct xv_call *call, struct rpc_resume *r)
{
	*r = (struct rpc_resume){.present = true,
				 .ids = call->ids,
				 .n_ids = call->n_ids,
				 .text_bytes = call->text_bytes,
				 .seed = call->seed,
				 .fingerprint = call->fingerprint,
				 .numerics_class = call->numerics_class};
}

void xv_call_send(struct xv_client *c, struct xv_call *call)
{
	struct rpc_request r = call->asked;
	uint64_t now = now_ns();

	if (call->deadline_ns) /* the server counts from when it hears */
		*timeout_of(&r) = call->deadline_ns > now ? (uint32_t)((call->deadline_ns - now) / XV_MS + 1) : 1;
	if (call->started && r.kind == RPC_GENERATE)
		set_resume(call, &r.generate.resume);
	if (call->started && r.kind == RPC_CHAT)
		set_resume(call, &r.chat.resume);
	call->prompt_text_now = call->prompt_tokens_now = 0;
	call->retry_ns = 0;
	call->sent = true;
	rpc_request_encode(&c->out, &r);
}

void xv_call_remove(struct xv_client *c, struct xv_call *call)
{
	struct xv_call **at = &c->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	rpc_request_free(&call->asked);
	free(call->fingerprint);
	free(call->numerics_class);
	free(call->ids);
	free(call);
}

static bool take_started(struct xv_call *call, const struct rpc_started *s)
{
	if (call->started)
		return false;
	call->started = true;
	call->seed = s->seed;
	call->n_prompt = s->prompt_tokens;
	call->fingerprint = xstrdup(s->fingerprint);
	call->numerics_class = xstrdup(s->numerics_class);
	return true;
}

/* The prompt comes again after a resume: what was delivered is cut from the front. */
static bool take_prompt(struct xv_call *call, struct rpc_chunk *k)
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

static void take_output(struct xv_call *call, const struct rpc_chunk *k)
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

bool xv_call_fits(const struct xv_call *call, const struct rpc_reply *r)
{
	static const enum rpc_reply_kind answers[] = {
		[RPC_STATUS] = RPC_R_STATUS,   [RPC_TOKENIZE] = RPC_R_TOKENS,   [RPC_DETOKENIZE] = RPC_R_TEXT,
		[RPC_CANCEL] = RPC_R_DONE,     [RPC_DRAIN] = RPC_R_DONE,        [RPC_LOG_LEVEL] = RPC_R_DONE,
		[RPC_METRICS] = RPC_R_METRICS, [RPC_TEMPLATE] = RPC_R_RENDERED,
	};
	enum rpc_kind asked = call->asked.kind;

	if (r->kind == RPC_R_ERROR || r->kind == RPC_R_KEEP_ALIVE || asked == RPC_NONE)
		return true;
	if (call->streams)
		return r->kind == RPC_R_STARTED || r->kind == RPC_R_CHUNK || r->kind == RPC_R_FINISHED;
	return (size_t)asked < sizeof answers / sizeof *answers && r->kind == answers[asked];
}

bool xv_call_take(struct xv_call *call, struct rpc_reply *r)
{
	bool is_new = true;

	if (r->kind == RPC_R_STARTED) {
		call->late_ns = 0;
		return take_started(call, &r->started);
	}
	if (r->kind != RPC_R_CHUNK)
		return true;
	if (r->chunk.prompt)
		is_new = take_prompt(call, &r->chunk);
	else
		take_output(call, &r->chunk);
	if (is_new)
		call->losses = 0;
	return is_new;
}
