/* GPT-2's own files: vocab.json and merges.txt. OPT has the same with ids of its own. */
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/internal.h"

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
			err = fail(why, ERR_FORMAT, "%s/vocab.json: the id of %.60s is not a number from 0 to %d", dir, m->key,
				   VOCAB_MAX - 1);
			break;
		}
		vocab_put(&t->vocab, (int)id, m->key, m->key_len, "vocab.json");
	}
	t->n_words = (int)json_size(json_root(doc));
	json_close(doc);
	return err;
}

static void add_merge(struct tokenizer *t, const char *line, size_t len, int rank)
{
	const char *space = memchr(line, ' ', len);
	char word[512];
	size_t na, nb;
	int a, b, both;

	if (!space || len > sizeof word)
		return;
	na = (size_t)(space - line);
	nb = len - na - 1;
	memcpy(word, line, na);
	memcpy(word + na, space + 1, nb);
	a = vocab_find(&t->vocab, line, na);
	b = vocab_find(&t->vocab, space + 1, nb);
	both = vocab_find(&t->vocab, word, na + nb);
	if (a >= 0 && b >= 0 && both >= 0)
		bpe_pair_set(&t->bpe, a, b, rank, both, word, na, na + nb);
}

/* The first line is dropped whatever it says, as the reference does. */
static int read_merges(struct tokenizer *t, const char *dir, struct why *why)
{
	char *bytes, *line, *end;
	size_t len;
	int err = tokenizer_file(dir, "merges.txt", &bytes, &len, why), rank = 0;

	if (err)
		return err == ERR_UNKNOWN ? fail(why, ERR_IO, "%s: vocab.json without merges.txt", dir) : err;
	t->fingerprint = bytes_hash(bytes, len, t->fingerprint);
	line = memchr(bytes, '\n', len);
	for (line = line ? line + 1 : bytes + len; line < bytes + len; line = end + 1) {
		end = memchr(line, '\n', (size_t)(bytes + len - line));
		if (!end)
			end = bytes + len;
		add_merge(t, line, (size_t)(end - line) - (end > line && end[-1] == '\r'), rank++);
	}
	t->bpe.n_ranks = rank;
	free(bytes);
	return 0;
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
	pretokenizers_gpt2(&t->pretokenizers, json_flag(json_root(c->config), "add_prefix_space", false));
	decoder_letters(&t->decoder);
	err = config_apply(c, t, dir, why);
	if (!err && config_adds(c, "add_bos_token", strcmp(c->model_type, "opt") == 0) && t->bos >= 0)
		ids_add(&t->before, t->bos, NULL, 0, 0);
	return err;
}
