/* weights_pack.c - the weights of a model as entries of a pack file, and the key that says what they were
 * made from. */
#include "engine/checkpoint/checkpoint.h"
#include "engine/models/llama.h"
#include "engine/models/pack.h"

#include <stdatomic.h>
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
	data = weight_packed(w, &bytes);
	add_data(f, w, data, bytes);
}

static void add_text(struct pack_file *f, const char *text)
{
	f->key = pack_mix(f->key, text, strlen(text));
}

/* Everything in one fixed order. */
static struct pack_file entries_of(const struct model *m, struct checkpoint *ck)
{
	struct pack_file f = {.dir = m->how.pack_cache, .rank = m->shard.rank, .size = m->shard.size};
	size_t vector = (size_t)m->cfg.hidden * sizeof(float);
	uint64_t from[] = {ck ? checkpoint_identity(ck) : 0, ck ? checkpoint_fingerprint(ck) : m->how.dummy_seed,
			   (uint64_t)m->b->act, (uint64_t)f.rank, (uint64_t)f.size};

	f.key = pack_mix(1, from, sizeof from);
	add_text(&f, m->b->ops->layout);
	add_weight(&f, m->embed);
	for (int i = 0; i < m->cfg.layers; i++) {
		struct layer *l = &m->layer[i];
		add_weight(&f, l->qkv);
		add_weight(&f, l->o);
		add_weight(&f, l->gate_up);
		add_weight(&f, l->down);
		add_data(&f, NULL, l->norm_att, vector);
		add_data(&f, NULL, l->norm_ffn, vector);
	}
	add_data(&f, NULL, m->norm_out, vector);
	if (!m->cfg.tied)
		add_weight(&f, m->head);
	return f;
}

static bool wanted(const struct model *m)
{
	return m->how.pack_cache && m->b->ops->layout && m->b->ops->weight_packed && m->b->ops->weight_map;
}

bool weights_unpack(struct model *m, struct checkpoint *ck, struct load_progress *progress)
{
	struct pack_file f;
	struct why why;
	uint64_t total = atomic_load(&progress->total);
	int err;

	if (!wanted(m))
		return false;
	f = entries_of(m, ck);
	err = pack_read(&f, progress, &why);
	if (!err)
		log_event(LOG_INFO, "packed weights are taken", " dir=\"%s\"", f.dir);
	else if (err != ERR_UNKNOWN) {
		log_at(LOG_WARN, "%s: packed again", why.text);
		atomic_store(&progress->bytes, 0);
		atomic_store(&progress->total, total);
	}
	free(f.entry);
	return !err;
}

void weights_keep(struct model *m, struct checkpoint *ck)
{
	struct pack_file f;
	struct why why;

	if (!wanted(m))
		return;
	f = entries_of(m, ck);
	if (pack_write(&f, &why))
		log_at(LOG_WARN, "packed weights are not kept: %s", why.text);
	free(f.entry);
}
