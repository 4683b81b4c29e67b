#include "daemon/rank/rank.h"

#include <limits.h>

#include "engine/sched/sched.h"

/* Answers of chats whose client names no length are mostly far shorter than what the context leaves; those that are not
 * get more blocks as they grow. */
enum { OPEN_LOOK_AHEAD = 64 };

struct sched_limits rank_sched_limits(const struct rank *self)
{
	return (struct sched_limits){.step = self->limits,
				     .max_model_len = self->max_model_len,
				     .max_waiting = (int)self->opt->max_queued_reqs,
				     .max_waiting_tokens = self->opt->max_queued_tokens,
				     .look_ahead = self->opt->look_ahead < 0 ? INT_MAX : (int)self->opt->look_ahead,
				     .open_look_ahead = OPEN_LOOK_AHEAD,
				     .vocab = self->cfg.vocab};
}

void rank_rows(struct rank *self, const struct step *s, void (*take)(void *arg, int first, int count), void *arg)
{
	float *logits = self->sample ? sample_phase_logits(self->sample) : NULL;

	for (int first = 0; first < s->head->n_rows; first += self->limits.rows) {
		int count = min_int(self->limits.rows, s->head->n_rows - first);
		model_logits(self->model, first, count, logits);
		if (take)
			take(arg, first, count);
	}
}

int rank_exit_code(int err)
{
	switch (err) {
	case ERR_INVALID:
		return EXIT_USAGE;
	case ERR_BUSY:
		return EXIT_AGAIN;
	case ERR_LIMIT:
	case ERR_UNKNOWN: /* no such device */
	case ERR_DENIED:  /* the socket's place */
		return EXIT_CONFIG;
	case ERR_LOST_RANK: /* no link to its node */
		return EXIT_SOFTWARE;
	default:
		return EXIT_INPUT;
	}
}

void rank_finish(struct rank *self)
{
	step_finish(&self->step);
	if (self->kv.pool)
		kv_finish(&self->kv);
	sample_phase_destroy(self->sample);
	model_destroy(self->model);
	comm_destroy(self->comm);
	backend_destroy(self->backend);
	checkpoint_close(self->files);
}
