#include "daemon/rank/loras.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/rank/rank.h"
#include "engine/models/lora.h"
#include "parallel/ballot.h"

enum { DEFAULT_RANK = 16 };

/* ---- the start ---- */

static int open_one(struct rank *self, struct rank_lora *l, const char *text, size_t len, struct why *why)
{
	const char *equals = memchr(text, '=', len);
	struct why inner = {""};
	int err;

	l->name = xprintf("%.*s", (int)(equals - text), text);
	l->dir = xprintf("%.*s", (int)(len - (size_t)(equals + 1 - text)), equals + 1);
	err = adapter_open(&l->adapter, l->dir, &inner);
	if (!err)
		err = model_lora_check(&self->cfg, l->adapter, self->loras.merge ? 0 : (int)self->opt->max_lora_rank,
				       &inner);
	if (err)
		return fail(why, err, "--lora %.80s: %.400s", l->name, inner.text);
	l->fingerprint = l->adapter->fingerprint;
	l->rank = l->adapter->rank;
	return 0;
}

static void choose_slots(struct rank *self)
{
	struct rank_loras *s = &self->loras;
	int most = 0;

	s->slots = (int)self->opt->max_loras;
	if (!s->slots && !s->merge)
		s->slots = s->n;
	for (int i = 0; !s->merge && i < s->n; i++)
		most = max_int(most, s->at[i].rank);
	if (s->slots)
		s->rank = self->opt->max_lora_rank ? (int)self->opt->max_lora_rank : most ? most : DEFAULT_RANK;
}

int loras_open(struct rank *self, struct why *why)
{
	struct rank_loras *s = &self->loras;
	int err = 0;

	s->merge = self->opt->lora_merge;
	for (const char *text = self->opt->lora ? self->opt->lora : "", *end; !err && *text;
	     text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		s->at = xgrow(s->at, (size_t)s->n + 1, sizeof *s->at);
		s->at[s->n] = (struct rank_lora){0};
		err = open_one(self, &s->at[s->n++], text, (size_t)(end - text), why);
	}
	choose_slots(self);
	return err;
}

static void close_files(struct rank_loras *s)
{
	for (int i = 0; i < s->n; i++) {
		adapter_close(s->at[i].adapter);
		s->at[i].adapter = NULL;
	}
}

static void log_adapters(const struct rank *self)
{
	const struct rank_loras *s = &self->loras;

	for (int i = 0; !self->world->rank && i < s->n; i++)
		log_event(LOG_INFO, s->merge ? "adapter merged" : "adapter loaded",
			  " name=\"%s\" fingerprint=%016llx rank=%d dir=\"%s\"", s->at[i].name,
			  (unsigned long long)s->at[i].fingerprint, s->at[i].rank, s->at[i].dir);
}

int loras_fill(struct rank *self, struct why *why)
{
	struct rank_loras *s = &self->loras;
	int err = 0;

	for (int i = 0; !err && !s->merge && i < s->n; i++) {
		err = model_lora_fill(self->model, i, s->at[i].adapter, why);
		if (!err)
			model_lora_switch(self->model, i);
	}
	if (!err)
		log_adapters(self);
	close_files(s);
	return err;
}

/* ---- while the server runs ---- */

struct lora_reader {
	struct rank *rank;
	struct lora_question ask;
	uint32_t question;
	pthread_t thread;
};

/* Reads beside the steps: the threads that compute come first. */
static void *read_adapter(void *arg)
{
	struct lora_reader *r = arg;
	struct rank *self = r->rank;
	struct adapter *a = NULL;
	struct why why = {""};
	uint64_t number[BALLOT_NUMBERS] = {0};
	int err;

	setpriority(PRIO_PROCESS, (id_t)gettid(), 15);
	err = adapter_open(&a, r->ask.dir, &why);
	if (!err)
		err = model_lora_fill(self->model, r->ask.slot, a, &why);
	if (!err)
		memcpy(number, (uint64_t[BALLOT_NUMBERS]){a->fingerprint, (uint64_t)a->rank}, sizeof number);
	ballot_answer(self->loras.ballot, r->question, err, &why, number);
	adapter_close(a);
	return NULL;
}

static void join(struct rank *self)
{
	struct lora_reader *r = self->loras.reader;

	if (!r)
		return;
	pthread_join(r->thread, NULL);
	free(r);
	self->loras.reader = NULL;
}

/* It has no pinned CPU: compute threads are pinned, and threads inherit that. */
static void start(struct lora_reader *r)
{
	pthread_attr_t attr;
	cpu_set_t all;

	CPU_ZERO(&all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		CPU_SET(i, &all);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof all, &all);
	if (pthread_create(&r->thread, &attr, read_adapter, r) && pthread_create(&r->thread, NULL, read_adapter, r))
		die("cannot start a thread that reads an adapter");
	pthread_attr_destroy(&attr);
}

void loras_read(struct rank *self, uint32_t question)
{
	struct lora_reader *r = xalloc(1, sizeof *r);

	join(self); /* it has answered: rank 0 asks one question at a time */
	r->rank = self;
	r->question = question;
	memcpy(&r->ask, ballot_question(self->loras.ballot), sizeof r->ask);
	self->loras.reader = r;
	start(r);
}

void loras_switch(struct rank *self)
{
	int slot = self->loras.reader->ask.slot;

	join(self);
	model_lora_switch(self->model, slot);
}

void loras_close(struct rank *self)
{
	struct rank_loras *s = &self->loras;

	join(self);
	close_files(s);
	for (int i = 0; i < s->n; i++) {
		free(s->at[i].name);
		free(s->at[i].dir);
	}
	free(s->at);
	ballot_close(s->ballot);
	*s = (struct rank_loras){0};
}
