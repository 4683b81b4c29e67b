#include "daemon/rank/broadcast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/agree.h"
#include "parallel/trunk_files.h"

struct broadcast {
	struct checkpoint *files;
	struct file_server *server; /* rank 0 */
	struct file_client *client; /* ranks of other nodes */
};

static int find(void *files, int file, uint64_t *size)
{
	return checkpoint_descriptor(files, file, size);
}

static int read_there(void *client, int file, uint64_t offset, void *dst, size_t n, struct why *why)
{
	return files_read(client, file, offset, dst, n, why);
}

static int connect_ranks(struct broadcast *b, struct rank *self, struct why *why)
{
	const struct world *w = self->world;
	struct {
		struct trunk_place place;
		struct trunk_secret secret;
	} ticket = {0};
	int err = 0;

	if (w->rank == 0) {
		snprintf(ticket.place.address, sizeof ticket.place.address, "%s", w->address);
		trunk_secret_make(&ticket.secret);
		err = files_serve(&b->server, &ticket.place, &ticket.secret, find, self->files, why);
	}
	err = world_agree(w, err, why);
	if (err)
		return err;
	world_bcast(w, &ticket, sizeof ticket);
	if (w->nodes.mine) {
		b->client = files_open(&ticket.place, w->address, &ticket.secret);
		checkpoint_read_by(self->files, read_there, b->client);
	}
	explicit_bzero(&ticket, sizeof ticket);
	return 0;
}

int broadcast_open(struct broadcast **out, struct rank *self, struct why *why)
{
	const struct world *w = self->world;
	bool all = self->opt->load_format == LOAD_BROADCAST;

	*out = NULL;
	if (w->nodes.n < 2 || !self->files)
		return 0;
	/* A node's ranks read few of the bytes, which reading ahead would not know. */
	checkpoint_share(self->files, w->local_rank, all && !w->nodes.mine ? w->local_size : 0);
	if (!all)
		return 0;
	*out = xalloc(1, sizeof **out);
	(*out)->files = self->files;
	return connect_ranks(*out, self, why);
}

void broadcast_close(struct broadcast *b)
{
	if (!b)
		return;
	if (b->client)
		checkpoint_read_by(b->files, NULL, NULL);
	if (b->server)
		log_event(LOG_INFO, "weights were sent to other nodes", " gib=%.3f",
			  (double)files_sent(b->server) / (1 << 30));
	files_close(b->client);
	files_stop(b->server);
	free(b);
}
