#include "daemon/front/grammars.h"

#include <stdlib.h>
#include <string.h>

#include "base/mix.h"

/* ---- keys ---- */

static size_t key_size(const struct grammar_source *s)
{
	size_t n = 2 + sizeof s->text.len + s->text.len;

	for (int i = 0; i < s->n_choice; i++)
		n += sizeof s->choice[i].len + s->choice[i].len;
	return n;
}

static char *put_text(char *to, const struct grammar_text *t)
{
	memcpy(to, &t->len, sizeof t->len);
	if (t->len)
		memcpy(to + sizeof t->len, t->text, t->len);
	return to + sizeof t->len + t->len;
}

/* All that a grammar depends on; the tokenizer is the same for all. NULL: no memory, so it is not kept. */
static char *make_key(const struct grammar_source *s)
{
	char *key = malloc(key_size(s)), *to = key;

	if (!key)
		return NULL;
	*to++ = (char)s->kind;
	*to++ = (char)s->compact;
	to = put_text(to, &s->text);
	for (int i = 0; i < s->n_choice; i++)
		to = put_text(to, &s->choice[i]);
	return key;
}

static uint64_t hash_of(const char *key, size_t n)
{
	uint64_t h = n;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t word = 0;
		memcpy(&word, key + i, n - i < 8 ? n - i : 8);
		h = mix64((h ^ word) + MIX_GOLDEN);
	}
	return h;
}

/* ---- what is kept ---- */

static void drop(struct front_grammars *all, int i)
{
	struct kept_grammar *k = &all->kept[i];

	all->bytes -= k->bytes;
	free(k->key);
	grammar_destroy(k->grammar);
	*k = all->kept[--all->n];
}

static void drop_oldest(struct front_grammars *all)
{
	int oldest = 0;

	for (int i = 1; i < all->n; i++)
		if (all->kept[i].used < all->kept[oldest].used)
			oldest = i;
	drop(all, oldest);
}

static struct grammar *find(struct front_grammars *all, const char *key, size_t n, uint64_t hash)
{
	struct grammar *g = NULL;

	pthread_mutex_lock(&all->lock);
	for (int i = 0; i < all->n && !g; i++) {
		struct kept_grammar *k = &all->kept[i];
		if (k->hash != hash || k->key_len != n || memcmp(k->key, key, n) != 0)
			continue;
		k->used = ++all->clock;
		g = grammar_share(k->grammar);
	}
	pthread_mutex_unlock(&all->lock);
	return g;
}

/* Takes the key. Two threads may have compiled one source: then it is kept twice, which does no harm. */
static void keep(struct front_grammars *all, char *key, size_t n, uint64_t hash, struct grammar *g)
{
	size_t bytes = n + grammar_bytes(g);

	if (bytes > GRAMMARS_BYTES / 4) {
		free(key);
		return;
	}
	pthread_mutex_lock(&all->lock);
	while (all->n == GRAMMARS_MOST || (all->n && all->bytes + bytes > GRAMMARS_BYTES))
		drop_oldest(all);
	all->kept[all->n++] = (struct kept_grammar){key, n, bytes, hash, ++all->clock, grammar_share(g)};
	all->bytes += bytes;
	pthread_mutex_unlock(&all->lock);
}

void front_grammars_init(struct front_grammars *all)
{
	*all = (struct front_grammars){.n = 0};
	pthread_mutex_init(&all->lock, NULL);
}

void front_grammars_finish(struct front_grammars *all)
{
	while (all->n)
		drop(all, all->n - 1);
	pthread_mutex_destroy(&all->lock);
}

int front_grammars_compile(struct front_grammars *all, struct grammar **out, const struct grammar_source *source,
			   struct why *why)
{
	size_t n = key_size(source);
	char *key = n > GRAMMARS_BYTES / 4 ? NULL : make_key(source);
	uint64_t hash = key ? hash_of(key, n) : 0;
	int err;

	*out = key ? find(all, key, n, hash) : NULL;
	if (*out) {
		free(key);
		return 0;
	}
	err = grammar_compile(out, source, why);
	if (!err && key)
		keep(all, key, n, hash, *out);
	else
		free(key);
	return err;
}
