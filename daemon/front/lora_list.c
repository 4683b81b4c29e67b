/* lora_list.c - adapters as clients see them. */
#include "daemon/front/inside.h"

struct xv_adapter front_lora_view(const struct front_lora *l)
{
	return (struct xv_adapter){.name = l->name,
				   .fingerprint = l->print,
				   .dir = l->dir,
				   .state = l->state,
				   .rank = (uint32_t)l->rank,
				   .calls = (uint32_t)l->calls,
				   .total_calls = l->total};
}

void front_lora_list(const struct front *f, struct xv_status *s, struct xv_adapter views[OPTIONS_MAX_LORAS])
{
	s->max_loras = (uint32_t)f->model->lora_slots;
	s->max_lora_rank = (uint32_t)f->model->lora_rank;
	s->adapter = views;
	for (int i = 0; i < f->loras.n && s->n_adapter < OPTIONS_MAX_LORAS; i++)
		if (f->loras.at[i].name)
			views[s->n_adapter++] = front_lora_view(&f->loras.at[i]);
}
