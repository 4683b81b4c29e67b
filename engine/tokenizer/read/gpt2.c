/* gpt2.c - reads GPT-2's own files, vocab.json and merges.txt. OPT has the same with ids of its own, MOSS too, and
 * Qwen2 with another way to cut texts. */
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"

static int read_vocab(struct tokenizer *t, const char *dir, struct why *why)
{
	struct json_doc *doc;
	const struct json_member *m;
	int err = tokenizer_json(&doc, dir, "vocab.json", &t->fingerprint, why);

	if (err)
		return err;
	for (size_t i = 0; (m = json_member(json_root(doc), i)); i++) {
		int64_t id = json_int_or(&m->value, -1);

		if (id < 0 || id >= VOCAB_MAX) {
			err = fail(why, ERR_FORMAT, "%s/vocab.json: the id of %.60s is not a number from 0 to %d", dir,
				   m->key, VOCAB_MAX - 1);
			break;
		}
		vocab_put(&t->vocab, (int)id, m->key, m->key_len, "vocab.json");
	}
	t->n_tokens = (int)json_size(json_root(doc));
	json_close(doc);
	return err;
}

/* Skips a pair whose tokens the vocabulary lacks: it can never meet. */
static void add_merge(struct tokenizer *t, const char *line, size_t len, int rank)
{
	size_t na = (size_t)((const char *)memchr(line, ' ', len) - line), nb = len - na - 1;
	char *joined = xalloc(len, 1);
	int a, b, both;

	memcpy(joined, line, na);
	memcpy(joined + na, line + na + 1, nb);
	a = vocab_find(&t->vocab, line, na);
	b = vocab_find(&t->vocab, line + na + 1, nb);
	both = vocab_find(&t->vocab, joined, na + nb);
	if (a >= 0 && b >= 0 && both >= 0)
		bpe_pair_set(&t->bpe, a, b, rank, both, joined, na, na + nb);
	free(joined);
}

static bool is_pair(const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	size_t na = space ? (size_t)(space - line) : 0;

	return na && na + 1 < len && !memchr(space + 1, ' ', len - na - 1) && !memchr(line, '\0', len);
}

/* Lines end as on Unix or Windows. The first line is dropped if it is a comment or a pair, as in the reference. */
static int read_lines(struct tokenizer *t, const char *dir, const char *bytes, size_t len, struct why *why)
{
	const char *end, *last = bytes + len;
	int number = 1, rank = 0;

	for (const char *line = bytes; line < last; line = end + 1, number++) {
		size_t n;

		end = memchr(line, '\n', (size_t)(last - line));
		if (!end)
			end = last;
		for (n = (size_t)(end - line); n && (line[n - 1] == '\r' || line[n - 1] == ' '); n--)
			;
		if (n && !is_pair(line, n) && (number > 1 || *line != '#'))
			return fail(
				why, ERR_FORMAT,
				"%s/merges.txt: line %d is not a pair of tokens; the file is damaged: download it again",
				dir, number);
		if (n && number > 1)
			add_merge(t, line, n, rank);
		rank += number > 1;
	}
	t->bpe.n_ranks = rank;
	return 0;
}

static int read_merges(struct tokenizer *t, const char *dir, struct why *why)
{
	char *bytes;
	size_t len;
	int err = tokenizer_file(dir, "merges.txt", &bytes, &len, why);

	if (err)
		return err == ERR_UNKNOWN ? fail(why, ERR_IO, "%s: vocab.json without merges.txt", dir) : err;
	t->fingerprint = bytes_hash(bytes, len, t->fingerprint);
	err = read_lines(t, dir, bytes, len, why);
	free(bytes);
	return err;
}

/* Classes whose files are GPT-2's and whose texts are cut in another way; model_type counts where no class is named.
 * The parts are what the library writes into a tokenizer.json of that class. */
static const struct form {
	const char *class, *model_types[6], *parts;
} forms[] = {
	{"Qwen2Tokenizer",
	 {"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next"},
	 "{\"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": ["
	 "{\"type\": \"Split\", \"behavior\": \"Isolated\", \"invert\": false, \"pattern\": {\"Regex\": "
	 "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"
	 "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}}, "
	 "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}}"}};

static const struct form *form_of(const struct token_config *c)
{
	bool named = json_word(json_root(c->config), "tokenizer_class") != NULL;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (config_is(c, forms[i].class))
			return &forms[i];
		for (size_t k = 0; !named && forms[i].model_types[k]; k++)
			if (!strcmp(c->model_type, forms[i].model_types[k]))
				return &forms[i];
	}
	return NULL;
}

static int cut_texts(struct tokenizer *t, const struct token_config *c, struct why *why)
{
	const struct form *form = form_of(c);
	struct json_doc *doc;
	struct json_error e;
	int err;

	if (!form) {
		pretokenizers_gpt2(&t->pretokenizers, json_flag(json_root(c->config), "add_prefix_space", false));
		return 0;
	}
	doc = json_read(form->parts, strlen(form->parts), &json_of_files, &e);
	REQUIRE(doc);
	err = normalizers_parse(&t->normalizers, json_get(json_root(doc), "normalizer"), form->class, why);
	if (!err)
		err = pretokenizers_parse(&t->pretokenizers, json_get(json_root(doc), "pre_tokenizer"), form->class,
					  why);
	json_close(doc);
	return err;
}

int gpt2_open(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why)
{
	int err = read_vocab(t, dir, why);

	if (err)
		return err;
	t->kind = "gpt2";
	bpe_init(&t->bpe, &t->vocab);
	bpe_find_characters(&t->bpe, &t->vocab);
	err = read_merges(t, dir, why);
	if (err)
		return err;
	decoder_letters(&t->decoder);
	err = cut_texts(t, c, why);
	if (!err)
		err = config_apply(c, t, dir, why);
	if (!err && config_adds(c, "add_bos_token", strcmp(c->model_type, "opt") == 0) && t->bos >= 0)
		ids_add(&t->before, t->bos, NULL, 0, 0);
	return err;
}
