#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/internal.h"

static int open_one(json_t **out, const char *dir, const char *name, uint64_t *fingerprint, struct why *why)
{
	struct why quiet;
	int err = json_open(out, dir, name, fingerprint, &quiet);

	if (err == ERR_UNKNOWN)
		return 0;
	if (err)
		*why = quiet;
	return err;
}

int config_open(struct token_config *c, const char *dir, uint64_t *fingerprint, struct why *why)
{
	uint64_t unused = 0;
	json_t *model = NULL;
	struct why quiet;
	int err;

	*c = (struct token_config){0};
	err = open_one(&c->config, dir, "tokenizer_config.json", fingerprint, why);
	if (!err)
		err = open_one(&c->map, dir, "special_tokens_map.json", fingerprint, why);
	if (!err)
		err = open_one(&c->added, dir, "added_tokens.json", fingerprint, why);
	if (!err && !json_open(&model, dir, "config.json", &unused, &quiet)) {
		const char *type = json_word(model, "model_type");

		snprintf(c->model_type, sizeof c->model_type, "%s", type ? type : "");
		json_decref(model);
	}
	return err;
}

void config_close(struct token_config *c)
{
	json_decref(c->config);
	json_decref(c->map);
	json_decref(c->added);
}

bool config_is_llama(const struct token_config *c)
{
	const char *class = json_word(c->config, "tokenizer_class");

	return class && (!strcmp(class, "LlamaTokenizer") || !strcmp(class, "LlamaTokenizerFast"));
}

bool config_adds(const struct token_config *c, const char *key, bool otherwise)
{
	return json_flag(c->config, key, otherwise);
}

/* A token is its content, or an object with it. */
static const json_t *content_of(const json_t *token)
{
	return json_is_object(token) ? json_object_get(token, "content") : token;
}

static int add_token(struct tokenizer *t, const json_t *token, int id, bool special, const char *where, struct why *why)
{
	const json_t *content = content_of(token);
	struct added_token a = {.id = id, .special = json_flag(token, "special", special)};
	int err;

	if (!json_is_string(content))
		return fail(why, ERR_FORMAT, "%s: a token without content", where);
	a.single_word = json_flag(token, "single_word", false);
	a.lstrip = json_flag(token, "lstrip", false);
	a.rstrip = json_flag(token, "rstrip", false);
	a.normalized = json_flag(token, "normalized", !a.special);
	a.content = json_text(json_string_value(content), json_string_length(content), &a.len);
	err = a.len && !added_find(&t->added, a.content, a.len) ? token_add(t, &a, where, why) : 0;
	free(a.content);
	return err;
}

/* added_tokens_decoder: {"id": token}. */
static int add_decoder(struct tokenizer *t, json_t *table, const char *where, struct why *why)
{
	const char *key;
	json_t *token;

	json_object_foreach(table, key, token) {
		char *end;
		long id = strtol(key, &end, 10);
		int err;

		if (*end || id < 0 || id >= VOCAB_MAX)
			return fail(why, ERR_FORMAT, "%s: added_tokens_decoder: %.40s is not an id", where, key);
		err = add_token(t, token, (int)id, false, where, why);
		if (err)
			return err;
	}
	return 0;
}

/* added_tokens.json: {"content": id}. */
static int add_table(struct tokenizer *t, json_t *table, struct why *why)
{
	const char *key;
	json_t *id;

	json_object_foreach(table, key, id) {
		json_t *content = json_string(key);
		int err = json_is_integer(id)
				  ? add_token(t, content, (int)json_integer_value(id), false, "added_tokens.json", why)
				  : fail(why, ERR_FORMAT, "added_tokens.json: the id of %.40s is not a number", key);

		json_decref(content);
		if (err)
			return err;
	}
	return 0;
}

/* A named special token, if the vocabulary has it: the id, or -1. */
static int special_id(const struct tokenizer *t, const json_t *token)
{
	const json_t *content = content_of(token);

	return json_is_string(content) ? vocab_find(&t->vocab, json_string_value(content), json_string_length(content)) : -1;
}

static int add_specials(struct tokenizer *t, const json_t *from, const char *where, struct why *why)
{
	static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
					    "pad_token", "cls_token", "mask_token"};
	const json_t *item;
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof names / sizeof *names && !err; i++) {
		item = json_object_get(from, names[i]);
		if (special_id(t, item) >= 0)
			err = add_token(t, item, -1, true, where, why);
	}
	json_array_foreach(json_object_get(from, "additional_special_tokens"), i, item)
		if (!err && special_id(t, item) >= 0)
			err = add_token(t, item, -1, true, where, why);
	return err;
}

static int named_id(const struct token_config *c, const struct tokenizer *t, const char *key, int otherwise)
{
	int id = special_id(t, json_object_get(c->config, key));

	if (id < 0)
		id = special_id(t, json_object_get(c->map, key));
	return id < 0 ? otherwise : id;
}

int config_apply(const struct token_config *c, struct tokenizer *t, const char *dir, struct why *why)
{
	char where[256];
	int err;

	snprintf(where, sizeof where, "%.200s/tokenizer_config.json", dir);
	err = add_decoder(t, json_object_get(c->config, "added_tokens_decoder"), where, why);
	if (!err)
		err = add_table(t, c->added, why);
	if (!err)
		err = add_specials(t, c->config, where, why);
	if (!err)
		err = add_specials(t, c->map, "special_tokens_map.json", why);
	t->bos = named_id(c, t, "bos_token", t->spm ? t->spm->bos : -1);
	t->eos = named_id(c, t, "eos_token", t->spm ? t->spm->eos : -1);
	return err;
}
