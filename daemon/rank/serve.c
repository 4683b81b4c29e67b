#include "daemon/rank/serve.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rank/hash.h"
#include "daemon/rank/loras.h"
#include "parallel/board.h"
#include "base/wait.h"

struct server {
	struct rank *rank;
	struct link *l;
	struct blocks *blocks;
	struct sched *sched;
	struct sampled *sampled; /* (max_tokens) one a row of a step */
	const struct sample *samples;
	struct step step[2];
	struct step *running; /* the step whose tokens are being sampled; NULL: none */
	struct event event[64];
	bool stop;
	struct hash_file *hash; /* tests only; NULL */
};

static void publish(struct server *s)
{
	struct link *l = s->l;
	struct sched_stats st;

	sched_stats(s->sched, &st);
	atomic_store_explicit(&l->running, st.running, memory_order_relaxed);
	atomic_store_explicit(&l->waiting, st.waiting, memory_order_relaxed);
	atomic_store_explicit(&l->waiting_tokens, st.waiting_tokens, memory_order_relaxed);
	atomic_store_explicit(&l->kv_held, blocks_held(s->blocks), memory_order_relaxed);
	atomic_store_explicit(&l->steps_ahead, st.ahead, memory_order_relaxed);
	atomic_store_explicit(&l->preempted, st.preempted, memory_order_relaxed);
	atomic_store_explicit(&l->preemptions, st.preemptions, memory_order_relaxed);
	atomic_store_explicit(&l->prompt_tokens, st.prompt_tokens, memory_order_relaxed);
	atomic_store_explicit(&l->output_tokens, st.output_tokens, memory_order_relaxed);
	atomic_store_explicit(&l->cached_tokens, st.cached_tokens, memory_order_relaxed);
	atomic_store_explicit(&l->prefix_queries, st.prefix_queries, memory_order_relaxed);
	atomic_store_explicit(&l->step, (int64_t)st.steps, memory_order_relaxed);
}

/* A row with NaN or infinity fails its call alone. The message says at which token and, with --debug-nan, which layer.
 */
static void report_broken(const struct server *s, struct link_report *r)
{
	const struct event *e = &r->event;
	char origin[MODEL_NAN_TEXT];

	model_nan_text(e->broken_origin, origin);
	r->refused = ERR_INTERNAL;
	if (s->rank->opt->debug_nan)
		snprintf(r->text, sizeof r->text, "the logits of token %d hold NaN or infinity, which %s left first",
			 e->broken_pos, origin);
	else
		snprintf(r->text, sizeof r->text,
			 "the logits of token %d hold NaN or infinity: weights that do, or sums beyond the type "
			 "(xversed --debug-nan names the layer)",
			 e->broken_pos);
	log_event(LOG_WARN, "logits hold NaN or infinity", " call=%ju token=%d step=%d", (uintmax_t)e->call,
		  e->broken_pos, e->step);
}

static void report_lost(struct link_report *r)
{
	r->refused = ERR_LIMIT;
	snprintf(r->text, sizeof r->text, "the answer ends after %d tokens: %s", r->event.n_output, r->event.lost);
}

static void refuse(struct server *s, uint64_t call, int err, const char *text)
{
	struct link_report r = {.event = {.call = call}, .refused = err};

	snprintf(r.text, sizeof r.text, "%s", text);
	REQUIRE(mailbox_put(&s->l->reports, &r)); /* take_commands() leaves room */
}

/* All ranks do it between the same two steps. */
static void order_lora(struct server *s, enum step_kind kind, uint64_t question)
{
	struct step_order o = step_order(kind, (int)question);

	world_post(s->rank->world, &o, sizeof o);
	if (kind == STEP_LORA_READ)
		loras_read(s->rank, (uint32_t)question);
	else
		loras_switch(s->rank);
}

static void take_command(struct server *s, const struct link_command *c)
{
	struct why why = {""};
	int err;

	switch (c->kind) {
	case COMMAND_ADD:
		fault_call(&s->rank->fault, c->add->ids[0]);
		err = sched_add(s->sched, c->add, &why);
		atomic_fetch_add_explicit(&s->l->adds_taken, 1, memory_order_relaxed);
		if (err)
			refuse(s, c->call, err, why.text);
		break;
	case COMMAND_CANCEL:
		sched_cancel(s->sched, c->call, c->reason);
		break;
	case COMMAND_LORA_READ:
		order_lora(s, STEP_LORA_READ, c->call);
		break;
	case COMMAND_LORA_SWITCH:
		order_lora(s, STEP_LORA_SWITCH, c->call);
		break;
	case COMMAND_STOP:
		s->stop = true;
	}
}

/* Sends as many events as the ring has room for. The rest stay in the scheduler and hold up the next step, which would
 * overwrite their details. True: all are sent. */
static bool send_events(struct server *s)
{
	int n, room;

	do {
		room = (int)mailbox_room(&s->l->reports);
		n = sched_events(s->sched, s->event, min_int(room, 64));
		for (int i = 0; i < n; i++) {
			struct link_report r = {.event = s->event[i]};
			if (r.event.finish == FINISH_BROKEN)
				report_broken(s, &r);
			if (r.event.finish == FINISH_LOST)
				report_lost(&r);
			if (r.event.detail != UINT32_MAX) {
				r.n_details = r.event.n;
				memcpy(r.detail, sched_details(s->sched) + r.event.detail,
				       (size_t)r.event.n * sizeof *r.detail);
			}
			REQUIRE(mailbox_put(&s->l->reports, &r));
		}
	} while (n > 0);
	return room > 0;
}

