/* tokens_xverse.c - XVERSE's vocabulary as tokenizer.json. The files say neither merges nor scores, but ids are in the
 * order of the merges, so the merges follow: every way to compose a token of two, in the order of ids. Cutting is that
 * of the model's own tokenizer.json (no space is put before a text, punctuation and digits stand alone); the first
 * release, of 100,278 tokens, normalises by NFKC. */
#include "engine/gguf/inside.h"
#include "engine/tokenizer/vocab.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/utf8.h"

enum { FIRST_RELEASE = 100278 };

static int fill_vocab(struct vocab *v, const struct gguf *g, const struct gguf_value *tokens, struct why *why)
{
	struct gguf_walk *walk = gguf_walk(g, tokens);
	struct gguf_value token;

	for (int i = 0; gguf_next(walk, &token); i++)
		vocab_put(v, i, token.text, token.len, "tokenizer.ggml.tokens");
	return gguf_walk_end(walk, why);
}

/* Each token is looked up once for each of its bytes. Vocabularies of real models cost a thousandth of the limit. */
static int check_lengths(const struct vocab *v, struct why *why)
{
	uint64_t cost = 0;

	for (int id = 0; id < v->n; id++) {
		size_t len = 0;
		vocab_get(v, id, &len);
		cost += (uint64_t)len * len;
		if (cost > (uint64_t)1 << 34)
			return fail(why, ERR_LIMIT,
				    "tokenizer.ggml.tokens: tokens up to %d are too long to find their merges", id);
	}
	return 0;
}

static void put_splits(struct text *out, const struct vocab *v, int id, uint64_t *n)
{
	size_t len;
	const char *s = vocab_get(v, id, &len);

	for (size_t i = 1; s && i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) == 0x80) /* within a character */
			continue;
		if (vocab_find(v, s, i) < 0 || vocab_find(v, s + i, len - i) < 0)
			continue;
		text_str(out, (*n)++ ? ",\n[" : "[");
		text_json(out, s, i);
		text_str(out, ", ");
		text_json(out, s + i, len - i);
		text_str(out, "]");
	}
}

int gguf_xverse_json(const struct gguf *g, struct text *out, const struct gguf_value *tokens, const uint8_t *kind,
		     struct why *why)
{
	struct vocab v = {0};
	uint64_t n = 0;
	int err;

	text_fmt(out, "{\"version\": \"1.0\", \"normalizer\": %s,\n",
		 tokens->n == FIRST_RELEASE ? "{\"type\": \"NFKC\"}" : "null");
	err = gguf_put_added(g, out, tokens, kind, why);
	text_str(
		out,
		"\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Metaspace\", \"replacement\": \"\u2581\", "
		"\"add_prefix_space\": false}, {\"type\": \"Punctuation\", \"behavior\": \"Isolated\"}, {\"type\": \"Digits\", "
		"\"individual_digits\": true}]},\n\"post_processor\": null,\n"
		"\"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"ByteFallback\"}, {\"type\": \"Metaspace\", "
		"\"replacement\": \"\u2581\", \"add_prefix_space\": false}]},\n");
	if (!err)
		err = fill_vocab(&v, g, tokens, why);
	if (!err)
		err = check_lengths(&v, why);
	text_fmt(out,
		 "\"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"fuse_unk\": true, \"byte_fallback\": %s, ",
		 vocab_find(&v, "<0x00>", 6) >= 0 ? "true" : "false");
	if (!err)
		err = gguf_put_vocab(g, out, tokens, why);
	text_str(out, ", \"merges\": [");
	for (int id = 0; !err && id < v.n; id++)
		if (kind[id] == TOKEN_NORMAL)
			put_splits(out, &v, id, &n);
	text_str(out, "]}}\n");
	vocab_finish(&v);
	return err;
}
