/* spm.c - builds SentencePiece BPE (Kudo and Richardson, 2018, arXiv:1808.06226) as its library 0.2 has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/inside.h"
#include "base/utf8.h"

static const char space[] = SPM_SPACE;
enum { SPACE_LEN = sizeof space - 1 };

static int by_score(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x > y ? -1 : x < y;
}

/* rank[id]: the position of its score among all, the highest first. Equal scores have equal ranks. */
static int *rank_scores(const struct spm *s, int *n_ranks)
{
	float *sorted = xalloc((size_t)s->n, sizeof *sorted);
	int *rank = xalloc((size_t)s->n, sizeof *rank), n = 0;

	memcpy(sorted, s->score, (size_t)s->n * sizeof *sorted);
	qsort(sorted, (size_t)s->n, sizeof *sorted, by_score);
	for (int i = 0; i < s->n; i++)
		if (i == 0 || sorted[i] != sorted[n - 1])
			sorted[n++] = sorted[i];
	for (int i = 0; i < s->n; i++) {
		const float *at = bsearch(&s->score[i], sorted, (size_t)n, sizeof *sorted, by_score);

		rank[i] = (int)(at - sorted);
	}
	free(sorted);
	*n_ranks = n;
	return rank;
}

/* Returns the symbol of a part of a piece: a normal piece, or a single character, which gets a number of its own. -1:
 * neither. */
static int part_symbol(struct tokenizer *t, const char *p, size_t len, int *next)
{
	int id = vocab_find(&t->vocab, p, len), n;
	uint32_t cp;

	if (id >= 0 && t->spm->type[id] == SPM_NORMAL)
		return id;
	if ((size_t)utf8_len((unsigned char)*p) != len)
		return -1;
	cp = utf8_get(p, &n);
	if (!t->bpe.char_id[cp])
		t->bpe.char_id[cp] = ++*next;
	return t->bpe.char_id[cp] - 1;
}

/* Adds every way to compose a piece from two symbols. */
static void add_pairs(struct tokenizer *t, int id, int rank, int *next)
{
	size_t len;
	const char *p = vocab_get(&t->vocab, id, &len);

	for (size_t i = (size_t)utf8_len((unsigned char)*p); i < len; i += (size_t)utf8_len((unsigned char)p[i])) {
		int left = part_symbol(t, p, i, next), right = part_symbol(t, p + i, len - i, next);

		if (left >= 0 && right >= 0)
			bpe_pair_set(&t->bpe, left, right, rank, id, p, i, len);
		if (i >= SPACE_LEN && memcmp(p + i - SPACE_LEN, space, SPACE_LEN) != 0 && len - i >= SPACE_LEN &&
		    memcmp(p + i, space, SPACE_LEN) == 0)
			t->spm->cuts_at_space = false;
		if (i < SPACE_LEN && len - i >= SPACE_LEN && memcmp(p + i, space, SPACE_LEN) == 0)
			t->spm->cuts_at_space = false;
	}
}

static void build(struct tokenizer *t)
{
	struct spm *s = t->spm;
	int n_ranks, *rank = rank_scores(s, &n_ranks), next = VOCAB_MAX;
	char name[8];
	size_t len;

	s->cuts_at_space = true;
	for (int id = 0, n; id < s->n; id++) {
		const char *p = vocab_get(&t->vocab, id, &len);

		if (s->type[id] == SPM_NORMAL && (size_t)utf8_len((unsigned char)*p) == len)
			t->bpe.char_id[utf8_get(p, &n)] = id + 1;
		else if (s->type[id] == SPM_USER)
			matcher_put(&s->user, p, len, id);
	}
	for (int id = 0; id < s->n; id++)
		if (s->type[id] == SPM_NORMAL)
			add_pairs(t, id, rank[id], &next);
	for (int i = 0; i < 256; i++) {
		int id;

		snprintf(name, sizeof name, "<0x%02X>", i);
		id = vocab_find(&t->vocab, name, 6);
		t->bpe.byte_id[i] = id >= 0 && s->type[id] == SPM_BYTE ? id : -1;
	}
	t->bpe.n_ranks = n_ranks;
	t->bpe.late_unknown = true;
	t->bpe.unk = s->unk;
	free(rank);
}

