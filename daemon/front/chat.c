/* Chat: its messages become the prompt of a Generate. */
#include "daemon/front/inside.h"

#include <stdlib.h>
#include <string.h>

int front_check_chat(const struct front *f, struct why *why)
{
	if (f->chat)
		return 0;
	if (!f->tokenizer)
		return fail(why, ERR_UNSUPPORTED, "this model has no tokenizer, so it cannot chat");
	return fail(why, ERR_UNSUPPORTED, "%s", f->no_chat);
}

/* The engine sees a Generate. Returns the messages, which the request no longer names. */
static struct xv_chat become_generate(struct xv_request *r)
{
	struct xv_chat said = r->chat;

	r->kind = XV_GENERATE;
	r->generate = (struct xv_generate){.prompt = {.text = ""},
					   .sampling = said.sampling,
					   .resume = said.resume,
					   .timeout_ms = said.timeout_ms,
					   .user = said.user,
					   .adapter = said.adapter};
	return said;
}

void front_chat(struct front *f, struct front_call *c, struct front_job *job)
{
	job->forms = f->forms;
	job->answer = true;
	job->kind = JOB_CHAT;
	job->chat = f->chat;
	job->said = become_generate(c->request);
	c->chat = true;
}

/* The format's stop strings count beside those of the request. */
void front_chat_stops(struct front *f, struct front_call *c, const struct xv_sampling *s)
{
	const char *const *format;
	const char **all;
	int n = c->chat && !s->ignore_eos ? chat_stop_strings(f->chat, &format) : 0;

	all = xalloc((size_t)(s->n_stop + n), sizeof *all);
	for (int i = 0; i < s->n_stop; i++)
		all[i] = s->stop[i];
	for (int i = 0; i < n; i++)
		all[s->n_stop + i] = format[i];
	front_stop_init(&c->stop, all, s->n_stop + n, s->include_stop);
	free(all);
}