static void take_commands(struct server *s)
{
	struct link_command c;

	while (mailbox_room(&s->l->reports) > 0 && mailbox_take(&s->l->commands, &c))
		take_command(s, &c);
}

static void sample_rows(void *arg, int first, int count)
{
	struct server *s = arg;
	struct rank *rank = s->rank;

	if (s->hash)
		backend_sync(rank->backend);
	for (int i = 0; s->hash && i < count; i++)
		hash_row(s->hash, &s->samples[first + i],
			 sample_phase_logits(rank->sample) + (size_t)i * (size_t)rank->cfg.vocab, rank->cfg.vocab);
	sample_phase_start(rank->sample, first, count, s->samples + first, s->sampled + first);
}

/* Hands a step to all ranks and enqueues its pass here. */
static void launch(struct server *s, struct step *step)
{
	struct rank *rank = s->rank;

	board_step(rank->world->board, step->head->no);
	world_post(rank->world, step->head, (size_t)step->head->bytes);
	fault_step(&rank->fault, rank->world->rank, step->head->no);
	model_forward(rank->model, &rank->kv, step);
}

/* Called when the step before is done, since its tokens decide how the next ones are sampled. */
static void start_sampling(struct server *s, struct step *step)
{
	s->samples = sched_samples(s->sched, step);
	rank_rows(s->rank, step, sample_rows, s);
	s->running = step;
}

/* Whether the next step may be planned before the tokens of the running one are known. */
static bool may_go_ahead(const struct server *s)
{
	return s->rank->opt->step_ahead && sample_phase_ahead(s->rank->sample);
}

static void publish_all(struct server *s)
{
	send_events(s);
	publish(s);
	link_ring_front(s->l);
}

static void complete(struct server *s)
{
	sample_phase_wait(s->rank->sample);
	for (int i = 0; i < s->running->head->n_rows; i++)
		if (s->sampled[i].broken)
			s->sampled[i].origin = (int16_t)model_nan(s->rank->model, s->samples[i].seq);
	board_done(s->rank->world->board, s->running->head->no);
}

/* Called when all events were sent. */
static void finish(struct server *s, bool another)
{
	complete(s);
	if (!another)
		board_step(s->rank->world->board, -1);
	sched_done(s->sched, s->running, s->sampled);
	s->running = NULL;
	publish_all(s);
}

/* Plans a step, enqueues it behind the running one, if any, and completes that one. False: there is nothing to do. */
static bool advance(struct server *s)
{
	struct step *next = &s->step[s->running == &s->step[0]];
	bool planned = (!s->running || may_go_ahead(s)) && sched_next(s->sched, next);

	if (!planned && !s->running)
		return false;
	if (planned)
		launch(s, next);
	if (s->running)
		finish(s, planned);
	if (planned)
		start_sampling(s, next);
	return true;
}

static void turn(struct server *s)
{
	uint32_t bell = atomic_load(&s->l->bell);

	take_commands(s);
	if (send_events(s) && advance(s))
		return;
	if (s->running) { /* the front takes no events, so the watchdog must not count this time */
		complete(s);
		board_step(s->rank->world->board, -1);
	}
	publish_all(s);
	if (!sched_has_work(s->sched))
		sched_check_idle(s->sched);
	if (!s->stop)
		wait_change(&s->l->bell, bell, 0, board_idle, s->rank->world->board);
}

static void stop_others(struct rank *rank, struct step *step)
{
	memset(step->head, 0, sizeof *step->head);
	step->head->kind = STEP_STOP;
	step_layout(step);
	world_post(rank->world, step->head, (size_t)step->head->bytes);
}

void serve(struct rank *rank, struct link *l, void (*ready)(void *), void *arg)
{
	struct sched_limits lim = rank_sched_limits(rank);
	struct server s = {.rank = rank, .l = l};

	s.blocks = blocks_create(rank->n_blocks, (int)rank->opt->block_size, rank->opt->prefix_caching);
	s.sched = sched_create(&lim, s.blocks);
	s.sampled = xalloc_touched((size_t)rank->limits.max_tokens, sizeof *s.sampled);
	for (int i = 0; i < 2; i++)
		step_init(&s.step[i], &rank->limits);
	if (rank->opt->hash_rows)
		s.hash = hash_open(rank->opt->hash_rows);
	atomic_store(&l->state, LINK_READY);
	link_ring_front(l);
	ready(arg);
	while (!s.stop)
		turn(&s);
	sample_phase_wait(rank->sample);
	stop_others(rank, &s.step[0]);
	atomic_store(&l->state, LINK_STOPPED);
	link_ring_front(l);
	hash_close(s.hash);
	for (int i = 0; i < 2; i++)
		step_finish(&s.step[i]);
	free(s.sampled);
	sched_destroy(s.sched);
	blocks_destroy(s.blocks);
}
