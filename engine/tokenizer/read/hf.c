#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "base/utf8.h"

static const char file[] = "tokenizer.json";

static int parse_vocab(struct vocab *v, const struct json *json, struct why *why)
{
	const struct json_member *m;

	if (!json_is(json, JSON_IS_OBJECT))
		return fail(why, ERR_FORMAT, "%s: model.vocab is not an object", file);
	for (size_t i = 0; (m = json_member(json, i)); i++) {
		int64_t id = json_int_or(&m->value, -1);

		if (id < 0 || id >= VOCAB_MAX)
			return fail(why, ERR_FORMAT, "%s: model.vocab: the id of %.60s is not a number from 0 to %d",
				    file, m->key, VOCAB_MAX - 1);
		vocab_put(v, (int)id, m->key, m->key_len, file);
	}
	return 0;
}

/* Returns the two parts of "a b" or ["a", "b"] in one string, which the caller frees. */
static char *merge_parts(const struct json *item, size_t *len_a, size_t *len_b)
{
	const struct json *a = json_at(item, 0), *b = json_at(item, 1);
	char *s, *space;
	size_t len;

	if (json_is(item, JSON_IS_TEXT)) {
		s = json_copy_text(item, &len);
		space = memchr(s, ' ', len);
		if (!space || memchr(space + 1, ' ', len - (size_t)(space + 1 - s)))
			return free(s), NULL;
		*len_a = (size_t)(space - s);
		*len_b = len - *len_a - 1;
		memmove(space, space + 1, *len_b);
		return s;
	}
	if (!json_is(a, JSON_IS_TEXT) || !json_is(b, JSON_IS_TEXT) || json_size(item) != 2)
		return NULL;
	s = json_copy_text(a, len_a);
	space = json_copy_text(b, len_b);
	s = xgrow(s, *len_a + *len_b + 1, 1);
	memcpy(s + *len_a, space, *len_b);
	free(space);
	return s;
}

static int parse_merge(struct bpe *b, const struct vocab *v, const struct json *item, int rank, struct why *why)
{
	size_t na, nb;
	char *s = merge_parts(item, &na, &nb);
	int first, second, both;

	if (!s)
		return fail(why, ERR_FORMAT, "%s: model.merges: entry %d is not a pair of tokens", file, rank);
	first = vocab_find(v, s, na);
	second = vocab_find(v, s + na, nb);
	both = vocab_find(v, s, na + nb);
	if (first >= 0 && second >= 0 && both >= 0)
		bpe_pair_set(b, first, second, rank, both, s, na, na + nb);
	free(s);
	if (first < 0 || second < 0 || both < 0)
		return fail(why, ERR_FORMAT, "%s: model.merges: entry %d names a token that is not in the vocabulary",
			    file, rank);
	return 0;
}

/* A string that begins with "#version" is no merge but the first line of a merges.txt. */
static int parse_merges(struct tokenizer *t, const struct json *merges, struct why *why)
{
	const struct json *item;
	int rank = 0, err;
	size_t i;

	for (i = 0; (item = json_at(merges, i)); i++) {
		if (json_is(item, JSON_IS_TEXT) && !strncmp(json_str(item), "#version", strlen("#version")))
			continue;
		err = parse_merge(&t->bpe, &t->vocab, item, rank++, why);
		if (err)
			return err;
	}
	t->bpe.n_ranks = rank;
	return 0;
}

static int check_model(const struct json *model, struct why *why)
{
	const char *type = json_word(model, "type"), *prefix = json_word(model, "continuing_subword_prefix");
	const char *suffix = json_word(model, "end_of_word_suffix");

	if (!json_is(model, JSON_IS_OBJECT))
		return fail(why, ERR_FORMAT, "%s: no model", file);
	if (!type)
		type = json_get(model, "merges") ? "BPE" : "without a type";
	if (strcmp(type, "BPE") != 0)
		return fail(why, ERR_UNSUPPORTED, "%s: model %.60s is not supported (BPE is)", file, type);
	if (json_num(json_get(model, "dropout")) > 0)
		return fail(why, ERR_UNSUPPORTED, "%s: model.dropout makes ids random: set it to null", file);
	if (prefix && *prefix)
		return fail(why, ERR_UNSUPPORTED, "%s: model.continuing_subword_prefix is not supported", file);
	if (suffix && *suffix)
		return fail(why, ERR_UNSUPPORTED, "%s: model.end_of_word_suffix is not supported", file);
	return 0;
}

