/* tokens_bpe.c - byte-level BPE vocabularies as tokenizer.json. A GGUF file names the pattern that cuts texts; the
 * patterns are those of the models' own tokenizer.json files. */
#include "engine/gguf/inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char llama3[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char tekken[] =
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* Names of tokenizer.ggml.pre (llama-vocab.cpp of llama.cpp). */
static const struct pattern {
	const char *name;
	const char *regex; /* NULL: GPT-2's own, in ByteLevel */
	bool digits;       /* each digit alone, first */
	bool nfc;          /* the models' files normalise */
	bool whole;        /* a whole word of the vocabulary is not merged (ignore_merges) */
	bool bos;          /* added where the metadata does not say */
} patterns[] = {
	{.name = "default"},
	{.name = "gpt-2"},
	{.name = "mpt"},
	{.name = "olmo"},
	{.name = "phi-2"},
	{.name = "jais"},
	{.name = "dbrx", .regex = llama3},
	{.name = "llama-bpe", .regex = llama3, .whole = true, .bos = true},
	{.name = "llama3", .regex = llama3, .whole = true, .bos = true},
	{.name = "llama-v3", .regex = llama3, .whole = true, .bos = true},
	{.name = "smaug-bpe", .regex = llama3, .whole = true, .bos = true},
	{.name = "qwen2", .regex = qwen2, .nfc = true},
	{.name = "deepseek-r1-qwen", .regex = qwen2, .nfc = true},
	{.name = "stablelm2", .regex = qwen2, .nfc = true},
	{.name = "tekken", .regex = tekken, .whole = true, .bos = true},
	{.name = "smollm", .digits = true},
	{.name = "starcoder", .digits = true},
	{.name = "refact", .digits = true},
	{.name = "command-r", .digits = true, .nfc = true},
	{.name = "codeshell", .digits = true},
	{.name = "exaone", .digits = true},
};

/* Files of before May 2024 do not say how text is cut. Some networks have one tokenizer only; a Llama has one of many.
 */
static const char *pattern_name(const struct gguf *g)
{
	const char *name = gguf_text(g, "tokenizer.ggml.pre"), *arch = gguf_text(g, "general.architecture");

	if (name || !arch)
		return name;
	return !strcmp(arch, "gptneox")    ? "default"
	       : !strcmp(arch, "phi2")     ? "phi-2"
	       : !strncmp(arch, "qwen", 4) ? "qwen2"
					   : NULL;
}

static const struct pattern *find_pattern(const struct gguf *g, int *err, struct why *why)
{
	const char *name = pattern_name(g);

	*err = 0;
	for (size_t i = 0; name && i < sizeof patterns / sizeof *patterns; i++)
		if (!strcmp(patterns[i].name, name))
			return &patterns[i];
	if (!name) {
		*err = fail(
			why, ERR_UNSUPPORTED,
			"the metadata lacks tokenizer.ggml.pre, which says how text is cut: give a folder with the model's tokenizer.json by --tokenizer");
		return NULL;
	}
	*err = fail(
		why, ERR_UNSUPPORTED,
		"tokenizer.ggml.pre is %.60s, whose pattern is not known here: give a folder with the model's tokenizer.json by --tokenizer",
		name);
	return NULL;
}

static bool adds(const struct gguf *g, const char *key, bool otherwise)
{
	const struct gguf_value *v = gguf_find(g, key);

	return v && v->kind == GGUF_BOOL ? v->integer != 0 : otherwise;
}

static int put_merges(const struct gguf *g, struct text *out, struct why *why)
{
	const struct gguf_value *merges = gguf_find(g, "tokenizer.ggml.merges");
	struct gguf_walk *walk;
	struct gguf_value merge;

	if (!merges || merges->kind != GGUF_LIST || merges->of != GGUF_TEXT)
		return fail(why, ERR_FORMAT, "the metadata lacks tokenizer.ggml.merges");
	walk = gguf_walk(g, merges);
	text_str(out, ", \"merges\": [");
	for (uint64_t i = 0; gguf_next(walk, &merge); i++) {
		text_str(out, i ? ",\n" : "");
		text_json(out, merge.text, merge.len);
	}
	text_str(out, "]");
	return gguf_walk_end(walk, why);
}

