#include "engine/tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

uint64_t bytes_hash(const char *s, size_t len, uint64_t seed)
{
	uint64_t h = (seed ^ len) * 0x9E3779B97F4A7C15u, w;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&w, s, 8);
		h = (h ^ w) * 0xFF51AFD7ED558CCDu;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, s, len);
	h = (h ^ w) * 0xFF51AFD7ED558CCDu;
	h ^= h >> 29;
	h *= 0xC4CEB9FE1A85EC53u;
	return h ^ h >> 32;
}

void vocab_finish(struct vocab *v)
{
	free(v->bytes);
	free(v->token);
	free(v->slot);
	for (int i = 0; i < v->n_aliases; i++)
		free(v->alias[i].s);
	free(v->alias);
	*v = (struct vocab){0};
}

static bool is_token(const struct vocab *v, int id, const char *s, size_t len)
{
	const struct vocab_token *w = &v->token[id];

	return w->len == len && memcmp(v->bytes + w->at, s, len) == 0;
}

/* Returns the slot of these bytes, or the free slot where they belong. */
static uint32_t probe(const struct vocab *v, const char *s, size_t len)
{
	uint32_t i = (uint32_t)bytes_hash(s, len, 0) & (v->n_slots - 1);

	while (v->slot[i] >= 0 && !is_token(v, v->slot[i], s, len))
		i = (i + 1) & (v->n_slots - 1);
	return i;
}

static void rehash(struct vocab *v)
{
	int32_t *old = v->slot;
	uint32_t n_old = v->n_slots;

	v->n_slots = n_old ? n_old * 2 : 1024;
	v->slot = xalloc(v->n_slots, sizeof *v->slot);
	memset(v->slot, -1, v->n_slots * sizeof *v->slot);
	for (uint32_t i = 0; i < n_old; i++)
		if (old[i] >= 0) {
			const struct vocab_token *w = &v->token[old[i]];

			v->slot[probe(v, v->bytes + w->at, w->len)] = old[i];
		}
	free(old);
}

static void grow_tokens(struct vocab *v, int n)
{
	if (n > v->max) {
		int max = n * 2 > 1024 ? n * 2 : 1024;

		v->token = xgrow(v->token, (size_t)max, sizeof *v->token);
		memset(v->token + v->max, 0, (size_t)(max - v->max) * sizeof *v->token);
		v->max = max;
	}
	if (n > v->n)
		v->n = n;
}

void vocab_set(struct vocab *v, int id, const char *s, size_t len)
{
	uint32_t i;

	grow_tokens(v, id + 1);
	if (v->n_bytes + len >= v->max_bytes)
		v->bytes = xgrow(v->bytes, v->max_bytes = (v->n_bytes + len) * 2 + 4096, 1);
	memcpy(v->bytes + v->n_bytes, s, len);
	v->token[id] = (struct vocab_token){(uint32_t)v->n_bytes, (uint32_t)len, true};
	v->n_bytes += len;
	if (v->used * 2 >= v->n_slots)
		rehash(v);
	i = probe(v, s, len);
	v->used += v->slot[i] < 0;
	v->slot[i] = id;
}

void vocab_add_alias(struct vocab *v, int id, const char *s, size_t len)
{
	struct vocab_alias *a;

	v->alias = xgrow(v->alias, (size_t)v->n_aliases + 1, sizeof *v->alias);
	a = &v->alias[v->n_aliases++];
	*a = (struct vocab_alias){xalloc(len + 1, 1), len, id};
	memcpy(a->s, s, len);
}

void vocab_put(struct vocab *v, int id, const char *s, size_t len, const char *file)
{
	size_t first;

	if (!vocab_get(v, id, &first)) {
		vocab_set(v, id, s, len);
		return;
	}
	log_at(LOG_WARN, "%s: id %d has two tokens: a text may have either, and the first is its text", file, id);
	vocab_add_alias(v, id, s, len);
}

int vocab_find(const struct vocab *v, const char *s, size_t len)
{
	int id = v->n_slots ? v->slot[probe(v, s, len)] : -1;

	for (int i = 0; id < 0 && i < v->n_aliases; i++)
		if (v->alias[i].len == len && !memcmp(v->alias[i].s, s, len))
			id = v->alias[i].id;
	return id;
}

const char *vocab_get(const struct vocab *v, int id, size_t *len)
{
	if (id < 0 || id >= v->n || !v->token[id].present)
		return NULL;
	*len = v->token[id].len;
	return v->bytes + v->token[id].at;
}

static uint32_t hash_pair(uint32_t a, uint32_t b)
{
	uint64_t h = ((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u;

	return (uint32_t)((h ^ h >> 29) * 0xBF58476D1CE4E5B9u >> 32);
}

void pairs_finish(struct pairs *p)
{
	free(p->slot);
	*p = (struct pairs){0};
}

static struct pair_slot *probe_pair(const struct pairs *p, uint32_t a, uint32_t b)
{
	uint32_t i = hash_pair(a, b) & (p->n_slots - 1);

	while (p->slot[i].id >= 0 && (p->slot[i].a != a || p->slot[i].b != b))
		i = (i + 1) & (p->n_slots - 1);
	return &p->slot[i];
}

static void rehash_pairs(struct pairs *p)
{
	struct pairs old = *p;

	p->n_slots = old.n_slots ? old.n_slots * 2 : 4096;
	p->slot = xalloc(p->n_slots, sizeof *p->slot);
	for (uint32_t i = 0; i < p->n_slots; i++)
		p->slot[i].id = -1;
	for (uint32_t i = 0; i < old.n_slots; i++)
		if (old.slot[i].id >= 0)
			*probe_pair(p, old.slot[i].a, old.slot[i].b) = old.slot[i];
	free(old.slot);
}

void pairs_set(struct pairs *p, uint32_t a, uint32_t b, int rank, int id)
{
	struct pair_slot *s;

	if (p->used * 2 >= p->n_slots)
		rehash_pairs(p);
	s = probe_pair(p, a, b);
	p->used += s->id < 0;
	*s = (struct pair_slot){a, b, rank, id};
}

const struct pair_slot *pairs_find(const struct pairs *p, uint32_t a, uint32_t b)
{
	const struct pair_slot *s = p->n_slots ? probe_pair(p, a, b) : NULL;

	return s && s->id >= 0 ? s : NULL;
}
