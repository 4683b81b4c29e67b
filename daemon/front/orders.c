/* The launcher's connection: beats, how far the start is, and the launcher's orders (rpc/server/handover.h). */
#include "daemon/front/inside.h"

#include "engine/progress.h"
#include "parallel/board.h"
#include "rpc/server/handover.h"

void front_open_orders(struct front *f)
{
	f->deaf = f->beat_fd < 0;
	if (!f->deaf)
		rpc_server_watch(f->server, f->beat_fd);
}

static void leave(struct front *f)
{
	f->leave_ns = now_ns();
	rpc_server_accept(f->server, false);
	log_event(LOG_INFO, "another process takes the connections from now on; this one ends with its last client",
		  " open_calls=%d connections=%d", front_open_calls(f), rpc_connections(f->server));
}

static void obey(struct front *f, int order)
{
	switch (order) {
	case HANDOVER_ACCEPT:
		f->leave_ns = 0;
		rpc_server_accept(f->server, true);
		break;
	case HANDOVER_LEAVE:
		leave(f);
		break;
	case HANDOVER_YIELD:
		f->yields = !f->draining;
		front_drain(f, "another process takes over");
		break;
	default:
		log_at(LOG_WARN, "an order of the launcher is not known: it is of another version");
	}
}

/* A launcher that is gone takes mpirun with it, so nothing is to be done about that here. */
void front_take_orders(struct front *f)
{
	int order = f->deaf ? 0 : handover_hear(f->beat_fd);

	for (; order > 0; order = handover_hear(f->beat_fd))
		obey(f, order);
	if (order < 0) {
		f->deaf = true;
		rpc_server_unwatch(f->server, f->beat_fd);
	}
}

static int percent(uint64_t done, uint64_t of)
{
	return of ? (int)(100.0 * (double)done / (double)of) : 0;
}

static void say_progress(struct front *f)
{
	struct load_progress *p = &f->link->progress;
	int phase = atomic_load(&p->phase), part = percent(atomic_load(&p->done), atomic_load(&p->of));

	if (phase == LOAD_WEIGHTS)
		part = percent(atomic_load(&p->bytes), atomic_load(&p->total));
	handover_say(f->beat_fd, (enum handover_word)(HANDOVER_PHASE + phase));
	handover_say(f->beat_fd, (enum handover_word)(HANDOVER_PERCENT + min_int(max_int(part, 0), 99)));
}

/* Operations of this rank count: a sum ends on no rank if it does not on one. */
static bool stands_still(struct front *f)
{
	uint32_t ops = board_ops(f->board);
	bool still = atomic_load(&f->link->running) && ops == f->ops_seen;

	f->ops_seen = ops;
	return still;
}

void front_beat(struct front *f)
{
	if (now_ns() - f->beat_ns < 900000000u)
		return;
	f->beat_ns = now_ns();
	if (!f->ready)
		say_progress(f);
	handover_say(f->beat_fd, !f->ready ? HANDOVER_FRONT : stands_still(f) ? HANDOVER_STILL : HANDOVER_READY);
}
