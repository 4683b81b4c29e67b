/* open.c - finds the format of a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "base/json/json.h"
#include "engine/chat/inside.h"

/* Sets *out to NULL if the file is absent. */
static int read_json(const char *dir, const char *file, struct json_doc **out, struct why *why)
{
	char *path = xprintf("%s/%s", dir, file);
	int err = json_read_file(out, path, FILE_CONFIG, why);

	free(path);
	return err == ERR_UNKNOWN ? 0 : err;
}

static int compile(struct chat *c, const char *source, size_t len, const char *file, struct why *why)
{
	struct why inner = {""};
	int err = template_compile(&c->all.template, source, len, &inner);

	if (err)
		return fail(why, err, "chat template %.200s: %.250s", file, inner.text);
	c->all.developer = memmem(source, len, "developer", strlen("developer"));
	c->calls = form_of_calls(source);
	c->reasoning = form_of_reasoning(source);
	c->name = xstrdup(file);
	return 0;
}

static int compile_file(struct chat *c, const char *path, struct why *why)
{
	size_t len;
	char *source;
	int err = file_read(path, FILE_CONFIG, &source, &len, why);

	if (!err)
		err = compile(c, source, len, path, why);
	free(source);
	return err;
}

/* "chat_template" of tokenizer_config.json is a string, or a list of {name, template}; its "default" counts. */
static const struct json *template_of(const struct json *config)
{
	const struct json *v = json_get(config, "chat_template"), *one, *best = NULL;

	if (json_str(v))
		return v;
	for (size_t i = 0; (one = json_at(v, i)); i++) {
		const char *name = json_str(json_get(one, "name"));
		const struct json *source = json_get(one, "template");

		if (json_str(source) && (!best || (name && !strcmp(name, "default"))))
			best = source;
	}
	return best;
}

static void compile_tools(struct chat *c, const char *source, size_t len, const char *file)
{
	struct why why = {""};

	c->tools.developer = memmem(source, len, "developer", strlen("developer"));
	if (form_of_calls(source))
		c->calls = form_of_calls(source);
	if (template_compile(&c->tools.template, source, len, &why))
		fail(&c->no_tool_template, ERR_UNSUPPORTED, "chat template %.150s (tool_use): %.250s", file, why.text);
}

/* The reference uses the list's "tool_use" template when tools are given. */
static void open_tool_template(struct chat *c, const struct json *config, const char *file)
{
	const struct json *list = json_get(config, "chat_template"), *one;

	for (size_t i = 0; (one = json_at(list, i)); i++) {
		const char *name = json_str(json_get(one, "name"));
		const struct json *source = json_get(one, "template");

		if (name && !strcmp(name, "tool_use") && json_str(source) && !c->tools.template)
			compile_tools(c, json_str(source), json_len(source), file);
	}
}

/* transformers 5 keeps that template in a file of its own. */
static int open_tool_file(struct chat *c, const char *dir, struct why *why)
{
	char *path = xprintf("%s/additional_chat_templates/tool_use.jinja", dir), *source;
	size_t len;
	int err = file_read(path, FILE_CONFIG, &source, &len, why);

	if (!err)
		compile_tools(c, source, len, path);
	free(source);
	free(path);
	return err == ERR_UNKNOWN ? 0 : err;
}

/* Returns 1: found and compiled; 0: the file has none. */
static int template_in(struct chat *c, const char *dir, const char *file, struct why *why)
{
	struct json_doc *config;
	int err = read_json(dir, file, &config, why);
	const struct json *source = template_of(json_root(config));
	char *path = xprintf("%s/%s", dir, file);

	if (!err && source)
		err = compile(c, json_str(source), json_len(source), path, why);
	if (!err)
		open_tool_template(c, json_root(config), path);
	free(path);
	json_close(config);
	return err ? err : source != NULL;
}

/* Returns 1: found and compiled; 0: the model has none. */
static int own_template(struct chat *c, const char *dir, struct why *why)
{
	char *path = xprintf("%s/chat_template.jinja", dir);
	int err = compile_file(c, path, why);

	free(path);
	if (!err)
		err = open_tool_file(c, dir, why);
	if (!err)
		return 1;
	if (err != ERR_UNKNOWN)
		return err;
	err = template_in(c, dir, "chat_template.json", why);
	return err ? err : template_in(c, dir, "tokenizer_config.json", why);
}

/* A special token is a string, or an object with "content". */
static void set_token(json_t *own, const struct json *config, const char *key)
{
	const struct json *v = json_get(config, key);

	if (json_is(v, JSON_IS_OBJECT))
		v = json_get(v, "content");
	if (json_str(v))
		json_object_set_new(own, key, json_stringn(json_str(v), json_len(v)));
}

static void set_piece(json_t *own, const char *key, const struct tokenizer *t, int id)
{
	size_t len = 0;
	const char *piece = id >= 0 ? tokenizer_piece(t, id, &len) : NULL;

	if (piece && !json_object_get(own, key))
		json_object_set_new(own, key, json_stringn(piece, len));
}

