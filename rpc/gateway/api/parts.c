#include "rpc/gateway/api/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/mix.h"

void api_parts_begin(struct api_parts *p, const struct xv_started *s, const struct json *tools, bool one_call,
		     uint64_t seed, tools_sink *sink, void *arg)
{
	struct tools_how how = {.calls = s->tool_parser,
				.reasoning = s->reasoning_parser,
				.reasoning_open = s->reasoning_open,
				.tools = tools,
				.one_call = one_call};

	p->parser = tools_create(&how, sink, arg);
	p->short_ids = how.short_ids;
	p->seed = seed;
}

void api_parts_finish(struct api_parts *p)
{
	for (int i = 0; i < p->n_calls; i++) {
		text_finish(&p->call[i].name);
		text_finish(&p->call[i].arguments);
	}
	free(p->call);
	tools_destroy(p->parser);
	text_finish(&p->content);
	text_finish(&p->reasoning);
	*p = (struct api_parts){NULL};
}

size_t api_parts_bytes(const struct api_parts *p)
{
	return tools_bytes(p->parser) + p->content.max + p->reasoning.max + p->bytes;
}

/* Mistral's templates refuse ids that are not nine letters and digits. */
static void make_id(struct api_parts *p, char id[API_CALL_ID])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	int n = p->short_ids ? 9 : 24, at = p->short_ids ? 0 : snprintf(id, API_CALL_ID, "call_");

	for (int i = 0; i < n; i++)
		id[at++] = digits[mix_next(&p->seed) % 62];
	id[at] = 0;
}

static void add_call(struct api_parts *p, const char *s, size_t n)
{
	struct api_call *c;

	p->call = xgrow(p->call, (size_t)p->n_calls + 1, sizeof *p->call);
	c = &p->call[p->n_calls++];
	*c = (struct api_call){.id = ""};
	make_id(p, c->id);
	text_put(&c->name, s, n);
	p->bytes += sizeof *c + c->name.max;
}

void api_parts_add(struct api_parts *p, enum tools_kind kind, const char *s, size_t n)
{
	struct text *args = kind == TOOLS_ARGUMENTS && p->n_calls ? &p->call[p->n_calls - 1].arguments : NULL;
	size_t before = args ? args->max : 0;

	if (kind == TOOLS_CALL)
		add_call(p, s, n);
	else if (args)
		text_put(args, s, n), p->bytes += args->max - before;
	else
		text_put(kind == TOOLS_REASONING ? &p->reasoning : &p->content, s, n);
}

/* ---- JSON ---- */

/* Clients look for either name. */
static void put_reasoning(struct text *t, const char *s, size_t n)
{
	text_str(t, "\"reasoning_content\":");
	text_json(t, s, n);
	text_str(t, ",\"reasoning\":");
	text_json(t, s, n);
}

static void put_string(struct text *t, const struct text *s)
{
	text_json(t, s->data ? s->data : "", s->len);
}

void api_parts_content(struct text *t, const struct api_parts *p)
{
	if (p->n_calls && !p->content.len)
		text_str(t, "null");
	else
		put_string(t, &p->content);
}

void api_parts_more(struct text *t, const struct api_parts *p)
{
	if (p->reasoning.len) {
		text_str(t, ",");
		put_reasoning(t, p->reasoning.data, p->reasoning.len);
	}
	for (int i = 0; i < p->n_calls; i++) {
		const struct api_call *c = &p->call[i];
		text_fmt(t, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":",
			 i ? "," : ",\"tool_calls\":[", c->id);
		put_string(t, &c->name);
		text_str(t, ",\"arguments\":");
		put_string(t, &c->arguments);
		text_str(t, i + 1 < p->n_calls ? "}}" : "}}]");
	}
}

void api_parts_delta(struct text *t, const struct api_parts *p, enum tools_kind kind, int call, const char *s, size_t n)
{
	switch (kind) {
	case TOOLS_REASONING:
		put_reasoning(t, s, n);
		break;
	case TOOLS_CONTENT:
		text_str(t, "\"content\":");
		text_json(t, s, n);
		break;
	case TOOLS_CALL:
		text_fmt(t, "\"tool_calls\":[{\"index\":%d,\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":",
			 call, p->call[p->n_calls - 1].id);
		text_json(t, s, n);
		text_str(t, ",\"arguments\":\"\"}}]");
		break;
	case TOOLS_ARGUMENTS:
		text_fmt(t, "\"tool_calls\":[{\"index\":%d,\"function\":{\"arguments\":", call);
		text_json(t, s, n);
		text_str(t, "}}]");
		break;
	}
}
