/* trunk_join.c - how links come up: who listens, who calls, and who is hung up on. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parallel/trunk_inside.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

enum { HELLO = 0x78686931, PENDING = 64, HELLO_MS = 5000, BACKLOG = 256, AGAIN_MS = 20 };
enum { DATA, BEAT };

static struct addrinfo *resolve(const struct trunk_place *p)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *out = NULL;
	char port[8];

	snprintf(port, sizeof port, "%u", p->port);
	return getaddrinfo(p->address, port, &hints, &out) ? NULL : out;
}

int trunk_listen(struct trunk_place *place, struct why *why)
{
	struct sockaddr_storage bound;
	struct addrinfo *a;
	socklen_t size = sizeof bound;
	char port[8];
	int s;

	place->port = 0;
	a = resolve(place);
	s = a ? socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (s < 0 || bind(s, a->ai_addr, a->ai_addrlen) || listen(s, BACKLOG) ||
	    getsockname(s, (struct sockaddr *)&bound, &size) ||
	    getnameinfo((struct sockaddr *)&bound, size, NULL, 0, port, sizeof port, NI_NUMERICSERV)) {
		fail(why, ERR_IO, "cannot listen for the other nodes on %s: %s", place->address, strerror(errno));
		if (s >= 0)
			close(s);
		s = ERR_IO;
	} else
		place->port = (uint16_t)atoi(port);
	if (a)
		freeaddrinfo(a);
	return s;
}

void trunk_secret_make(struct trunk_secret *s)
{
	if (getrandom(s, sizeof *s, 0) != sizeof *s)
		die("no random numbers: %s", strerror(errno));
}

/* ---- joining ---- */
struct hello {
	uint32_t magic;
	uint16_t node, kind;
	uint8_t secret[TRUNK_SECRET];
};

struct pending { /* a caller that has not said all yet */
	int fd;  /* -1: free */
	size_t got;
	uint64_t since;
	struct hello hello;
};

struct joining {
	struct trunk *t;
	const struct trunk_place *place;
	const struct trunk_secret *secret;
	uint64_t until;
	int listener, missing;
	struct pending pending[PENDING];
};

