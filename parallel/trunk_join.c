/* trunk_join.c - how links come up: which interface, who listens, who calls, and who is hung up on. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
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

enum { HELLO = 0x78686931, PENDING = 64, HELLO_MS = 5000, BACKLOG = 256, AGAIN_MS = 20 };
enum { DATA, BEAT };

/* ---- addresses ---- */
struct raw {
	int family;
	uint8_t byte[16];
};

static bool raw_of(const char *text, struct raw *out)
{
	*out = (struct raw){.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	return inet_pton(out->family, text, out->byte) == 1;
}

static bool same_network(const struct raw *a, const struct raw *b, int prefix)
{
	if (a->family != b->family)
		return false;
	for (int i = 0; i < prefix; i++)
		if ((a->byte[i / 8] ^ b->byte[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

static int ones(const uint8_t *mask, int bytes)
{
	int n = 0;

	for (int i = 0; i < 8 * bytes; i++)
		n += mask[i / 8] >> (7 - i % 8) & 1;
	return n;
}

/* False: it is of no use between nodes. */
static bool place_of(const struct ifaddrs *a, struct trunk_place *out)
{
	const struct sockaddr_in *v4 = (const void *)a->ifa_addr, *m4 = (const void *)a->ifa_netmask;
	const struct sockaddr_in6 *v6 = (const void *)a->ifa_addr, *m6 = (const void *)a->ifa_netmask;

	*out = (struct trunk_place){.port = 0};
	if (!a->ifa_addr || !a->ifa_netmask || !(a->ifa_flags & IFF_UP))
		return false;
	snprintf(out->interface, sizeof out->interface, "%s", a->ifa_name);
	if (a->ifa_addr->sa_family == AF_INET) {
		out->prefix = (uint8_t)ones((const uint8_t *)&m4->sin_addr, 4);
		return inet_ntop(AF_INET, &v4->sin_addr, out->address, sizeof out->address);
	}
	if (a->ifa_addr->sa_family != AF_INET6 || IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		return false;
	out->prefix = (uint8_t)ones(m6->sin6_addr.s6_addr, 16);
	return inet_ntop(AF_INET6, &v6->sin6_addr, out->address, sizeof out->address);
}

/* `interface`: a name, or ADDRESS/BITS. */
static bool wanted(const struct ifaddrs *a, const struct trunk_place *p, const char *interface)
{
	const char *slash = interface ? strchr(interface, '/') : NULL;
	struct raw net, own;
	char text[TRUNK_ADDRESS];

	if (!interface)
		return !(a->ifa_flags & IFF_LOOPBACK);
	if (!slash)
		return !strcmp(interface, a->ifa_name);
	snprintf(text, sizeof text, "%.*s", (int)(slash - interface), interface);
	return raw_of(text, &net) && raw_of(p->address, &own) && atoi(slash + 1) >= 0 && atoi(slash + 1) <= 128 &&
	       same_network(&net, &own, min_int(atoi(slash + 1), net.family == AF_INET ? 32 : 128));
}

int trunk_addresses(const char *interface, struct trunk_place out[TRUNK_PLACES])
{
	struct ifaddrs *all = NULL;
	int n = 0;

	if (getifaddrs(&all))
		return 0;
	for (const struct ifaddrs *a = all; a && n < TRUNK_PLACES; a = a->ifa_next)
		n += place_of(a, &out[n]) && wanted(a, &out[n], interface);
	freeifaddrs(all);
	if (n < TRUNK_PLACES)
		out[n] = (struct trunk_place){.port = 0};
	return n;
}

/* The address of a node in the network of `of` that none of the nodes before it has; -1: none. Bridges of container
 * engines have one and the same address on every node. */
static int find_in(const struct trunk_place *place, int node, const struct trunk_place *of, const int *chosen)
{
	struct raw net, own;

	for (int i = 0; i < TRUNK_PLACES && *place[node * TRUNK_PLACES + i].address; i++) {
		const struct trunk_place *p = &place[node * TRUNK_PLACES + i];
		bool taken = false;

		if (!raw_of(of->address, &net) || !raw_of(p->address, &own) || !same_network(&net, &own, of->prefix))
			continue;
		for (int m = 0; m < node; m++)
			taken |= !strcmp(place[m * TRUNK_PLACES + chosen[m]].address, p->address);
		if (!taken)
			return i;
	}
	return -1;
}

bool trunk_choose(const struct trunk_place *place, int n, bool given, int *chosen)
{
	for (int i = 0; i < TRUNK_PLACES && *place[i].address && !given; i++) {
		int node = 1;

		chosen[0] = i;
		while (node < n && (chosen[node] = find_in(place, node, &place[i], chosen)) >= 0)
			node++;
		if (node == n)
			return true;
	}
	memset(chosen, 0, (size_t)n * sizeof *chosen);
	for (int node = 0; node < n; node++) {
		const char *own = place[node * TRUNK_PLACES].address;

		given &= *own != 0;
		for (int m = 0; m < node; m++)
			given &= strcmp(place[m * TRUNK_PLACES].address, own) != 0;
	}
	return given;
}

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

/* A socket as links use it. */
void trunk_settle(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
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
