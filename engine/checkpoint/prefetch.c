/* prefetch.c - reads ahead in a thread of its own: the advice may block, and too long a lead would drop pages before
 * they are read. */
#include "engine/checkpoint/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PIECE ((uint64_t)8 << 20)
#define WINDOW ((uint64_t)512 << 20) /* of the whole checkpoint, over all ranks */

struct prefetch {
	const struct checkpoint *c;
	uint64_t rank, size;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

/* Waits until `ahead` bytes of this rank's part are within the window. Returns false if the checkpoint is closing. */
static bool may_go(struct prefetch *p, uint64_t ahead)
{
	bool stop;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && ahead > atomic_load(p->c->bytes_read) + WINDOW / p->size) {
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += 20000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		pthread_cond_timedwait(&p->wake, &p->lock, &t);
	}
	stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return !stop;
}

static void *run(void *arg)
{
	struct prefetch *p = arg;
	uint64_t ahead = 0;

	for (int i = 0; i < p->c->n_files; i++) {
		const struct source *s = &p->c->file[i];
		/* Ranks take pieces in turn, so that together they read the files from front to back. */
		for (uint64_t at = p->rank * PIECE; at < s->size; at += p->size * PIECE) {
			if (!may_go(p, ahead))
				return NULL;
			posix_fadvise(s->fd, (off_t)at, (off_t)PIECE, POSIX_FADV_WILLNEED);
			ahead += PIECE;
		}
	}
	return NULL;
}

struct prefetch *prefetch_create(const struct checkpoint *c, int rank, int size)
{
	struct prefetch *p = xalloc(1, sizeof *p);
	pthread_condattr_t attr;

	p->c = c;
	p->rank = (uint64_t)rank;
	p->size = (uint64_t)size;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	errno = pthread_create(&p->thread, NULL, run, p);
	if (errno)
		die("cannot start the read-ahead thread: errno %d", errno);
	return p;
}

void prefetch_destroy(struct prefetch *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
