/* open.c - which format a model has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "engine/chat/inside.h"

/* NULL where the file is absent or no object. */
static json_t *read_json(const char *dir, const char *file)
{
	char *path = xprintf("%s/%s", dir, file);
	json_t *j = json_load_file(path, 0, NULL);

	free(path);
	return j;
}

static char *read_text(const char *path, size_t *len, struct why *why)
{
	FILE *f = fopen(path, "rb");
	char *text = xalloc(TEMPLATE_SOURCE + 2, 1);

	*len = f ? fread(text, 1, TEMPLATE_SOURCE + 2, f) : 0;
	if (!f || ferror(f)) {
		fail(why, ERR_IO, "%.300s: %m", path);
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

static int compile(struct chat *c, const char *source, size_t len, const char *file, struct why *why)
{
	struct why inner = {""};
	int err = template_compile(&c->all.template, source, len, &inner);

	if (err)
		return fail(why, err, "chat template %.200s: %.250s", file, inner.text);
	c->all.developer = memmem(source, len, "developer", strlen("developer"));
	c->name = xstrdup(file);
	return 0;
}

static int compile_file(struct chat *c, const char *path, struct why *why)
{
	size_t len;
	char *source = read_text(path, &len, why);
	int err = source ? compile(c, source, len, path, why) : ERR_IO;

	free(source);
	return err;
}

/* tokenizer_config.json "chat_template": a text, or a list of {name, template} of which "default" counts. */
static const json_t *template_of(const json_t *config)
{
	const json_t *v = json_object_get(config, "chat_template"), *one, *best = NULL;
	size_t i;

	if (json_is_string(v))
		return v;
	json_array_foreach((json_t *)(uintptr_t)v, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		const json_t *source = json_object_get(one, "template");
		if (json_is_string(source) && (!best || (name && !strcmp(name, "default"))))
			best = source;
	}
	return best;
}

/* The one named "tool_use" of a list, as the reference takes it where tools are given. */
static void open_tool_template(struct chat *c, const json_t *config, const char *file)
{
	const json_t *list = json_object_get(config, "chat_template"), *one;
	struct why why = {""};
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		const json_t *source = json_object_get(one, "template");

		if (!name || strcmp(name, "tool_use") || !json_is_string(source) || c->tools.template)
			continue;
		c->tools.developer = strstr(json_string_value(source), "developer");
		if (template_compile(&c->tools.template, json_string_value(source), json_string_length(source), &why))
			fail(&c->no_tool_template, ERR_UNSUPPORTED, "chat template %.150s (tool_use): %.250s", file, why.text);
	}
}

/* 1: found and compiled; 0: the model has none. */
static int own_template(struct chat *c, const char *dir, struct why *why)
{
	char *path = xprintf("%s/chat_template.jinja", dir);
	int err = access(path, F_OK) ? 0 : compile_file(c, path, why);

	free(path);
	if (err || c->all.template)
		return err ? err : 1;
	for (int i = 0; i < 2; i++) {
		const char *file = i ? "tokenizer_config.json" : "chat_template.json";
		json_t *config = read_json(dir, file);
		const json_t *source = template_of(config);

		path = xprintf("%s/%s", dir, file);
		if (source)
			err = compile(c, json_string_value(source), json_string_length(source), path, why);
		open_tool_template(c, config, path);
		free(path);
		json_decref(config);
		if (source)
			return err ? err : 1;
	}
	return 0;
}

/* A special token is told as text or as an object with "content". */
static void set_token(json_t *own, const json_t *config, const char *key)
{
	const json_t *v = json_object_get(config, key);

	if (json_is_object(v))
		v = json_object_get(v, "content");
	if (json_is_string(v))
		json_object_set(own, key, (json_t *)(uintptr_t)v);
}

static void set_piece(json_t *own, const char *key, const struct tokenizer *t, int id)
{
	size_t len = 0;
	const char *piece = id >= 0 ? tokenizer_piece(t, id, &len) : NULL;

	if (piece && !json_object_get(own, key))
		json_object_set_new(own, key, json_stringn(piece, len));
}

static json_t *own_variables(const char *dir, const struct tokenizer *t)
{
	static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"};
	static const char *const files[] = {"special_tokens_map.json", "tokenizer_config.json"};
	json_t *own = json_object();

	for (int f = 0; f < 2; f++) {
		json_t *config = read_json(dir, files[f]);
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
			set_token(own, config, keys[i]);
		json_decref(config);
	}
	set_piece(own, "bos_token", t, tokenizer_bos(t));
	set_piece(own, "eos_token", t, tokenizer_eos(t));
	return own;
}

static bool has_token(const struct tokenizer *t, const char *name)
{
	return tokenizer_find(t, name, strlen(name)) >= 0;
}

/* The format that the model's own code builds. XVERSE's two releases differ in their vocabulary: 100278 entries, then more with
 * tokens for bytes. Baichuan's chat models tell the speakers' tokens in generation_config.json. */
static const char *by_config(const char *dir, const struct tokenizer *t)
{
	json_t *config = read_json(dir, "config.json"), *generation = read_json(dir, "generation_config.json");
	const char *type = json_string_value(json_object_get(config, "model_type")), *name = NULL;

	if (!type)
		type = "";
	if (!strcmp(type, "xverse"))
		name = json_integer_value(json_object_get(config, "vocab_size")) <= 100278 ? "xverse-v1" : "xverse-v2";
	else if (!strcmp(type, "baichuan") && json_object_get(generation, "user_token_id"))
		name = "baichuan";
	else if (!strcmp(type, "moss") && has_token(t, "<eom>"))
		name = "moss";
	else if (!strcmp(type, "llama") && has_token(t, "<human>") && has_token(t, "<bot>"))
		name = "ziya";
	json_decref(config);
	json_decref(generation);
	return name;
}

static int choose(struct chat *c, const char *dir, const char *named, struct why *why)
{
	const char *built_in;
	int err;

	if (named) {
		c->format = format_find(named);
		if (!c->format && access(named, R_OK))
			return fail(why, ERR_UNKNOWN,
				    "--chat-template: '%.200s' is neither a file that can be read nor one of xverse-v1, xverse-v2, "
				    "baichuan, ziya, llama-2, moss, plain",
				    named);
		return c->format ? 0 : compile_file(c, named, why);
	}
	err = own_template(c, dir, why);
	if (err)
		return err < 0 ? err : 0;
	built_in = by_config(dir, c->tokenizer);
	if (!built_in)
		return fail(why, ERR_UNKNOWN,
			    "this model tells no chat format: start the server with --chat-template NAME (xverse-v1, xverse-v2, baichuan, "
			    "ziya, llama-2, moss, plain) or FILE (a Jinja template), or use Generate");
	c->format = format_find(built_in);
	return 0;
}

/* Only where the model's files have it put before every text. */
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

static int id_of(const json_t *config, const char *key, int otherwise)
{
	const json_t *v = json_object_get(config, key);

	return json_is_integer(v) ? (int)json_integer_value(v) : otherwise;
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

int chat_open(struct chat **out, const char *dir, const char *named, const struct tokenizer *t, struct why *why)
{
	struct chat *c = xalloc(1, sizeof *c);
	json_t *generation;
	int err;

	*out = NULL;
	c->tokenizer = t;
	err = choose(c, dir, named, why);
	if (err) {
		chat_close(c);
		return err;
	}
	generation = read_json(dir, "generation_config.json");
	c->user_id = id_of(generation, "user_token_id", 195);
	c->assistant_id = id_of(generation, "assistant_token_id", 196);
	json_decref(generation);
	c->eos = tokenizer_eos(t);
	c->bos = c->format && !strcmp(c->format->name, "llama-2") ? tokenizer_bos(t) : leading_bos(t);
	c->tools.with_tools = true;
	if (c->format) {
		c->name = xstrdup(c->format->name);
	} else {
		c->own = own_variables(dir, t);
		shape_learn(&c->all, c->own);
		shape_learn(&c->tools, c->own);
	}
	set_stops(c);
	*out = c;
	return 0;
}
