/* tokens.c - the vocabulary of a GGUF file as tokenizer.json, tokenizer.model and tokenizer_config.json. */
#include "engine/gguf/inside.h"

#include <stdlib.h>
#include <string.h>

static const struct gguf_value *list_of(const struct gguf *g, const char *key, enum gguf_kind of)
{
	const struct gguf_value *v = gguf_find(g, key);

	return v && v->kind == GGUF_LIST && v->of == of ? v : NULL;
}

char *gguf_token(const struct gguf *g, const char *key, size_t *len)
{
	const struct gguf_value *tokens = list_of(g, "tokenizer.ggml.tokens", GGUF_TEXT);
	struct gguf_walk *walk = gguf_walk(g, tokens);
	struct gguf_value token;
	int64_t id = gguf_int(g, key, -1);
	char *found = NULL;

	for (int64_t i = 0; i <= id && gguf_next(walk, &token); i++)
		if (i == id) {
			*len = token.len;
			found = xalloc(token.len + 1, 1);
			memcpy(found, token.text, token.len);
		}
	gguf_walk_end(walk, NULL);
	return found;
}

uint8_t *gguf_token_kinds(const struct gguf *g, uint64_t n, int *err, struct why *why)
{
	const struct gguf_value *list = list_of(g, "tokenizer.ggml.token_type", GGUF_I32);
	struct gguf_walk *walk = gguf_walk(g, list);
	struct gguf_value kind;
	uint8_t *out = xalloc(n + 1, 1);

	memset(out, TOKEN_NORMAL, n);
	for (uint64_t i = 0; i < n && gguf_next(walk, &kind); i++)
		if (kind.integer >= TOKEN_NORMAL && kind.integer <= TOKEN_BYTE)
			out[i] = (uint8_t)kind.integer;
	*err = gguf_walk_end(walk, why);
	if (!*err && list && list->n != n)
		*err = fail(why, ERR_FORMAT, "tokenizer.ggml.token_type has %llu entries, the vocabulary %llu",
			    (unsigned long long)list->n, (unsigned long long)n);
	return out;
}

bool gguf_is_xverse(const struct gguf *g)
{
	const char *arch = gguf_text(g, "general.architecture");

	return arch && !strcmp(arch, "xverse");
}

static bool flag(const struct gguf *g, const char *key, bool otherwise)
{
	const struct gguf_value *v = gguf_find(g, key);

	return v && v->kind == GGUF_BOOL ? v->integer != 0 : otherwise;
}

/* ---- tokenizer_config.json ---- */

static void put_member(struct text *out, const char *name)
{
	text_str(out, out->len > 1 ? ", " : "");
	text_json_str(out, name);
	text_str(out, ": ");
}

static void put_templates(const struct gguf *g, struct text *out)
{
	const char *one = gguf_text(g, "tokenizer.chat_template"),
		   *tools = gguf_text(g, "tokenizer.chat_template.tool_use");

	if (!one)
		return;
	put_member(out, "chat_template");
	if (!tools) {
		text_json_str(out, one);
		return;
	}
	text_str(out, "[{\"name\": \"default\", \"template\": ");
	text_json_str(out, one);
	text_str(out, "}, {\"name\": \"tool_use\", \"template\": ");
	text_json_str(out, tools);
	text_str(out, "}]");
}

int gguf_tokenizer_config(const struct gguf *g, struct text *out, struct why *why)
{
	static const char *const keys[][2] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
					      {"eos_token", "tokenizer.ggml.eos_token_id"},
					      {"unk_token", "tokenizer.ggml.unknown_token_id"},
					      {"pad_token", "tokenizer.ggml.padding_token_id"}};
	const char *model = gguf_text(g, "tokenizer.ggml.model");
	char *token;
	size_t len;

	(void)why;
	text_str(out, "{");
	for (int i = 0; i < 4; i++) {
		token = gguf_token(g, keys[i][1], &len);
		if (!token)
			continue;
		put_member(out, keys[i][0]);
		text_json(out, token, len);
		free(token);
	}
	if (model && !strcmp(model, "llama") && !gguf_is_xverse(g)) {
		put_member(out, "tokenizer_class");
		text_str(out, "\"LlamaTokenizer\"");
		put_member(out, "add_bos_token");
		text_str(out, flag(g, "tokenizer.ggml.add_bos_token", true) ? "true" : "false");
		put_member(out, "add_eos_token");
		text_str(out, flag(g, "tokenizer.ggml.add_eos_token", false) ? "true" : "false");
	}
	put_member(out, "clean_up_tokenization_spaces");
	text_str(out, "false");
	put_templates(g, out);
	text_str(out, "}\n");
	return 0;
}

/* ---- tokenizer.model: sentencepiece_model.proto, written ---- */

