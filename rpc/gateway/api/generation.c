#include "rpc/gateway/api/generation.h"

#include <stdlib.h>
void api_choice_finish(struct api_choice *c)
{
	text_finish(&c->text);
	api_parts_finish(&c->parts);
	text_finish(&c->ids);
	text_finish(&c->prompt_ids);
	text_finish(&c->prompt_logprobs);
	api_logprobs_finish(&c->logprobs);
	free(c->stop_text);
	c->stop_text = NULL;
}

static void destroy(void *data)
{
	struct api_generation *w = data;

	if (w->form && w->form->free)
		w->form->free(w->form_data);
	for (int i = 0; i < w->n_choices; i++)
		api_choice_finish(&w->choice[i]);
	free(w->choice);
	api_request_finish(&w->request);
	api_prompts_finish(&w->prompts);
	api_chat_finish(&w->chat);
	json_close(w->tools);
	free(w->preamble);
	text_finish(&w->piece);
	free(w);
}

struct api_generation *api_generation_create(struct http_exchange *x)
{
	struct api_upstream *up = api_upstream_for_model(x);
	struct api_generation *w;

	if (!up)
		return NULL;
	w = xalloc(1, sizeof *w);
	w->x = x;
	w->up = up;
	up->calls = (struct api_calls){.free = destroy, .data = w};
	return w;
}