static int own_variables(json_t **own, const char *dir, const struct tokenizer *t, struct why *why)
{
	static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token",
					   "sep_token", "cls_token", "mask_token"};
	static const char *const files[] = {"special_tokens_map.json", "tokenizer_config.json"};

	*own = json_object();
	for (int f = 0; f < 2; f++) {
		struct json_doc *config;
		int err = read_json(dir, files[f], &config, why);

		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
			set_token(*own, json_root(config), keys[i]);
		json_close(config);
		if (err)
			return err;
	}
	set_piece(*own, "bos_token", t, tokenizer_bos(t));
	set_piece(*own, "eos_token", t, tokenizer_eos(t));
	return 0;
}

static bool has_token(const struct tokenizer *t, const char *name)
{
	return tokenizer_find(t, name, strlen(name)) >= 0;
}

/* Chooses the format that the model's own code builds. XVERSE's two releases differ in their vocabulary: the first has
 * 100278 entries, the second adds tokens for bytes. Baichuan's chat models name the speakers' tokens in
 * generation_config.json. */
static const char *by_config(const struct json *config, const struct json *generation, const struct tokenizer *t)
{
	const char *type = json_str(json_get(config, "model_type"));

	if (!type)
		return NULL;
	if (!strcmp(type, "xverse"))
		return json_int_or(json_get(config, "vocab_size"), 0) <= 100278 ? "xverse-v1" : "xverse-v2";
	if (!strcmp(type, "baichuan") && json_get(generation, "user_token_id"))
		return "baichuan";
	if (!strcmp(type, "moss") && has_token(t, "<eom>"))
		return "moss";
	return !strcmp(type, "llama") && has_token(t, "<human>") && has_token(t, "<bot>") ? "ziya" : NULL;
}

static int choose_by_config(struct chat *c, const char *dir, struct why *why)
{
	struct json_doc *config, *generation = NULL;
	const char *built_in;
	int err = read_json(dir, "config.json", &config, why);

	if (!err)
		err = read_json(dir, "generation_config.json", &generation, why);
	built_in = by_config(json_root(config), json_root(generation), c->tokenizer);
	json_close(config);
	json_close(generation);
	if (err)
		return err;
	if (!built_in)
		return fail(
			why, ERR_UNKNOWN,
			"this model specifies no chat format: start the server with --chat-template NAME (xverse-v1, xverse-v2, baichuan, "
			"ziya, llama-2, moss, plain) or FILE (a Jinja template), or use Generate");
	c->format = format_find(built_in);
	return 0;
}

static int choose(struct chat *c, const char *dir, const char *named, struct why *why)
{
	int err;

	if (!named) {
		err = own_template(c, dir, why);
		return err ? min_int(err, 0) : choose_by_config(c, dir, why);
	}
	c->format = format_find(named);
	err = c->format ? 0 : compile_file(c, named, why);
	if (err == ERR_UNKNOWN)
		return fail(
			why, ERR_INVALID,
			"--chat-template: '%.200s' is neither a file nor one of xverse-v1, xverse-v2, baichuan, ziya, llama-2, moss, plain",
			named);
	return err;
}

/* Returns the bos token only if the model's files put it before every text. */
static int leading_bos(const struct tokenizer *t)
{
	struct encode_options how = {.add_special = true};
	struct ids ids = {0};
	int bos = -1;

	if (!tokenizer_encode(t, "a", 1, &how, &ids, NULL) && ids.n && ids.id[0] == tokenizer_bos(t))
		bos = ids.id[0];
	ids_finish(&ids);
	return bos;
}

static int id_of(const struct json *config, const char *key, int otherwise)
{
	int64_t id = json_int_or(json_get(config, key), -1);

	return id >= 0 && id <= INT32_MAX ? (int)id : otherwise;
}

static void set_stops(struct chat *c)
{
	const char *token = c->format ? c->format->stop_token : NULL;
	int id = token ? tokenizer_find(c->tokenizer, token, strlen(token)) : -1;

	if (c->eos >= 0)
		c->stop_ids[c->n_stop_ids++] = c->eos;
	if (id >= 0)
		c->stop_ids[c->n_stop_ids++] = id;
	while (c->format && c->format->stop[c->n_stop])
		c->n_stop++;
}

static int fill(struct chat *c, const char *dir, struct why *why)
{
	const struct tokenizer *t = c->tokenizer;
	struct json_doc *generation;
	int err = read_json(dir, "generation_config.json", &generation, why);

	c->user_id = id_of(json_root(generation), "user_token_id", 195);
	c->assistant_id = id_of(json_root(generation), "assistant_token_id", 196);
	json_close(generation);
	c->eos = tokenizer_eos(t);
	c->bos = c->format && !strcmp(c->format->name, "llama-2") ? tokenizer_bos(t) : leading_bos(t);
	c->tools.with_tools = true;
	if (c->format) {
		c->name = xstrdup(c->format->name);
		if (!strncmp(c->name, "xverse-", strlen("xverse-")))
			c->calls = chat_form_tools("xverse");
	} else if (!err && !(err = own_variables(&c->own, dir, t, why))) {
		shape_learn(&c->all, c->own);
		shape_learn(&c->tools, c->own);
		c->tools.renders_tools = c->tools.template;
	}
	set_stops(c);
	return err;
}

int chat_open(struct chat **out, const char *dir, const char *named, const struct tokenizer *t, struct why *why)
{
	struct chat *c = xalloc(1, sizeof *c);
	int err;

	*out = NULL;
	c->tokenizer = t;
	err = choose(c, dir, named, why);
	if (!err)
		err = fill(c, dir, why);
	if (err)
		chat_close(c);
	else
		*out = c;
	return err;
}
