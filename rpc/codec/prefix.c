#include "rpc/codec/prefix.h"

#include <string.h>

#include "base/arena.h"

void rpc_prefix_forget(struct rpc_prefix *kept)
{
	uint32_t id = kept->id;

	arena_free(kept->memory);
	*kept = (struct rpc_prefix){.id = id};
}

size_t rpc_prefix_bytes(const struct rpc_prefix *kept)
{
	return arena_size(kept->memory);
}

static size_t bytes_of(const struct xv_prompt *p)
{
	return p->is_text ? p->text_len : (size_t)p->n_ids * sizeof *p->ids;
}

static const char *data_of(const struct xv_prompt *p)
{
	return p->is_text ? p->text : (const char *)p->ids;
}

/* False: there is no memory. */
static bool keep(struct rpc_prefix *kept, uint32_t id, const struct xv_prompt *p)
{
	struct arena a = {.budget = SIZE_MAX};
	char *data;

	rpc_prefix_forget(kept);
	kept->id = 0;
	data = arena_take(&a, bytes_of(p));
	if (!data)
		return false;
	memcpy(data, data_of(p), bytes_of(p));
	*kept = (struct rpc_prefix){
		.id = id, .is_text = p->is_text, .memory = a.blocks, .data = data, .size = bytes_of(p)};
	return true;
}

/* The prompt becomes head and prompt, in memory of the request. False: there is none. */
static bool put_before(struct xv_request *r, const char *head, size_t size)
{
	struct arena a = {.blocks = r->memory, .budget = SIZE_MAX};
	struct xv_prompt *p = &r->score.prompt;
	size_t tail = bytes_of(p);
	char *whole = arena_take(&a, size + tail + 1);

	if (!whole)
		return false;
	r->memory = a.blocks;
	memcpy(whole, head, size);
	memcpy(whole + size, data_of(p), tail);
	whole[size + tail] = 0;
	if (p->is_text) {
		p->text = whole;
		p->text_len = size + tail;
	} else {
		p->ids = (const int32_t *)(const void *)whole;
		p->n_ids += (int)(size / sizeof *p->ids);
	}
	return true;
}

bool rpc_prefix_is_used(const struct xv_request *r)
{
	return r->kind == XV_SCORE && r->score.prefix_id && !bytes_of(&r->score.prefix);
}

int rpc_prefix_join(struct rpc_prefix *kept, struct xv_request *r, struct why *why)
{
	const struct xv_score *s = &r->score;
	bool given = r->kind == XV_SCORE && bytes_of(&s->prefix), ok = true;

	if (given)
		ok = (!s->prefix_id || keep(kept, s->prefix_id, &s->prefix)) &&
		     put_before(r, data_of(&s->prefix), bytes_of(&s->prefix));
	else if (!rpc_prefix_is_used(r))
		return 0;
	else if (kept->id != s->prefix_id)
		return fail(why, ERR_BUSY, "prefix_id: %u is not the last prefix of this connection; send it again",
			    s->prefix_id);
	else if (kept->is_text != s->prompt.is_text)
		return fail(why, ERR_INVALID, "prefix: it and the prompt must both be text or both token ids");
	else
		ok = put_before(r, kept->data, kept->size);
	return ok ? 0 : fail(why, ERR_BUSY, "there is no memory for this request now");
}

void rpc_prefix_save(struct rpc_prefix *sent, struct xv_request *r)
{
	struct xv_prompt *p = &r->score.prefix;
	size_t size = r->kind == XV_SCORE ? bytes_of(p) : 0;

	if (!size)
		return;
	if (sent->size != size || sent->is_text != p->is_text || memcmp(sent->data, data_of(p), size)) {
		r->score.prefix_id = sent->id + 1 ? sent->id + 1 : 1;
		if (!keep(sent, r->score.prefix_id, p))
			r->score.prefix_id = 0;
		return;
	}
	r->score.prefix_id = sent->id;
	*p = (struct xv_prompt){.is_text = p->is_text, .text = ""};
}
