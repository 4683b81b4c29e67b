#include "parallel/trunk_files.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parallel/trunk_inside.h"

enum { CONNECTIONS = 512, STRANGERS = 64, SPARE = 16, HELLO_S = 5, REST_MS = 10 };

struct ask {
	uint32_t file, bytes;
	uint64_t offset;
};

/* ---- the side that reads ---- */
struct file_server {
	int listener, stop; /* stop: an eventfd */
	struct trunk_secret secret;
	int (*find)(void *arg, int file, uint64_t *size);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t fewer;
	struct connection *at[CONNECTIONS]; /* by age */
	int n, strangers;                   /* strangers: those that have not said the secret */
	_Atomic uint64_t sent;
};

struct connection {
	struct file_server *s;
	int fd;
	bool known; /* it said the secret */
};

static bool send_file(int to, int file, uint64_t offset, size_t bytes)
{
	off_t at = (off_t)offset;

	while (bytes) {
		ssize_t n = sendfile(to, file, &at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes -= (size_t)n;
	}
	return true;
}

/* False: it asks for what is not there, or the connection has ended. */
static bool answer(struct file_server *s, int fd)
{
	struct ask a;
	uint64_t size;
	int file;

	if (!trunk_read_all(fd, &a, sizeof a) || a.bytes > FILES_MOST || a.file > INT32_MAX)
		return false;
	file = s->find(s->arg, (int)a.file, &size);
	if (file < 0 || a.offset > size || a.bytes > size - a.offset)
		return false;
	if (!send_file(fd, file, a.offset, a.bytes))
		return false;
	atomic_fetch_add(&s->sent, a.bytes);
	return true;
}

/* Within a time for all of it, so that a stranger keeps no place. */
static bool greets(const struct file_server *s, int fd)
{
	uint64_t until = now_ns() + HELLO_S * NS_PER_S;
	uint8_t call[TRUNK_SECRET];
	size_t at = 0;

	while (at < sizeof call && trunk_wait_for(fd, POLLIN, until)) {
		ssize_t n = recv(fd, call + at, sizeof call - at, MSG_DONTWAIT);

		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return at == sizeof call && trunk_same_secret(call, s->secret.call) &&
	       send(fd, s->secret.answer, TRUNK_SECRET, MSG_NOSIGNAL) == TRUNK_SECRET;
}

static void become_known(struct connection *c)
{
	pthread_mutex_lock(&c->s->lock);
	c->known = true;
	c->s->strangers--;
	pthread_mutex_unlock(&c->s->lock);
}

static void forget(struct connection *c)
{
	struct file_server *s = c->s;
	int i = 0;

	pthread_mutex_lock(&s->lock);
	while (s->at[i] != c)
		i++;
	s->n--;
	memmove(s->at + i, s->at + i + 1, (size_t)(s->n - i) * sizeof *s->at);
	s->strangers -= !c->known;
	close(c->fd);
	free(c);
	pthread_cond_signal(&s->fewer);
	pthread_mutex_unlock(&s->lock);
}

static void *serve(void *arg)
{
	struct connection *c = arg;

	if (greets(c->s, c->fd)) {
		become_known(c);
		while (answer(c->s, c->fd))
			;
	}
	forget(c);
	return NULL;
}

/* The stranger that has waited longest makes room. Called with the lock. */
static void drop_stranger(struct file_server *s)
{
	for (int i = 0; i < s->n; i++)
		if (!s->at[i]->known) {
			shutdown(s->at[i]->fd, SHUT_RDWR);
			return;
		}
}

/* What cannot be served is hung up on; a rank calls again. */
static void take_caller(struct file_server *s, int fd)
{
	struct connection *c = xalloc(1, sizeof *c);
	pthread_t thread;

	*c = (struct connection){s, fd, false};
	trunk_settle(fd);
	pthread_mutex_lock(&s->lock);
	if (s->strangers >= STRANGERS)
		drop_stranger(s);
	if (s->n < CONNECTIONS && s->strangers < 2 * STRANGERS && !pthread_create(&thread, NULL, serve, c)) {
		pthread_detach(thread);
		s->at[s->n++] = c;
		s->strangers++;
	} else {
		close(fd);
		free(c);
	}
	pthread_mutex_unlock(&s->lock);
}

static void *listen_for_callers(void *arg)
{
	struct file_server *s = arg;
	struct pollfd p[2] = {{s->listener, POLLIN, 0}, {s->stop, POLLIN, 0}};

	for (;;) {
		int fd;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return NULL;
		fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			take_caller(s, fd);
		else if (errno != EAGAIN)
			poll(NULL, 0, REST_MS); /* no descriptors are left: the caller stays in the queue */
	}
}

int files_serve(struct file_server **out, struct trunk_place *place, const struct trunk_secret *secret,
		int (*find)(void *arg, int file, uint64_t *size), void *arg, struct why *why)
{
	struct file_server *s;
	int listener = trunk_listen(place, why);
	sigset_t all, old;

	if (listener < 0)
		return listener;
	s = xalloc(1, sizeof *s);
	s->listener = listener;
	s->stop = eventfd(0, EFD_CLOEXEC);
	s->secret = *secret;
	s->find = find;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->fewer, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the daemon's own threads handle signals */
	if (pthread_create(&s->thread, NULL, listen_for_callers, s))
		die("cannot start a thread that sends files");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	*out = s;
	return 0;
}

uint64_t files_sent(const struct file_server *s)
{
	return atomic_load(&s->sent);
}

void files_stop(struct file_server *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	REQUIRE(write(s->stop, &one, sizeof one) == sizeof one);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->n; i++)
		shutdown(s->at[i]->fd, SHUT_RDWR);
	while (s->n)
		pthread_cond_wait(&s->fewer, &s->lock);
	pthread_mutex_unlock(&s->lock);
	close(s->listener);
	close(s->stop);
	explicit_bzero(&s->secret, sizeof s->secret);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->fewer);
	free(s);
}

