/* trunk.c - the running links. */
#include "parallel/trunk.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "parallel/trunk_inside.h"

enum { MAGIC = 0x786e6f64 };

/* ---- what arrives ---- */
static bool read_all(trunk_reader *read, void *from, void *buf, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t n = read(from, (char *)buf + at, bytes - at);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* NULL: a frame was taken. Else why there are no more. */
static const char *take_frame(const struct trunk_sink *sinks, int node, trunk_reader *read, void *from)
{
	struct trunk_frame f;
	const struct trunk_sink *s;
	void *to;

	if (!read_all(read, from, &f, sizeof f))
		return "the link has ended";
	if (f.magic != MAGIC || f.kind >= TRUNK_KINDS || f.bytes > TRUNK_MOST)
		return "what came is no frame";
	s = &sinks[f.kind];
	to = s->place ? s->place(s->arg, node, &f) : NULL;
	if (!to)
		return "a frame came that cannot be";
	if (!read_all(read, from, to, f.bytes))
		return "the link ended inside a frame";
	s->arrived(s->arg, node, &f);
	return NULL;
}

bool trunk_fits(const struct trunk_frame *f, size_t room)
{
	return f->at <= room && f->bytes <= room - f->at;
}

void trunk_feed(const struct trunk_sink *sinks, int node, trunk_reader *read, void *from)
{
	while (!take_frame(sinks, node, read, from))
		;
}

static ssize_t read_link(void *from, void *buf, size_t bytes)
{
	struct trunk_link *l = from;
	ssize_t n;

	do
		n = recv(l->data, buf, bytes, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		atomic_fetch_add_explicit(&l->received, (uint64_t)n, memory_order_relaxed);
	return n;
}

static void *run_link(void *arg)
{
	struct trunk_link *l = arg;
	struct trunk *t = l->trunk;
	const char *why;

	do
		why = take_frame(t->sink, l->node, read_link, l);
	while (!why);
	if (!atomic_load(&t->ending))
		t->lost(t->lost_arg, l->node, why);
	return NULL;
}

void trunk_start(struct trunk *t, void (*lost)(void *arg, int node, const char *why), void *arg)
{
	sigset_t all, old;

	t->lost = lost;
	t->lost_arg = arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the daemon's own threads handle signals */
	for (int i = 0; i < t->n; i++) {
		int err = i == t->mine ? 0 : pthread_create(&t->link[i].thread, NULL, run_link, &t->link[i]);

		if (err)
			die("cannot start a thread for the link to another node: %s", strerror(err));
		t->link[i].running = i != t->mine;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void trunk_sink(struct trunk *t, enum trunk_kind kind, const struct trunk_sink *s)
{
	t->sink[kind] = s ? *s : (struct trunk_sink){0};
}

/* ---- what leaves ---- */
static bool send_all(int fd, struct iovec *v, size_t n)
{
	struct msghdr m = {.msg_iov = v, .msg_iovlen = n};

	while (m.msg_iovlen) {
		ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		for (; m.msg_iovlen && (size_t)sent >= m.msg_iov->iov_len; m.msg_iov++, m.msg_iovlen--)
			sent -= (ssize_t)m.msg_iov->iov_len;
		if (m.msg_iovlen) {
			m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + sent;
			m.msg_iov->iov_len -= (size_t)sent;
		}
	}
	return true;
}

/* A link that fails is reported by the thread that reads it, or by the heartbeats. */
void trunk_send(struct trunk *t, int node, const struct trunk_frame *f, const void *payload)
{
	struct trunk_link *l = &t->link[node];
	struct trunk_frame head = *f;
	struct iovec v[2] = {{&head, sizeof head}, {(void *)(uintptr_t)payload, f->bytes}};

	REQUIRE(node != t->mine && f->bytes <= TRUNK_MOST);
	head.magic = MAGIC;
	pthread_mutex_lock(&l->sending);
	if (send_all(l->data, v, f->bytes ? 2 : 1))
		atomic_fetch_add_explicit(&l->sent, sizeof head + f->bytes, memory_order_relaxed);
	else
		shutdown(l->data, SHUT_RDWR);
	pthread_mutex_unlock(&l->sending);
}

void trunk_send_all(struct trunk *t, const struct trunk_frame *f, const void *payload)
{
	for (int i = 0; i < t->n; i++)
		if (i != t->mine)
			trunk_send(t, i, f, payload);
}

uint64_t trunk_bytes(const struct trunk *t, int node, bool sent)
{
	const struct trunk_link *l = &t->link[node];

	return atomic_load_explicit(sent ? &l->sent : &l->received, memory_order_relaxed);
}

/* ---- heartbeats ---- */
int trunk_beat_fd(const struct trunk *t, int node)
{
	return t->link[node].beat;
}

static bool flush_beat(struct trunk_link *l)
{
	ssize_t n = l->out_left ? send(l->beat, l->out + l->out_at, l->out_left, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (n > 0) {
		l->out_at += (size_t)n;
		l->out_left -= (size_t)n;
	}
	return !l->out_left;
}

void trunk_beat_send(struct trunk *t, int node, const void *beat, size_t bytes)
{
	struct trunk_link *l = &t->link[node];

	REQUIRE(bytes <= TRUNK_BEAT);
	if (!flush_beat(l))
		return;
	memcpy(l->out, beat, bytes);
	l->out_at = 0;
	l->out_left = bytes;
	flush_beat(l);
}

int trunk_beat_take(struct trunk *t, int node, void *beat, size_t bytes)
{
	struct trunk_link *l = &t->link[node];
	ssize_t n;

	REQUIRE(bytes <= TRUNK_BEAT);
	n = recv(l->beat, l->in + l->in_at, bytes - l->in_at, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	l->in_at += (size_t)n;
	if (l->in_at < bytes)
		return 0;
	memcpy(beat, l->in, bytes);
	l->in_at = 0;
	return 1;
}

/* What was sent again although it had arrived was not lost. */
static struct trunk_packets packets(int fd)
{
	struct tcp_info i = {0};
	socklen_t size = sizeof i;

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size);
	return (struct trunk_packets){
		.sent = i.tcpi_data_segs_out,
		.lost = i.tcpi_total_retrans > i.tcpi_dsack_dups ? i.tcpi_total_retrans - i.tcpi_dsack_dups : 0,
		.again = i.tcpi_total_retrans,
		.arrived = i.tcpi_bytes_acked,
		.waiting = i.tcpi_unacked > 0};
}

struct trunk_packets trunk_beat_packets(const struct trunk *t, int node)
{
	return packets(t->link[node].beat);
}

struct trunk_packets trunk_data_packets(const struct trunk *t, int node)
{
	return packets(t->link[node].data);
}

/* ---- the end ---- */
void trunk_ending(struct trunk *t)
{
	atomic_store(&t->ending, true);
}

void trunk_close(struct trunk *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->n; i++) {
		struct trunk_link *l = &t->link[i];

		if (i == t->mine)
			continue;
		shutdown(l->data, SHUT_RDWR);
		if (l->running)
			pthread_join(l->thread, NULL);
		close(l->data);
		close(l->beat);
		pthread_mutex_destroy(&l->sending);
	}
	free(t->link);
	free(t);
}
