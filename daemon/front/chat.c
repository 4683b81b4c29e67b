/* Chat and Template. A Chat becomes a Generate whose prompt is there as ids. */
#include "daemon/front/front.h"

#include <stdlib.h>
#include <string.h>

int front_check_chat(const struct front *f, struct why *why)
{
	if (f->chat)
		return 0;
	if (!f->tokenizer)
		return fail(why, ERR_UNSUPPORTED, "this model has no tokenizer: there is no chat without one");
	return fail(why, ERR_UNSUPPORTED, "%s", f->no_chat);
}

/* What a Chat asks of the engine; its messages are kept apart from now on. */
static struct rpc_chat become_generate(struct rpc_request *r)
{
	struct rpc_chat said = r->chat;

	r->kind = RPC_GENERATE;
	r->generate = (struct rpc_generate){.prompt = {.text = ""},
					    .sampling = said.sampling,
					    .resume = said.resume,
					    .timeout_ms = said.timeout_ms,
					    .user = said.user};
	return said;
}

bool front_chat(struct front *f, struct open_call *c, struct words_job *job)
{
	*job = (struct words_job){.call = c->id,
				  .client = c->stake.account->number,
				  .kind = WORDS_TALK,
				  .chat = f->chat,
				  .said = become_generate(c->request),
				  .ids.most = front_most_tokens(f, c)};
	c->chat = true;
	job->err = front_check_chat(f, &job->why);
	if (!job->err && !words_is_short(job))
		return false;
	if (!job->err)
		words_run(job, f->tokenizer);
	return true;
}

/* The answer ends where the format says, besides what the request asks for. */
void front_chat_stops(struct front *f, struct open_call *c, const struct rpc_sampling *s)
{
	const char *const *format;
	const char **all;
	int n = c->chat && !s->ignore_eos ? chat_stop_strings(f->chat, &format) : 0;

	all = xalloc((size_t)(s->n_stop + n), sizeof *all);
	for (int i = 0; i < s->n_stop; i++)
		all[i] = s->stop[i];
	for (int i = 0; i < n; i++)
		all[s->n_stop + i] = format[i];
	stop_init(&c->stop, all, s->n_stop + n, s->include_stop);
	free(all);
}
