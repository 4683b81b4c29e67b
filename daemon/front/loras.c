/* loras.c - adapters while the server runs: the table, the calls that load and unload them, and the calls that use
 * them. */
#include "daemon/front/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mix.h"
#include "daemon/rank/adapters.h"
#include "parallel/ballot.h"

static void set_print(struct front_lora *l, uint64_t fingerprint, int rank)
{
	snprintf(l->print, sizeof l->print, "%016llx", (unsigned long long)fingerprint);
	l->scope = mix64(fingerprint | 1);
	l->rank = rank;
}

void front_loras_ready(struct front *f)
{
	const struct front_model *m = f->model;
	struct front_loras *t = &f->loras;
	int first = m->lora_merged ? m->lora_slots : 0; /* merged ones lie behind the slots */

	t->n = m->lora_slots + (m->lora_merged ? m->n_loras : 0);
	t->at = xalloc((size_t)t->n + 1, sizeof *t->at);
	for (int i = 0; i < m->n_loras; i++) {
		struct front_lora *l = &t->at[first + i];
		*l = (struct front_lora){.name = xstrdup(m->lora[i].name),
					 .dir = xstrdup(m->lora[i].dir),
					 .state = m->lora_merged ? XV_ADAPTER_MERGED : XV_ADAPTER_READY};
		set_print(l, m->lora[i].fingerprint, m->lora[i].rank);
	}
}

static struct front_lora *find(struct front *f, const char *name)
{
	for (int i = 0; i < f->loras.n; i++)
		if (f->loras.at[i].name && !strcmp(f->loras.at[i].name, name))
			return &f->loras.at[i];
	return NULL;
}

static void forget(struct front_lora *l)
{
	free(l->name);
	free(l->dir);
	*l = (struct front_lora){0};
}

void front_loras_finish(struct front *f)
{
	for (int i = 0; i < f->loras.n; i++)
		forget(&f->loras.at[i]);
	free(f->loras.at);
	f->loras = (struct front_loras){0};
}

/* ---- calls that use one ---- */

int front_lora_take(struct front *f, struct front_call *c, const char *name, struct why *why)
{
	struct front_lora *l = *name ? find(f, name) : NULL;

	if (!*name || (!l && !strcmp(name, f->opt->served_name)))
		return 0;
	if (l && l->state == XV_ADAPTER_LOADING)
		return fail(why, ERR_LOADING, "the adapter %.100s is being loaded", name);
	if (l && l->state == XV_ADAPTER_MERGED)
		return fail(why, ERR_INVALID,
			    "the adapter %.100s is merged into the model, so it acts on every request: leave it out",
			    name);
	if (!l || l->state != XV_ADAPTER_READY)
		return fail(why, ERR_UNKNOWN,
			    l ? "the adapter %.100s is being unloaded"
			      : "there is no adapter %.100s (xverse lora ls lists them)",
			    name);
	l->calls++;
	l->total++;
	c->lora = l;
	c->call.adapter = (int)(l - f->loras.at) + 1;
	c->call.scope = l->scope;
	return 0;
}

static void answer(struct front *f, struct front_lora *l)
{
	struct xv_reply r = {.kind = XV_R_ADAPTER, .adapter = front_lora_view(l)};

	if (l->asked)
		rpc_send(f->server, l->asked, &r);
	l->asked = 0;
}

/* ---- loading ---- */

/* A free slot for it, or NULL with the reason. */
static struct front_lora *place(struct front *f, const char *name, const char *dir, int *err, struct why *why)
{
	const struct front_lora *busy = f->loras.loading, *old = find(f, name);

	*err = 0;
	if (!f->ready || f->draining)
		*err = fail(why, f->draining ? ERR_DRAINING : ERR_LOADING,
			    f->draining ? "the server is draining" : "the model is still loading");
	else if (!f->model->lora_slots)
		*err = fail(why, ERR_UNSUPPORTED,
			    "the server has no slots for adapters: start it with --max-loras N (and --max-lora-rank)");
	else if (!options_is_name(name, strlen(name)))
		*err = fail(why, ERR_INVALID, "name: \"%.100s\" is no name: " OPTIONS_NAME_RULE, name);
	else if (dir[0] != '/')
		*err = fail(why, ERR_INVALID, "dir: \"%.200s\" is no absolute path", dir);
	else if (old || !strcmp(name, f->opt->served_name))
		*err = fail(why, ERR_INVALID, "name: %.100s is the name of %s; unload it first, or take another name",
			    name, old ? "an adapter that is loaded" : "the model");
	else if (busy)
		*err = fail(why, ERR_BUSY, "the adapter %.100s is being loaded just now", busy->name);
	for (int i = 0; !*err && i < f->model->lora_slots; i++)
		if (!f->loras.at[i].name)
			return &f->loras.at[i];
	if (!*err)
		*err = fail(
			why, ERR_LIMIT,
			"all %d slots of --max-loras are taken: unload an adapter (xverse lora ls lists them), or start with more",
			f->model->lora_slots);
	return NULL;
}

