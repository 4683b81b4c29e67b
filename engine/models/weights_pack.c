/* weights_pack.c - the weights of a model as entries of a pack file, and the key that says what they were made from. */
#include "engine/lora/adapter.h"
#include "engine/models/loader.h"
#include "engine/models/pack.h"

#include <stdlib.h>
#include <string.h>

static void add_data(struct pack_file *f, struct weight *w, void *data, size_t bytes)
{
	f->entry = xgrow(f->entry, (size_t)f->n + 1, sizeof *f->entry);
	f->entry[f->n++] = (struct pack_entry){.data = data, .bytes = bytes, .w = w};
	f->key = pack_mix(f->key, &bytes, sizeof bytes);
}

static void add_weight(struct pack_file *f, struct weight *w)
{
	int32_t what[] = {w ? w->rows : -1, w ? w->cols : 0, w ? (int32_t)w->stored : 0, w ? (int32_t)w->quant : 0};
	size_t bytes;
	void *data;

	f->key = pack_mix(f->key, what, sizeof what);
	if (!w)
		return;
	f->key = pack_mix(f->key, &w->k, sizeof w->k);
	if (w->experts)
		f->key = pack_mix(f->key, &w->experts, sizeof w->experts);
	data = weight_packed(w, &bytes);
	add_data(f, w, data, bytes);
}

static void add_text(struct pack_file *f, const char *text)
{
	f->key = pack_mix(f->key, text, strlen(text));
}

/* Everything in the table's order. */
static struct pack_file entries_of(const struct model *m, struct checkpoint *ck)
{
	struct pack_file f = {.dir = m->how.pack_cache, .rank = m->shard.rank, .size = m->shard.size};
	uint64_t from[] = {ck ? checkpoint_identity(ck) : 0,
			   ck ? checkpoint_fingerprint(ck) : m->how.dummy_seed,
			   (uint64_t)m->b->act,
			   (uint64_t)f.rank,
			   (uint64_t)f.size,
			   m->cfg.parts,
			   (uint64_t)m->cfg.rotates_neighbours << 1 | m->cfg.unit_head};

	f.key = pack_mix(1, from, sizeof from);
	add_text(&f, m->b->ops->layout);
	for (int i = 0; i < m->how.n_merge; i++)
		f.key = pack_mix(f.key, &m->how.merge[i]->fingerprint, sizeof m->how.merge[i]->fingerprint);
	for (struct slot s = {0}; slot_next(m, &s);)
		if (slot_is_vector(&s))
			add_data(&f, NULL, *slot_vector(m, &s), (size_t)slot_rows(m, &s) * sizeof(float));
		else
			add_weight(&f, *slot_weight(m, &s));
	return f;
}

static bool is_asked_for(const struct model *m)
{
	return m->how.pack_cache && m->b->ops->layout && m->b->ops->weight_packed && m->b->ops->weight_map;
}

bool loader_unpack(struct loader *l)
{
	struct pack_file f;
	struct why why;
	uint64_t total = atomic_load(&l->progress->total);
	int err;

	if (!is_asked_for(l->m))
		return false;
	f = entries_of(l->m, l->ck);
	load_begin(l->progress, LOAD_WEIGHTS, 0);
	err = pack_read(&f, l->progress, &why);
	if (!err)
		log_event(LOG_INFO, "using packed weights", " dir=\"%s\"", f.dir);
	else if (err != ERR_UNKNOWN) {
		log_at(LOG_WARN, "%s: packing the weights again", why.text);
		atomic_store(&l->progress->bytes, 0);
		atomic_store(&l->progress->total, total);
	}
	free(f.entry);
	return !err;
}

void loader_keep(struct loader *l)
{
	struct pack_file f;
	struct why why;

	if (!is_asked_for(l->m))
		return;
	f = entries_of(l->m, l->ck);
	if (pack_write(&f, l->progress, &why))
		log_at(LOG_WARN, "cannot store packed weights: %s", why.text);
	free(f.entry);
}