static void put_cuts(struct text *out, const struct pattern *p)
{
	text_fmt(out, "\"normalizer\": %s,\n", p->nfc ? "{\"type\": \"NFC\"}" : "null");
	text_str(out, "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [");
	if (p->digits)
		text_str(out, "{\"type\": \"Digits\", \"individual_digits\": true}, ");
	if (p->regex) {
		text_str(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
		text_json_str(out, p->regex);
		text_str(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, ");
	}
	text_fmt(
		out,
		"{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": %s}]},\n",
		p->regex ? "false" : "true");
	text_str(
		out,
		"\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n");
}

static void put_special(struct text *names, struct text *ids, const char *token, size_t len, int64_t id)
{
	text_str(names, "{\"SpecialToken\": {\"id\": ");
	text_json(names, token, len);
	text_str(names, ", \"type_id\": 0}}");
	text_str(ids, ids->len ? ", " : "");
	text_json(ids, token, len);
	text_str(ids, ": {\"id\": ");
	text_json(ids, token, len);
	text_fmt(ids, ", \"ids\": [%" PRId64 "], \"tokens\": [", id);
	text_json(ids, token, len);
	text_str(ids, "]}");
}

/* Tokens that are put before and after each text. */
static void put_template(const struct gguf *g, struct text *out, bool bos_otherwise)
{
	size_t bos_len = 0, eos_len = 0;
	char *bos = adds(g, "tokenizer.ggml.add_bos_token", bos_otherwise)
			    ? gguf_token(g, "tokenizer.ggml.bos_token_id", &bos_len)
			    : NULL;
	char *eos = adds(g, "tokenizer.ggml.add_eos_token", false)
			    ? gguf_token(g, "tokenizer.ggml.eos_token_id", &eos_len)
			    : NULL;
	struct text names = {0}, ids = {0};

	if (bos) {
		put_special(&names, &ids, bos, bos_len, gguf_int(g, "tokenizer.ggml.bos_token_id", 0));
		text_str(&names, ", ");
	}
	text_str(&names, "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
	if (eos) {
		text_str(&names, ", ");
		put_special(&names, &ids, eos, eos_len, gguf_int(g, "tokenizer.ggml.eos_token_id", 0));
	}
	text_str(out, "\"post_processor\": ");
	if (bos || eos)
		text_fmt(out,
			 "{\"type\": \"TemplateProcessing\", \"single\": [%s], \"pair\": [], \"special_tokens\": {%s}}",
			 names.data, ids.data);
	else
		text_str(out, "null");
	text_str(out, ",\n");
	text_finish(&names);
	text_finish(&ids);
	free(bos);
	free(eos);
}

static int put_byte_level(const struct gguf *g, struct text *out, const struct gguf_value *tokens, const uint8_t *kind,
			  struct why *why)
{
	int err;
	const struct pattern *p = find_pattern(g, &err, why);
	struct pattern own;

	if (!p)
		return err;
	own = *p;
	own.nfc = own.nfc ||
		  (gguf_text(g, "general.architecture") && !strcmp(gguf_text(g, "general.architecture"), "gptneox"));
	text_str(out, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n");
	err = gguf_put_added(g, out, tokens, kind, why);
	put_cuts(out, &own);
	put_template(g, out, own.bos);
	text_fmt(
		out,
		"\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"fuse_unk\": false, \"byte_fallback\": false, "
		"\"ignore_merges\": %s, ",
		own.whole ? "true" : "false");
	if (!err)
		err = gguf_put_vocab(g, out, tokens, why);
	if (!err)
		err = put_merges(g, out, why);
	text_str(out, "}}\n");
	return err;
}

int gguf_tokenizer_json(const struct gguf *g, struct text *out, struct why *why)
{
	const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
	const char *model = gguf_text(g, "tokenizer.ggml.model");
	uint8_t *kind;
	int err;

	if (!model || !tokens || tokens->kind != GGUF_LIST || tokens->of != GGUF_TEXT)
		return ERR_UNKNOWN;
	if (!strcmp(model, "llama") && !gguf_is_xverse(g))
		return ERR_UNKNOWN;
	if (strcmp(model, "gpt2") && strcmp(model, "llama"))
		return fail(why, ERR_UNSUPPORTED, "tokenizer.ggml.model is %.60s; supported: llama, gpt2", model);
	kind = gguf_token_kinds(g, tokens->n, &err, why);
	if (!err)
		err = gguf_is_xverse(g) ? gguf_xverse_json(g, out, tokens, kind, why)
					: put_byte_level(g, out, tokens, kind, why);
	free(kind);
	return err;
}