static void put_varint(struct text *out, uint64_t n)
{
	char b[10];
	size_t len = 0;

	do {
		b[len++] = (char)((n & 127) | (n > 127 ? 128 : 0));
		n >>= 7;
	} while (n);
	text_put(out, b, len);
}

static void put_number(struct text *out, uint32_t field, uint64_t n)
{
	put_varint(out, (uint64_t)field << 3);
	put_varint(out, n);
}

static void put_bytes(struct text *out, uint32_t field, const char *bytes, size_t len)
{
	put_varint(out, (uint64_t)field << 3 | 2);
	put_varint(out, len);
	text_put(out, bytes ? bytes : "", len);
}

static void put_piece(struct text *out, const struct gguf_value *token, float score, uint8_t kind)
{
	struct text piece = {0};
	uint32_t bits = f32_bits(score);
	char b[5] = {2 << 3 | 5, (char)bits, (char)(bits >> 8), (char)(bits >> 16), (char)(bits >> 24)};

	put_bytes(&piece, 1, token->text, token->len);
	text_put(&piece, b, sizeof b);
	put_number(&piece, 3, kind);
	put_bytes(out, 1, piece.data, piece.len);
	text_finish(&piece);
}

/* proto2 writes a negative number in ten bytes; -1: there is no such token. */
static void put_id(struct text *out, uint32_t field, int64_t id, uint64_t n)
{
	put_number(out, field, (uint64_t)(id >= 0 && (uint64_t)id < n ? id : -1));
}

static void put_trainer(const struct gguf *g, struct text *out, uint64_t n, bool bytes)
{
	enum { BPE = 2 };
	struct text spec = {0};

	put_number(&spec, 3, BPE);
	put_number(&spec, 35, bytes);
	put_id(&spec, 40, gguf_int(g, "tokenizer.ggml.unknown_token_id", 0), n);
	put_id(&spec, 41, gguf_int(g, "tokenizer.ggml.bos_token_id", 1), n);
	put_id(&spec, 42, gguf_int(g, "tokenizer.ggml.eos_token_id", 2), n);
	put_id(&spec, 43, gguf_int(g, "tokenizer.ggml.padding_token_id", -1), n);
	put_bytes(out, 2, spec.data, spec.len);
	text_finish(&spec);
}

static void put_normalizer(const struct gguf *g, struct text *out)
{
	const struct gguf_value *map = gguf_find(g, "tokenizer.ggml.precompiled_charsmap");
	struct text spec = {0}, chars = {0};
	struct gguf_walk *walk = gguf_walk(g, map);
	struct gguf_value byte;

	while (gguf_next(walk, &byte)) {
		char c = (char)byte.integer;
		text_put(&chars, &c, 1);
	}
	gguf_walk_end(walk, NULL);
	put_bytes(&spec, 1, "identity", 8);
	if (chars.len)
		put_bytes(&spec, 2, chars.data, chars.len);
	put_number(&spec, 3, flag(g, "tokenizer.ggml.add_space_prefix", true));
	put_number(&spec, 4, flag(g, "tokenizer.ggml.remove_extra_whitespaces", false));
	put_number(&spec, 5, 1);
	put_bytes(out, 3, spec.data, spec.len);
	text_finish(&spec);
	text_finish(&chars);
}

int gguf_sentencepiece(const struct gguf *g, struct text *out, struct why *why)
{
	const struct gguf_value *tokens = list_of(g, "tokenizer.ggml.tokens", GGUF_TEXT);
	const struct gguf_value *scores = list_of(g, "tokenizer.ggml.scores", GGUF_F32);
	const char *model = gguf_text(g, "tokenizer.ggml.model");
	struct gguf_walk *token_walk, *score_walk;
	struct gguf_value token, score = {0};
	bool bytes = false;
	uint8_t *kind;
	int err;

	if (!tokens || !model || strcmp(model, "llama") || gguf_is_xverse(g))
		return ERR_UNKNOWN;
	if (!scores || scores->n != tokens->n)
		return fail(why, ERR_FORMAT, "tokenizer.ggml.scores has not one score for each token");
	kind = gguf_token_kinds(g, tokens->n, &err, why);
	token_walk = gguf_walk(g, tokens);
	score_walk = gguf_walk(g, scores);
	for (uint64_t i = 0; !err && gguf_next(token_walk, &token) && gguf_next(score_walk, &score); i++) {
		bytes = bytes || kind[i] == TOKEN_BYTE;
		put_piece(out, &token, (float)score.real, kind[i]);
	}
	put_trainer(g, out, tokens->n, bytes);
	put_normalizer(g, out);
	free(kind);
	gguf_walk_end(score_walk, NULL);
	return err ? (gguf_walk_end(token_walk, NULL), err) : gguf_walk_end(token_walk, why);
}
