/* What the front reads of the model's directory: tokenizer, chat format and sampling defaults. */
#include "daemon/front/inside.h"

#include <stdio.h>
#include <string.h>

#include "engine/chat/chat.h"

/* A format named by --chat-template must exist. Without a format of its own the model serves all but Chat; no_chat
 * holds the reason. */
static int open_chat(struct front *f, struct why *why)
{
	struct why inner = {""};
	int err = chat_open(&f->chat, f->opt->model, f->opt->chat_template, f->tokenizer, &inner);

	if (err == ERR_UNKNOWN && f->opt->tokenizer)
		err = chat_open(&f->chat, f->opt->tokenizer, f->opt->chat_template, f->tokenizer, &inner);
	if (err && f->opt->chat_template)
		return fail(why, err == ERR_UNKNOWN ? ERR_INVALID : err, "%.500s", inner.text);
	snprintf(f->no_chat, sizeof f->no_chat, "%s", inner.text);
	if (err && err != ERR_UNKNOWN)
		log_at(LOG_WARN, "%s", inner.text);
	if (!err)
		log_event(LOG_INFO, "chat", " format=\"%s\" tool_calls=%s reasoning=%s", chat_name(f->chat),
			  chat_tools(f->chat)->name, chat_reasoning(f->chat) ? chat_reasoning(f->chat)->name : "none");
	return 0;
}

/* What --tool-call-parser and --reasoning-parser say comes before what the format says. */
static void open_forms(struct front *f)
{
	const char *calls = f->opt->tool_call_parser, *reasoning = f->opt->reasoning_parser;

	if (f->chat)
		f->forms = (struct front_forms){.calls = chat_tools(f->chat), .reasoning = chat_reasoning(f->chat)};
	if (calls)
		f->forms.calls = chat_form_tools(calls);
	if (reasoning)
		f->forms.reasoning = chat_form_reasoning(reasoning); /* NULL: none */
}

/* A model without tokenizer files is served by token ids, unless a tokenizer is named. */
static int open_tokenizer(struct front *f, struct why *why)
{
	const char *named = f->opt->tokenizer;
	int err = tokenizer_open(&f->tokenizer, named ? named : f->opt->model, why);

	snprintf(f->no_chat, sizeof f->no_chat, "this model has no tokenizer");
	if (err && named) {
		struct why inner = *why;

		return fail(why, err == ERR_UNKNOWN ? ERR_IO : err, "--tokenizer: %.500s", inner.text);
	}
	if (err == ERR_UNKNOWN) {
		log_at(LOG_WARN, "%s; prompts must be token ids", why->text);
		return 0;
	}
	if (!err && f->tokenizer && tokenizer_vocab(f->tokenizer) > f->model->vocab) {
		log_at(LOG_WARN,
		       "%s: the tokenizer has %d tokens, the model %d; higher ids are refused and never made of a text",
		       f->opt->model, tokenizer_vocab(f->tokenizer), f->model->vocab);
		err = tokenizer_limit(f->tokenizer, f->model->vocab, why);
	}
	return err;
}

int front_read_defaults(struct front *f, struct why *why)
{
	struct generation_config g;
	int err;

	if (f->opt->generation_config && !strcmp(f->opt->generation_config, "none"))
		return 0;
	err = generation_config_read(&g, f->opt->model, why);
	if (!err)
		front_defaults(f, &g);
	return err;
}

/* What constrained answers need, taken before the server is ready. */
static void open_room(struct front *f)
{
	f->room = grammar_room_create(f->tokenizer, f->model->vocab, (int)f->opt->max_num_seqs);
	log_event(LOG_DEBUG, "memory for constrained answers", " bytes=%ju", (uintmax_t)front_answer_bytes(f));
}

uint64_t front_answer_bytes(const struct front *f)
{
	return f->room ? grammar_room_bytes(f->room) : 0;
}

int front_open_words(struct front *f, struct why *why)
{
	int err = open_tokenizer(f, why);

	return !err && f->tokenizer ? open_chat(f, why) : err;
}

int front_open_model(struct front *f, struct why *why)
{
	int err = front_open_words(f, why);

	if (err)
		return err;
	open_forms(f);
	if (f->tokenizer)
		open_room(f);
	return front_read_defaults(f, why);
}
