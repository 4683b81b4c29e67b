#include "daemon/front/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/json/json.h"
#include "base/text.h"
#include "daemon/front/tools.h"
#include "rpc/tools/tools.h"

struct front_parsed {
	struct text content, reasoning;
	struct text *arguments;    /* (n of max) */
	struct xv_tool_call *call; /* (n of max) their names are owned */
	int n, max;
};

static void add_call(struct front_parsed *o, const char *name, size_t n)
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
	struct front_parsed *o = arg;

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

static void parse(struct front_parsed *o, const struct xv_parse *said, const struct json *tools)
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

size_t front_parse_size(const struct xv_parse *said)
{
	return said->text_len + strlen(said->tools_json);
}

int front_parse(struct front_parsed **out, const struct xv_parse *said, struct why *why)
{
	struct json_doc *doc = NULL;
	int err = *said->tools_json ? front_tools_read(&doc, said->tools_json, why) : 0;

	if (err)
		return err;
	*out = xalloc(1, sizeof **out);
	parse(*out, said, json_root(doc));
	for (int i = 0; i < (*out)->n; i++) {
		(*out)->call[i].arguments = (*out)->arguments[i].data;
		(*out)->call[i].arguments_len = (*out)->arguments[i].len;
	}
	json_close(doc);
	return 0;
}

size_t front_parsed_bytes(const struct front_parsed *p)
{
	size_t sum =
		p ? p->content.max + p->reasoning.max + (size_t)p->max * (sizeof *p->call + sizeof *p->arguments) : 0;

	for (int i = 0; p && i < p->n; i++)
		sum += p->arguments[i].max;
	return sum;
}

void front_parsed_get(const struct front_parsed *p, struct xv_parsed *out)
{
	*out = (struct xv_parsed){.content = p->content.data,
				  .content_len = p->content.len,
				  .reasoning = p->reasoning.data,
				  .reasoning_len = p->reasoning.len,
				  .call = p->call,
				  .n = p->n};
}

void front_parsed_free(struct front_parsed *p)
{
	if (!p)
		return;
	text_finish(&p->content);
	text_finish(&p->reasoning);
	for (int i = 0; i < p->n; i++) {
		text_finish(&p->arguments[i]);
		free((char *)(uintptr_t)p->call[i].name);
	}
	free(p->arguments);
	free(p->call);
	free(p);
}
