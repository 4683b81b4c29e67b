/* Limits of users, groups and keys (--limits): read, and checked. */
#include "daemon/front/inside.h"

#include "base/log_limit.h"

int front_limits_read(struct front *f, struct why *why)
{
	struct limits l = {0};
	int err = f->opt->limits ? limits_read(&l, f->opt->limits, why) : 0;

	if (err)
		return err;
	quotas_follow(&f->quotas, &l);
	if (f->opt->limits)
		log_event(LOG_INFO, "limits of users, groups and keys hold", " file=\"%s\" entries=%d", f->opt->limits,
			  f->quotas.limits.n);
	return 0;
}

/* Whether the engine would take one more call into the batch now, as far as can be seen from here. */
static bool has_room(const struct front *f)
{
	int64_t unseen = (int64_t)(f->adds_posted - atomic_load(&f->link->adds_taken));

	return !atomic_load(&f->link->waiting) && atomic_load(&f->link->running) + unseen < f->model->max_seqs;
}

int front_limits_admit(struct front *f, struct front_call *c, struct why *why)
{
	static struct log_limit limit = {.event = "a limit of --limits is met"};
	const char *adapter = c->lora ? c->lora->name : "";
	int err = quota_admit(&c->claim, f->opt->served_name, adapter, c->call.n_prompt, has_room(f), now_ns(),
			      &c->retry_ms, why);

	if (err && log_limit(&limit))
		log_event(LOG_INFO, limit.event, " uid=%u with_key=%d reason=\"%s\"", c->stake.account->uid,
			  *c->stake.account->key != 0, why->text);
	return err;
}