static int parse_model(struct tokenizer *t, const struct json *model, struct why *why)
{
	const struct json *unk = json_get(model, "unk_token");
	int err = check_model(model, why);

	if (!err)
		err = parse_vocab(&t->vocab, json_get(model, "vocab"), why);
	if (err)
		return err;
	t->n_tokens = (int)json_size(json_get(model, "vocab"));
	bpe_find_characters(&t->bpe, &t->vocab);
	t->bpe.byte_fallback = json_flag(model, "byte_fallback", false);
	t->bpe.fuse_unk = json_flag(model, "fuse_unk", false);
	t->bpe.ignore_merges = json_flag(model, "ignore_merges", false);
	if (json_str(unk))
		t->bpe.unk = vocab_find(&t->vocab, json_str(unk), json_len(unk));
	return parse_merges(t, json_get(model, "merges"), why);
}

static int parse_added(struct tokenizer *t, const struct json *list, struct why *why)
{
	const struct json *item;
	size_t i;
	int err = 0;

	for (i = 0; (item = json_at(list, i)); i++) {
		const struct json *content = json_get(item, "content");
		struct added_token a = {.id = (int)json_int_or(json_get(item, "id"), 0),
					.single_word = json_flag(item, "single_word", false),
					.lstrip = json_flag(item, "lstrip", false),
					.rstrip = json_flag(item, "rstrip", false),
					.normalized = json_flag(item, "normalized", true),
					.special = json_flag(item, "special", false)};

		if (!json_is(content, JSON_IS_TEXT))
			return fail(why, ERR_FORMAT, "%s: added_tokens[%zu] has no content", file, i);
		a.content = json_copy_text(content, &a.len);
		err = token_add(t, &a, file, why);
		free(a.content);
		if (err)
			return err;
	}
	return 0;
}

static int find_special(const struct tokenizer *t, const char *s, struct why *why)
{
	int id = s ? vocab_find(&t->vocab, s, strlen(s)) : -1;

	return id >= 0 ? id : fail(why, ERR_FORMAT, "%s: post_processor: no token %.60s", file, s ? s : "given");
}

static bool has_id(const struct tokenizer *t, int64_t id)
{
	size_t len;

	return id >= 0 && id < t->vocab.n && vocab_get(&t->vocab, (int)id, &len);
}

/* Reads TemplateProcessing of a single text: the tokens before and after the place of $A. */
static int parse_template(struct tokenizer *t, const struct json *json, struct why *why)
{
	const struct json *item, *table = json_get(json, "special_tokens"), *id;
	struct ids *to = &t->before;
	size_t i, k;

	for (i = 0; (item = json_at(json_get(json, "single"), i)); i++) {
		const char *name = json_word(json_get(item, "SpecialToken"), "id");

		if (json_get(item, "Sequence"))
			to = &t->after;
		if (!name)
			continue;
		if (!json_is(json_get(json_get(table, name), "ids"), JSON_IS_LIST))
			return fail(why, ERR_FORMAT, "%s: post_processor: no ids for %.60s", file, name);
		for (k = 0; (id = json_at(json_get(json_get(table, name), "ids"), k)); k++) {
			if (!has_id(t, json_int_or(id, 0)))
				return fail(why, ERR_FORMAT, "%s: post_processor: %.60s has an unknown id", file, name);
			ids_add(to, (int)json_int_or(id, 0), NULL, 0, 0);
		}
	}
	return 0;
}

/* Reads RobertaProcessing and BertProcessing: [name, id] of the tokens before and after. */
static int parse_pair(struct tokenizer *t, const struct json *json, struct why *why)
{
	int cls = find_special(t, json_str(json_at(json_get(json, "cls"), 0)), why);
	int sep = find_special(t, json_str(json_at(json_get(json, "sep"), 0)), why);

	if (cls < 0 || sep < 0)
		return ERR_FORMAT;
	ids_add(&t->before, cls, NULL, 0, 0);
	ids_add(&t->after, sep, NULL, 0, 0);
	return 0;
}