void front_lora_load(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r)
{
	struct link_command cmd = {.kind = COMMAND_LORA_READ};
	struct lora_question ask = {0};
	struct front_lora *l;
	struct why why;
	int err;

	if (!front_is_owner(f, call, peer, "lora load"))
		return;
	l = place(f, r->lora.name, r->lora.dir, &err, &why);
	if (l) {
		ask.slot = (int)(l - f->loras.at);
		snprintf(ask.dir, sizeof ask.dir, "%s", r->lora.dir);
		cmd.call = ballot_ask(f->model->ballot, &ask, sizeof ask);
		if (!link_post(f->link, &cmd))
			err = fail(&why, ERR_BUSY, "too many calls at once");
	}
	if (err) {
		front_error(f, call, err, why.text);
		return;
	}
	*l = (struct front_lora){
		.name = xstrdup(r->lora.name), .dir = xstrdup(r->lora.dir), .state = XV_ADAPTER_LOADING, .asked = call};
	f->loras.loading = l;
	f->loras.question = (uint32_t)cmd.call;
}

/* All ranks have read it, or one of them refuses it. */
static void end_load(struct front *f)
{
	struct front_loras *t = &f->loras;
	struct front_lora *l = t->loading;
	struct link_command cmd = {.kind = COMMAND_LORA_SWITCH, .call = t->question};
	uint64_t number[BALLOT_NUMBERS];
	struct why why;
	int err;

	if (!ballot_count(f->model->ballot, t->question, &err, &why, number))
		return;
	if (!err && !link_post(f->link, &cmd))
		return; /* the mailbox is full: at the next turn */
	t->loading = NULL;
	if (err) {
		log_event(LOG_WARN, "adapter refused", " name=\"%s\" reason=\"%s\"", l->name, why.text);
		if (l->asked)
			front_error(f, l->asked, err, why.text);
		forget(l);
		return;
	}
	set_print(l, number[0], (int)number[1]);
	l->state = XV_ADAPTER_READY;
	log_event(LOG_INFO, "adapter loaded", " name=\"%s\" fingerprint=%s rank=%d dir=\"%s\"", l->name, l->print,
		  l->rank, l->dir);
	answer(f, l);
}

/* ---- unloading ---- */

void front_lora_unload(struct front *f, uint64_t call, const struct rpc_peer *peer, const struct xv_request *r)
{
	struct front_lora *l = find(f, r->lora.name);
	char text[200];

	if (!front_is_owner(f, call, peer, "lora unload"))
		return;
	if (!l || l->state != XV_ADAPTER_READY) {
		snprintf(text, sizeof text,
			 !l                                 ? "there is no adapter %.100s (xverse lora ls lists them)"
			 : l->state == XV_ADAPTER_MERGED    ? "the adapter %.100s is merged into the model"
			 : l->state == XV_ADAPTER_UNLOADING ? "the adapter %.100s is being unloaded already"
							    : "the adapter %.100s is being loaded just now",
			 r->lora.name);
		front_error(f, call, l ? ERR_BUSY : ERR_UNKNOWN, text);
		return;
	}
	l->state = XV_ADAPTER_UNLOADING;
	l->asked = call;
	front_loras_tick(f);
}

bool front_loras_pending(const struct front *f)
{
	bool pending = f->loras.loading;

	for (int i = 0; i < f->loras.n; i++)
		pending |= f->loras.at[i].name && f->loras.at[i].state == XV_ADAPTER_UNLOADING;
	return pending;
}

/* An adapter that is unloaded takes no new calls, so that its last one ends some time. */
void front_loras_tick(struct front *f)
{
	if (f->loras.loading)
		end_load(f);
	for (int i = 0; i < f->loras.n; i++) {
		struct front_lora *l = &f->loras.at[i];
		if (!l->name || l->state != XV_ADAPTER_UNLOADING || l->calls)
			continue;
		log_event(LOG_INFO, "adapter unloaded", " name=\"%s\" calls=%llu", l->name,
			  (unsigned long long)l->total);
		answer(f, l);
		forget(l);
	}
}
