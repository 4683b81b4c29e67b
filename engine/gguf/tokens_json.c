/* tokens_json.c - parts of tokenizer.json that both kinds of BPE vocabularies have. */
#include "engine/gguf/inside.h"

#include <inttypes.h>

static void put_added(struct text *out, uint64_t id, const struct gguf_value *token, uint8_t kind, uint64_t *n)
{
	text_fmt(out, "%s{\"id\": %" PRIu64 ", \"content\": ", (*n)++ ? ",\n" : "", id);
	text_json(out, token->text, token->len);
	text_fmt(
		out,
		", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": %s}",
		kind == TOKEN_USER ? "false" : "true");
}

int gguf_put_added(const struct gguf *g, struct text *out, const struct gguf_value *tokens, const uint8_t *kind,
		   struct why *why)
{
	struct gguf_walk *walk = gguf_walk(g, tokens);
	struct gguf_value token;
	uint64_t n = 0;

	text_str(out, "\"added_tokens\": [");
	for (uint64_t i = 0; gguf_next(walk, &token); i++)
		if (kind[i] == TOKEN_CONTROL || kind[i] == TOKEN_USER || kind[i] == TOKEN_UNKNOWN)
			put_added(out, i, &token, kind[i], &n);
	text_str(out, "],\n");
	return gguf_walk_end(walk, why);
}

int gguf_put_vocab(const struct gguf *g, struct text *out, const struct gguf_value *tokens, struct why *why)
{
	struct gguf_walk *walk = gguf_walk(g, tokens);
	struct gguf_value token;

	text_str(out, "\"vocab\": {");
	for (uint64_t i = 0; gguf_next(walk, &token); i++) {
		text_str(out, i ? ",\n" : "");
		text_json(out, token.text, token.len);
		text_fmt(out, ": %" PRIu64, i);
	}
	text_str(out, "}");
	return gguf_walk_end(walk, why);
}