static int check_bytes(const struct tokenizer *t, const char *file, struct why *why)
{
	for (int i = 0; i < 256 && t->bpe.byte_fallback; i++)
		if (t->bpe.byte_id[i] < 0)
			return fail(why, ERR_FORMAT, "%s: byte_fallback without a piece <0x%02X>", file, i);
	return 0;
}

/* Whether merges may make the first `len` bytes of a text, or the text itself. */
static bool is_made(const struct tokenizer *t, const char *p, size_t len)
{
	int id = vocab_find(&t->vocab, p, len);

	return (size_t)utf8_len((unsigned char)*p) == len ||
	       (id >= 0 && (t->spm->type[id] == SPM_NORMAL || t->spm->type[id] == SPM_UNUSED));
}

/* Unused pieces fill up a vocabulary. The library takes a merge that makes one apart again, which is refused; those
 * here are made by no merge. */
static int check_unused(const struct tokenizer *t, const char *file, struct why *why)
{
	size_t len;

	for (int id = 0; id < t->spm->n; id++) {
		const char *p = vocab_get(&t->vocab, id, &len);
		bool made = t->spm->type[id] == SPM_UNUSED && (size_t)utf8_len((unsigned char)*p) == len;

		for (size_t i = 1; t->spm->type[id] == SPM_UNUSED && i < len && !made; i++)
			made = (p[i] & 0xc0) != 0x80 && is_made(t, p, i) && is_made(t, p + i, len - i);
		if (made)
			return fail(why, ERR_UNSUPPORTED,
				    "%s: piece %d is of type UNUSED and may be made of others, which is not supported",
				    file, id);
	}
	return 0;
}

/* Control pieces are special tokens; a text that contains them means them only if the caller allows it. */
static int add_controls(struct tokenizer *t, const char *file, struct why *why)
{
	int err = 0;

	for (int id = 0; id < t->spm->n && !err; id++) {
		struct added_token a = {.id = id, .special = true};
		const char *p = vocab_get(&t->vocab, id, &a.len);

		if (t->spm->type[id] != SPM_CONTROL && t->spm->type[id] != SPM_UNKNOWN)
			continue;
		a.content = xalloc(a.len + 1, 1);
		memcpy(a.content, p, a.len);
		err = token_add(t, &a, file, why);
		free(a.content);
	}
	return err;
}

static int finish(struct tokenizer *t, const char *dir, const struct token_config *c, const char *path, struct why *why)
{
	int err;

	build(t);
	t->n_tokens = t->spm->n;
	err = check_bytes(t, path, why);
	if (!err)
		err = check_unused(t, path, why);
	if (!err)
		err = config_apply(c, t, dir, why);
	if (!err)
		err = add_controls(t, path, why);
	if (err)
		return err;
	t->spm->legacy = json_flag(json_root(c->config), "legacy", true);
	if (config_is(c, "LlamaTokenizer") && !config_adds(c, "add_prefix_space", true))
		t->spm->dummy_prefix = false;
	if (config_adds(c, "add_bos_token", true) && t->bos >= 0)
		ids_add(&t->before, t->bos, NULL, 0, 0);
	if (config_adds(c, "add_eos_token", false) && t->eos >= 0)
		ids_add(&t->after, t->eos, NULL, 0, 0);
	return 0;
}

int spm_open(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why)
{
	char *bytes, path[300];
	size_t len;
	int err = tokenizer_file(dir, "tokenizer.model", &bytes, &len, why);

	if (err)
		return err;
	snprintf(path, sizeof path, "%.280s/tokenizer.model", dir);
	t->kind = "sentencepiece-bpe";
	t->fingerprint = bytes_hash(bytes, len, t->fingerprint);
	bpe_init(&t->bpe, &t->vocab);
	err = spm_parse(t, bytes, len, path, why);
	free(bytes);
	return err ? err : finish(t, dir, c, path, why);
}