/* In a time that does not depend on how much is right. */
bool trunk_same_secret(const uint8_t *a, const uint8_t *b)
{
	uint8_t differ = 0;

	for (int i = 0; i < TRUNK_SECRET; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static int left_ms(uint64_t until)
{
	uint64_t now = now_ns();

	return now < until ? (int)((until - now) / NS_PER_MS) + 1 : 0;
}

/* A socket as links use it. Linux 6.15 and later can send again at least once a second what was lost, so
 * that a link that was cut goes on at once. */
void trunk_settle(int fd)
{
	int one = 1, again_ms = 1000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &again_ms, sizeof again_ms);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static int *link_of(struct trunk *t, int node, int kind)
{
	return kind == DATA ? &t->link[node].data : &t->link[node].beat;
}

bool trunk_wait_for(int fd, short what, uint64_t until)
{
	struct pollfd p = {fd, what, 0};

	return poll(&p, 1, left_ms(until)) > 0;
}

bool trunk_read_all(int fd, void *buf, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t n = recv(fd, (char *)buf + at, bytes - at, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* False: in vain. Sets *again where it was hung up on, as happens to callers in a crowd of strangers. */
static bool greet(int s, const struct addrinfo *own, const struct addrinfo *to, const void *hello, size_t bytes,
		  const uint8_t *answer, uint64_t until, bool *again)
{
	uint8_t got[TRUNK_SECRET];
	socklen_t size = sizeof(int);
	int error = 0;

	if (bind(s, own->ai_addr, own->ai_addrlen) || (connect(s, to->ai_addr, to->ai_addrlen) && errno != EINPROGRESS))
		return false;
	if (!trunk_wait_for(s, POLLOUT, until) || getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size) || error)
		return false;
	*again = true;
	return send(s, hello, bytes, MSG_NOSIGNAL) == (ssize_t)bytes && trunk_wait_for(s, POLLIN, until) &&
	       recv(s, got, sizeof got, 0) == sizeof got && trunk_same_secret(got, answer);
}

int trunk_call(const struct trunk_place *own, const struct trunk_place *to, const void *hello, size_t bytes,
	       const uint8_t *answer, uint64_t until)
{
	struct trunk_place from = *own;
	struct addrinfo *there = resolve(to), *here;
	bool again = there != NULL;
	int s = -1;

	from.port = 0;
	here = resolve(&from);
	while (here && again && s < 0 && now_ns() < until) {
		again = false;
		s = socket(there->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (s < 0 || greet(s, here, there, hello, bytes, answer, until, &again))
			break;
		close(s);
		s = -1;
		poll(NULL, 0, AGAIN_MS);
	}
	if (s >= 0)
		trunk_settle(s);
	if (there)
		freeaddrinfo(there);
	if (here)
		freeaddrinfo(here);
	return s;
}

static int call(struct joining *j, int node, int kind)
{
	struct hello h = {.magic = HELLO, .node = (uint16_t)j->t->mine, .kind = (uint16_t)kind};

	memcpy(h.secret, j->secret->call, sizeof h.secret);
	return trunk_call(&j->place[j->t->mine], &j->place[node], &h, sizeof h, j->secret->answer, j->until);
}

static void drop(struct pending *p)
{
	close(p->fd);
	p->fd = -1;
}

/* A caller that has said its hello becomes a link, or is hung up on. */
static void judge(struct joining *j, struct pending *p)
{
	const struct hello *h = &p->hello;
	bool good = h->magic == HELLO && trunk_same_secret(h->secret, j->secret->call) && h->node > j->t->mine &&
		    h->node < j->t->n && h->kind <= BEAT && *link_of(j->t, h->node, h->kind) < 0;

	if (!good || send(p->fd, j->secret->answer, TRUNK_SECRET, MSG_NOSIGNAL) != TRUNK_SECRET) {
		drop(p);
		return;
	}
	trunk_settle(p->fd);
	*link_of(j->t, h->node, h->kind) = p->fd;
	p->fd = -1;
	j->missing--;
}

static void hear(struct joining *j, struct pending *p)
{
	ssize_t n = recv(p->fd, (char *)&p->hello + p->got, sizeof p->hello - p->got, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(p);
		return;
	}
	p->got += (size_t)n;
	if (p->got == sizeof p->hello)
		judge(j, p);
}

/* A node calls from the address that MPI carried, so that crowds from elsewhere take no place. */
static bool calls_from_node(const struct joining *j, const struct sockaddr_storage *from, socklen_t size)
{
	char text[TRUNK_ADDRESS];
	bool known = false;

	if (getnameinfo((const struct sockaddr *)from, size, text, sizeof text, NULL, 0, NI_NUMERICHOST))
		return false;
	for (int i = j->t->mine + 1; i < j->t->n; i++)
		known |= !strcmp(text, j->place[i].address);
	return known;
}

/* Where there are too many callers, the one that has waited longest makes room. */
static void take_caller(struct joining *j)
{
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof from;
	int fd = accept4(j->listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct pending *at = &j->pending[0];

	if (fd < 0)
		return;
	if (!calls_from_node(j, &from, size)) {
		close(fd);
		return;
	}
	for (int i = 0; i < PENDING; i++) {
		struct pending *p = &j->pending[i];

		if (at->fd >= 0 && (p->fd < 0 || p->since < at->since))
			at = p;
	}
	if (at->fd >= 0)
		drop(at);
	*at = (struct pending){.fd = fd, .since = now_ns()};
}

static void answer_calls(struct joining *j)
{
	struct pollfd p[PENDING + 1];

	for (int i = 0; i < PENDING; i++)
		j->pending[i].fd = -1;
	while (j->missing && left_ms(j->until)) {
		p[PENDING] = (struct pollfd){j->listener, POLLIN, 0};
		for (int i = 0; i < PENDING; i++)
			p[i] = (struct pollfd){j->pending[i].fd, POLLIN, 0};
		if (poll(p, PENDING + 1, min_int(left_ms(j->until), 1000)) < 0)
			continue;
		for (int i = 0; i < PENDING; i++) {
			struct pending *w = &j->pending[i];

			if (w->fd >= 0 && p[i].revents)
				hear(j, w);
			if (w->fd >= 0 && now_ns() - w->since > HELLO_MS * NS_PER_MS)
				drop(w);
		}
		if (p[PENDING].revents)
			take_caller(j);
	}
	for (int i = 0; i < PENDING; i++)
		if (j->pending[i].fd >= 0)
			drop(&j->pending[i]);
}

static struct trunk *make(int n, int mine)
{
	struct trunk *t = xalloc(1, sizeof *t);

	t->n = n;
	t->mine = mine;
	t->link = xalloc((size_t)n, sizeof *t->link);
	for (int i = 0; i < n; i++) {
		t->link[i].trunk = t;
		t->link[i].node = i;
		t->link[i].data = t->link[i].beat = -1;
		pthread_mutex_init(&t->link[i].sending, NULL);
	}
	return t;
}

static int first_missing(const struct trunk *t)
{
	for (int i = 0; i < t->n; i++)
		if (i != t->mine && (t->link[i].data < 0 || t->link[i].beat < 0))
			return i;
	return -1;
}

int trunk_join(struct trunk **out, int listener, const struct trunk_place *place, int n, int mine,
	       const struct trunk_secret *secret, int timeout_ms)
{
	struct trunk *t = make(n, mine);
	struct joining *j = xalloc(1, sizeof *j);

	*j = (struct joining){.t = t,
			      .place = place,
			      .secret = secret,
			      .until = now_ns() + (uint64_t)timeout_ms * NS_PER_MS,
			      .listener = listener,
			      .missing = 2 * (n - 1 - mine)};
	/* Those with lower numbers answer first, so that none waits in a circle. */
	for (int node = 0; node < mine; node++)
		for (int kind = DATA; kind <= BEAT; kind++)
			*link_of(t, node, kind) = call(j, node, kind);
	answer_calls(j);
	close(listener);
	free(j);
	*out = t;
	return first_missing(t);
}
