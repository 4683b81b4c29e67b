/* Parse: the text of a Chat's answer becomes content, reasoning and calls of tools, as the gateway and xverse read it.
 */
#include "daemon/front/inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"
#include "base/text.h"
#include "daemon/front/tools.h"
#include "rpc/tools/tools.h"

struct outcome {
	struct text content, reasoning;
	struct text *arguments;    /* (n of max) */
	struct xv_tool_call *call; /* (n of max) their names are owned */
	int n, max;
};

static void add_call(struct outcome *o, const char *name, size_t n)
{
	if (o->n == o->max) {
		o->max = 2 * o->max + 8;
		o->call = xgrow(o->call, (size_t)o->max, sizeof *o->call);
		o->arguments = xgrow(o->arguments, (size_t)o->max, sizeof *o->arguments);
	}
	o->arguments[o->n] = (struct text){0};
	o->call[o->n++] = (struct xv_tool_call){.name = xprintf("%.*s", (int)n, name)};
}

static void take(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	struct outcome *o = arg;

	switch (kind) {
	case TOOLS_CONTENT:
		text_put(&o->content, s, n);
		break;
	case TOOLS_REASONING:
		text_put(&o->reasoning, s, n);
		break;
	case TOOLS_CALL:
		add_call(o, s, n);
		break;
	case TOOLS_ARGUMENTS:
		text_put(&o->arguments[call], s, n);
		break;
	}
}

static void parse(struct outcome *o, const struct xv_parse *said, const struct json *tools)
{
	struct tools_how how = {.calls = said->tool_parser,
				.reasoning = said->reasoning_parser,
				.reasoning_open = said->reasoning_open,
				.tools = tools,
				.one_call = said->one_call};
	struct tools_parser *p = tools_create(&how, take, o);

	if (p) {
		tools_feed(p, said->text, said->text_len);
		tools_end(p);
	} else {
		text_put(&o->content, said->text, said->text_len);
	}
	tools_destroy(p);
}

static void reply(struct front *f, uint64_t call, struct outcome *o)
{
	struct xv_reply r = {.kind = XV_R_PARSED,
			     .parsed = {.content = o->content.data,
					.content_len = o->content.len,
					.reasoning = o->reasoning.data,
					.reasoning_len = o->reasoning.len,
					.call = o->call,
					.n = o->n}};

	for (int i = 0; i < o->n; i++) {
		o->call[i].arguments = o->arguments[i].data;
		o->call[i].arguments_len = o->arguments[i].len;
	}
	rpc_send(f->server, call, &r);
}

static void finish(struct outcome *o)
{
	text_finish(&o->content);
	text_finish(&o->reasoning);
	for (int i = 0; i < o->n; i++) {
		text_finish(&o->arguments[i]);
		free((char *)(uintptr_t)o->call[i].name);
	}
	free(o->arguments);
	free(o->call);
}

/* What a client sizes is bounded by proto/limits.def, so the front does it at once. */
void front_parse(struct front *f, uint64_t call, const struct xv_request *r)
{
	const char *tools = r->parse.tools_json;
	struct json_doc *doc = NULL;
	struct outcome o = {0};
	struct why why = {""};
	int err = *tools ? front_tools_read(&doc, tools, &why) : 0;

	if (err) {
		front_error(f, call, err, why.text);
		return;
	}
	parse(&o, &r->parse, json_root(doc));
	reply(f, call, &o);
	finish(&o);
	json_close(doc);
}
