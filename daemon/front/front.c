#include "daemon/front/inside.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/rank/files.h"
#include "rpc/server/handover.h"

static int open_socket(struct front *f, struct why *why)
{
	struct rpc_handler h = {.ctx = f, .request = front_request, .cancel = front_cancel, .queue_place = front_place};
	struct rpc_server_options how = {.path = f->opt->uds,
					 .listen_fd = -1,
					 .version = XV_VERSION,
					 .served_model = f->opt->served_name,
					 .max_connections = files_raise((int)f->opt->max_connections),
					 .max_buffered = 1 << 20,
					 .max_input = FRONT_INPUT,
					 .max_calls = 1024};
	int err;

	err = handover_take(&how.listen_fd, &f->beat_fd, &how.hold, why);
	if (!err)
		err = options_find_group(f->opt, &how.group, why);
	if (!err)
		err = options_find_gateway(f->opt, &how.gateway_uid, why);
	if (err)
		return err;
	err = rpc_server_open(&f->server, &how, &h, why);
	if (err)
		return err;
	rpc_server_watch(f->server, f->link->wake_fd);
	rpc_server_watch(f->server, f->signal_fd);
	front_open_orders(f);
	return 0;
}

static int start(struct front *f, struct why *why)
{
	int err;

	f->started_ns = now_ns();
	front_metrics_init(&f->metrics);
	front_accounts_init(&f->accounts);
	front_accounts_limit(&f->accounts, SHARE_BYTES, FRONT_INPUT);
	front_open_signals(f);
	err = front_limits_read(f, why);
	if (!err)
		err = open_socket(f, why);
	if (err)
		return err;
	if (f->tokenizer)
		front_helpers_start(&f->helpers, f->tokenizer, f->link->wake_fd);
	if (pthread_create(&f->thread, NULL, front_loop, f))
		die("cannot start the front thread");
	return 0;
}

int front_open(struct front **out, const struct front_options *how, struct why *why)
{
	struct front *f = xalloc(1, sizeof *f);
	int err;

	*f = (struct front){.link = how->link,
			    .opt = how->opt,
			    .board = how->board,
			    .model = how->model,
			    .starter = how->starter,
			    .reread = how->reread,
			    .arg = how->arg,
			    .signal_fd = -1,
			    .beat_fd = -1};
	*out = f;
	err = front_open_model(f, why);
	return err ? err : start(f, why);
}

void front_close(struct front *f)
{
	pthread_join(f->thread, NULL);
	close(f->signal_fd);
	front_helpers_finish(&f->helpers);
	front_loras_finish(f);
	quotas_finish(&f->quotas);
	chat_close(f->chat);
	grammar_room_destroy(f->room);
	tokenizer_close(f->tokenizer);
}

void front_alive(struct front *f)
{
	if (f)
		handover_say(f->beat_fd, HANDOVER_ALIVE);
}

void front_last_words(struct front *f, const struct xv_error *error)
{
	if (!f)
		return;
	atomic_store(&f->last_words, 1);
	if (f->server && atomic_load(&f->link->state) != LINK_STOPPED)
		rpc_last_words(f->server, error, 500);
}
