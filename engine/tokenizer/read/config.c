#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"

static int open_one(struct json_doc **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why)
{
	struct why quiet;
	int err = tokenizer_json(out, dir, name, fingerprint, &quiet);

	if (err == ERR_UNKNOWN)
		return 0;
	if (err)
		*why = quiet;
	return err;
}

int config_open(struct token_config *c, const char *dir, uint64_t *fingerprint, struct why *why)
{
	uint64_t unused = 0;
	struct json_doc *model;
	struct why quiet;
	int err;

	*c = (struct token_config){0};
	err = open_one(&c->config, dir, "tokenizer_config.json", fingerprint, why);
	if (!err)
		err = open_one(&c->map, dir, "special_tokens_map.json", fingerprint, why);
	if (!err)
		err = open_one(&c->added, dir, "added_tokens.json", fingerprint, why);
	if (!err && !tokenizer_json(&model, dir, "config.json", &unused, &quiet)) {
		const char *type = json_word(json_root(model), "model_type");

		snprintf(c->model_type, sizeof c->model_type, "%s", type ? type : "");
		json_close(model);
	}
	return err;
}

void config_close(struct token_config *c)
{
	json_close(c->config);
	json_close(c->map);
	json_close(c->added);
}

bool config_is(const struct token_config *c, const char *class)
{
	const char *named = json_word(json_root(c->config), "tokenizer_class");
	size_t n = strlen(class);

	return named && !strncmp(named, class, n) && (!named[n] || !strcmp(named + n, "Fast"));
}

bool config_adds(const struct token_config *c, const char *key, bool otherwise)
{
	return json_flag(json_root(c->config), key, otherwise);
}

/* A token is a string, or an object with "content". */
static const struct json *content_of(const struct json *token)
{
	return json_is(token, JSON_IS_OBJECT) ? json_get(token, "content") : token;
}

static int add_token(struct tokenizer *t, const struct json *token, int id, bool special, const char *where,
		     struct why *why)
{
	const struct json *content = content_of(token);
	struct added_token a = {.id = id, .special = json_flag(token, "special", special)};
	int err;

	if (!json_is(content, JSON_IS_TEXT))
		return fail(why, ERR_FORMAT, "%s: a token without content", where);
	a.single_word = json_flag(token, "single_word", false);
	a.lstrip = json_flag(token, "lstrip", false);
	a.rstrip = json_flag(token, "rstrip", false);
	a.normalized = json_flag(token, "normalized", !a.special);
	a.content = json_copy_text(content, &a.len);
	err = a.len && !added_find(&t->added, a.content, a.len) ? token_add(t, &a, where, why) : 0;
	free(a.content);
	return err;
}

/* Reads added_tokens_decoder: {"id": token}. */
static int add_decoder(struct tokenizer *t, const struct json *table, const char *where, struct why *why)
{
	const struct json_member *m;

	for (size_t i = 0; (m = json_member(table, i)); i++) {
		char *end;
		long id = strtol(m->key, &end, 10);
		int err;

		if (*end || id < 0 || id >= VOCAB_MAX)
			return fail(why, ERR_FORMAT, "%s: added_tokens_decoder: %.40s is not an id", where, m->key);
		err = add_token(t, &m->value, (int)id, false, where, why);
		if (err)
			return err;
	}
	return 0;
}

/* Reads added_tokens.json: {"content": id}. */
static int add_table(struct tokenizer *t, const struct json *table, struct why *why)
{
	const struct json_member *m;

	for (size_t i = 0; (m = json_member(table, i)); i++) {
		struct json content = {.kind = JSON_IS_TEXT, .n = m->key_len, .text = m->key};
		int64_t id = json_int_or(&m->value, -1);
		int err = id >= 0 && id < VOCAB_MAX
				  ? add_token(t, &content, (int)id, false, "added_tokens.json", why)
				  : fail(why, ERR_FORMAT,
					 "added_tokens.json: the id of %.40s is not a number from 0 to %d", m->key,
					 VOCAB_MAX - 1);

		if (err)
			return err;
	}
	return 0;
}

/* Returns the id of a named special token, or -1 if the vocabulary lacks it. */
static int special_id(const struct tokenizer *t, const struct json *token)
{
	const struct json *content = content_of(token);

	return json_is(content, JSON_IS_TEXT) ? vocab_find(&t->vocab, json_str(content), json_len(content)) : -1;
}

static int add_specials(struct tokenizer *t, const struct json *from, const char *where, struct why *why)
{
	static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
					    "pad_token", "cls_token", "mask_token"};
	const struct json *item;
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof names / sizeof *names && !err; i++) {
		item = json_get(from, names[i]);
		if (special_id(t, item) >= 0)
			err = add_token(t, item, -1, true, where, why);
	}
	for (i = 0; (item = json_at(json_get(from, "additional_special_tokens"), i)); i++)
		if (!err && special_id(t, item) >= 0)
			err = add_token(t, item, -1, true, where, why);
	return err;
}

static int named_id(const struct token_config *c, const struct tokenizer *t, const char *key, int otherwise)
{
	int id = special_id(t, json_get(json_root(c->config), key));

	if (id < 0)
		id = special_id(t, json_get(json_root(c->map), key));
	return id < 0 ? otherwise : id;
}

int config_apply(const struct token_config *c, struct tokenizer *t, const char *dir, struct why *why)
{
	char where[256];
	int err;

	snprintf(where, sizeof where, "%.200s/tokenizer_config.json", dir);
	err = add_decoder(t, json_get(json_root(c->config), "added_tokens_decoder"), where, why);
	if (!err)
		err = add_table(t, json_root(c->added), why);
	if (!err)
		err = add_specials(t, json_root(c->config), where, why);
	if (!err)
		err = add_specials(t, json_root(c->map), "special_tokens_map.json", why);
	t->bos = named_id(c, t, "bos_token", t->spm ? t->spm->bos : -1);
	t->eos = named_id(c, t, "eos_token", t->spm ? t->spm->eos : -1);
	return err;
}
