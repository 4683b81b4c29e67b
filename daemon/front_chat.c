/* Chat and Template. A Chat becomes a Generate whose prompt is there as ids. */
#include "daemon/front.h"

#include <stdlib.h>
#include <string.h>

static int check_chat(const struct front *f, struct why *why)
{
	if (f->chat)
		return 0;
	if (!f->tokenizer)
		return fail(why, ERR_UNSUPPORTED, "this model has no tokenizer: there is no chat without one");
	return fail(why, ERR_UNSUPPORTED, "%s", f->no_chat);
}

static void run_now(struct front *f, struct words_job *job)
{
	job->err = check_chat(f, &job->why);
	if (!job->err)
		words_run(job, f->tokenizer);
}

static bool is_short(const struct front *f, const struct words_job *job)
{
	return !f->chat || talk_size(&job->said) < WORDS_LONG;
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
	*job = (struct words_job){.call = c->id, .talk = true, .chat = f->chat, .said = become_generate(c->request)};
	c->chat = true;
	if (!is_short(f, job))
		return false;
	run_now(f, job);
	return true;
}

void front_template(struct front *f, uint64_t call, struct rpc_request *r)
{
	struct words_job job = {.call = call, .talk = true, .chat = f->chat, .said = r->chat, .want_text = true}, *later;

	if (is_short(f, &job)) {
		run_now(f, &job);
		front_send_rendered(f, &job);
		rpc_request_free(r);
		return;
	}
	later = xalloc(1, sizeof *later);
	*later = job;
	later->keep = xalloc(1, sizeof *r);
	*later->keep = *r;
	words_put(&f->words, later);
}

void front_send_rendered(struct front *f, struct words_job *job)
{
	struct rpc_reply reply = {.kind = RPC_R_RENDERED};

	if (job->err) {
		front_error(f, job->call, job->err, job->why.text);
	} else {
		reply.rendered.text = job->out.s;
		reply.rendered.text_len = job->out.len;
		reply.rendered.ids = job->ids.id;
		reply.rendered.n_ids = job->ids.n;
		rpc_send(f->server, job->call, &reply);
	}
	ids_finish(&job->ids);
	free(job->out.s);
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