/* ---- the side that asks ---- */
struct file_client {
	struct trunk_place place, own;
	struct trunk_secret secret;
	pthread_mutex_t lock; /* of the rest */
	int spare[SPARE], n;  /* connections that no thread uses */
};

struct file_client *files_open(const struct trunk_place *place, const char *own, const struct trunk_secret *secret)
{
	struct file_client *c = xalloc(1, sizeof *c);

	c->place = *place;
	snprintf(c->own.address, sizeof c->own.address, "%s", own);
	c->secret = *secret;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static int connection(struct file_client *c)
{
	int fd = -1;

	pthread_mutex_lock(&c->lock);
	if (c->n)
		fd = c->spare[--c->n];
	pthread_mutex_unlock(&c->lock);
	return fd >= 0 ? fd
		       : trunk_call(&c->own, &c->place, c->secret.call, TRUNK_SECRET, c->secret.answer,
				    now_ns() + HELLO_S * NS_PER_S);
}

static void give_back(struct file_client *c, int fd)
{
	pthread_mutex_lock(&c->lock);
	if (c->n < SPARE) {
		c->spare[c->n++] = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&c->lock);
	if (fd >= 0)
		close(fd);
}

int files_read(struct file_client *c, int file, uint64_t offset, void *dst, size_t n, struct why *why)
{
	int fd = connection(c);

	for (size_t at = 0; fd >= 0 && at < n;) {
		struct ask a = {(uint32_t)file, (uint32_t)(n - at < FILES_MOST ? n - at : FILES_MOST), offset + at};

		if (send(fd, &a, sizeof a, MSG_NOSIGNAL) != sizeof a ||
		    !trunk_read_all(fd, (char *)dst + at, a.bytes)) {
			close(fd);
			fd = -1;
		}
		at += a.bytes;
	}
	if (fd < 0)
		return fail(why, ERR_IO, "rank 0 does not send file %d of the model", file);
	give_back(c, fd);
	return 0;
}

void files_close(struct file_client *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->n; i++)
		close(c->spare[i]);
	explicit_bzero(&c->secret, sizeof c->secret);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