static int parse_post(struct tokenizer *t, const struct json *json, int depth, struct why *why)
{
	const char *type = json_word(json, "type");
	const struct json *item;
	size_t i;
	int err = 0;

	if (!json || json_is(json, JSON_IS_NULL))
		return 0;
	if (!type || depth > 16)
		return fail(why, ERR_FORMAT, "%s: a post_processor without a type, or nested more than 16 deep", file);
	if (strcmp(type, "TemplateProcessing") == 0)
		return parse_template(t, json, why);
	if (strcmp(type, "RobertaProcessing") == 0 || strcmp(type, "BertProcessing") == 0)
		return parse_pair(t, json, why);
	if (strcmp(type, "ByteLevel") == 0)
		return 0; /* it only trims offsets */
	if (strcmp(type, "Sequence") != 0)
		return fail(why, ERR_UNSUPPORTED, "%s: post_processor %.60s is not supported", file, type);
	for (i = 0; (item = json_at(json_get(json, "processors"), i)); i++)
		if (!err)
			err = parse_post(t, item, depth + 1, why);
	return err;
}

/* "add_prefix_space": false of a Llama class: a text gets no leading space, and decoding removes none. */
static void drop_prefix(struct tokenizer *t)
{
	struct normalizer *op = t->normalizers.op;
	struct pretokenizer *pre = t->pretokenizers.op;
	struct stage *stage = t->decoder.stage;

	for (int i = 0; i < t->normalizers.n; i++)
		if (op[i].kind == NORM_PREPEND)
			op[i].len = 0;
	for (int i = 0; i < t->pretokenizers.n; i++)
		if (pre[i].kind == PRE_METASPACE)
			pre[i].prepend = PREPEND_NEVER;
	for (int i = 0; i < t->decoder.n; i++) {
		if (stage[i].kind == STAGE_METASPACE)
			stage[i].keep_first = true;
		if (stage[i].kind == STAGE_STRIP && stage[i].len == 1 && *stage[i].content == ' ')
			stage[i].start = 0;
	}
}

/* The library's Llama class rebuilds the template from its own switches. */
static void apply_llama(struct tokenizer *t, const struct token_config *c)
{
	if (!config_is(c, "LlamaTokenizer"))
		return;
	if (!config_adds(c, "add_prefix_space", true))
		drop_prefix(t);
	if (!json_is(json_get(json_root(c->config), "add_bos_token"), JSON_IS_BOOL))
		return;
	t->before.n = t->after.n = 0;
	if (config_adds(c, "add_bos_token", true) && t->bos >= 0)
		ids_add(&t->before, t->bos, NULL, 0, 0);
	if (config_adds(c, "add_eos_token", false) && t->eos >= 0)
		ids_add(&t->after, t->eos, NULL, 0, 0);
}

static int parse_all(struct tokenizer *t, const struct json *json, const char *dir, const struct token_config *c,
		     struct why *why)
{
	int err = parse_model(t, json_get(json, "model"), why);

	if (!err)
		err = normalizers_parse(&t->normalizers, json_get(json, "normalizer"), file, why);
	if (!err)
		err = pretokenizers_parse(&t->pretokenizers, json_get(json, "pre_tokenizer"), file, why);
	if (!err)
		err = decoder_parse(&t->decoder, json_get(json, "decoder"), file, why);
	if (!err)
		err = parse_added(t, json_get(json, "added_tokens"), why);
	if (!err)
		err = parse_post(t, json_get(json, "post_processor"), 0, why);
	if (!err)
		err = config_apply(c, t, dir, why);
	if (!err)
		apply_llama(t, c);
	return err;
}

int hf_open(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why)
{
	struct json_doc *doc;
	int err = tokenizer_json(&doc, dir, file, &t->fingerprint, why);

	if (err)
		return err;
	t->kind = file;
	bpe_init(&t->bpe, &t->vocab);
	err = parse_all(t, json_root(doc), dir, c, why);
	json_close(doc);
	return err;
}
