/* weights.c - loads, counts and frees what a family's table names. */
#include "engine/models/weights.h"
#include "engine/models/loader.h"

#include <stdlib.h>

int weights_load(struct model *m, struct checkpoint *ck, struct load_progress *progress, struct why *why)
{
	struct load_progress unseen = {0};
	struct loader l = {.m = m, .ck = ck, .progress = progress ? progress : &unseen, .why = why};
	int err;

	pthread_mutex_init(&l.lock, NULL);
	m->layer = xalloc((size_t)m->cfg.layers, sizeof *m->layer);
	l.used = ck ? xalloc((size_t)checkpoint_count(ck), sizeof *l.used) : NULL;
	err = loader_bind(&l);
	if (!err && !m->how.dry && !loader_unpack(&l)) {
		load_begin(l.progress, LOAD_MEMORY, weights_bytes(m));
		err = loader_read(&l);
		if (!err)
			loader_keep(&l);
	}
	if (!err)
		loader_report_unused(&l);
	if (m->cfg.tied)
		m->head = m->embed;
	free(l.used);
	free(l.target);
	pthread_mutex_destroy(&l.lock);
	return err;
}

size_t weights_bytes(const struct model *m)
{
	size_t bytes = 0;

	for (struct slot s = {0}; slot_next(m, &s);)
		if (!slot_is_vector(&s) && *slot_weight(m, &s))
			bytes += (*slot_weight(m, &s))->bytes;
	return bytes;
}

void weights_free(struct model *m)
{
	for (struct slot s = {0}; m->layer && slot_next(m, &s);)
		if (slot_is_vector(&s))
			backend_free(m->b, *slot_vector(m, &s), (size_t)slot_rows(m, &s) * sizeof(float));
		else
			weight_destroy(*slot_weight(m, &s));
	free(m->layer);
}
