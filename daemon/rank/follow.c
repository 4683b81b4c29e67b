#include "daemon/rank/follow.h"

#include <time.h>

#include "daemon/rank/loras.h"
#include "parallel/board.h"

/* Polls the device while a step runs, so that a fault is found during the step. Returns early if the next step arrives
 * before this one has ended. */
static void watch_step(struct rank *self)
{
	struct timespec nap = {0, 20000};

	while (backend_busy(self->backend)) {
		if (world_posted(self->world))
			return;
		board_idle(self->world->board);
		nanosleep(&nap, NULL);
	}
	board_step(self->world->board, -1);
}

/* What rank 0 orders beside steps. True: it was an order. */
static bool take_order(struct rank *self)
{
	const struct step_head *h = self->step.head;

	if (h->kind == STEP_LORA_READ)
		loras_read(self, (uint32_t)h->no);
	else if (h->kind == STEP_LORA_SWITCH)
		loras_switch(self);
	return h->kind != STEP_RUN;
}

void follow(struct rank *self)
{
	size_t max = step_bytes_max(&self->limits), bytes;

	for (;;) {
		bytes = world_take(self->world, self->step.head, max);
		step_receive(&self->step, &self->limits, bytes);
		if (self->step.head->kind == STEP_STOP)
			return;
		if (take_order(self))
			continue;
		board_step(self->world->board, self->step.head->no);
		fault_step(&self->fault, self->world->rank, self->step.head->no);
		model_forward(self->model, &self->kv, &self->step);
		rank_rows(self, &self->step, NULL, NULL);
		watch_step(self);
	}
}
