/* trunk_places.c - the addresses of this machine, and which of them nodes use between them. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "parallel/trunk.h"

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

static uint32_t speed_of(const char *interface)
{
	char path[64];
	int mbit = 0;
	FILE *f;

	snprintf(path, sizeof path, "/sys/class/net/%.15s/speed", interface);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &mbit) != 1)
		mbit = 0;
	if (f)
		fclose(f);
	return (uint32_t)max_int(0, mbit);
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
	out->mbit = speed_of(a->ifa_name);
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

/* Those of `interface`, or where `any` all. */
static int list(const char *interface, bool any, struct trunk_place out[TRUNK_PLACES])
{
	struct ifaddrs *all = NULL;
	int n = 0;

	if (getifaddrs(&all))
		return 0;
	for (const struct ifaddrs *a = all; a && n < TRUNK_PLACES; a = a->ifa_next)
		n += place_of(a, &out[n]) && (any || wanted(a, &out[n], interface));
	freeifaddrs(all);
	if (n < TRUNK_PLACES)
		out[n] = (struct trunk_place){.port = 0};
	return n;
}

int trunk_addresses(const char *interface, struct trunk_place out[TRUNK_PLACES])
{
	return list(interface, false, out);
}

void trunk_interfaces(char *out, size_t size)
{
	struct trunk_place place[TRUNK_PLACES];
	int n = list(NULL, true, place);
	size_t at = 0;

	snprintf(out, size, "none that is up and has an address");
	for (int i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s=%s", i ? " " : "", place[i].interface,
				       place[i].address);
}

int trunk_has_interface(const char *interface, struct why *why)
{
	struct trunk_place place[TRUNK_PLACES];
	char all[300];

	if (!interface || trunk_addresses(interface, place))
		return 0;
	trunk_interfaces(all, sizeof all);
	return fail(
		why, ERR_UNKNOWN,
		"--node-interface %s: no interface here has this name, or an address in this network; there are: %s",
		interface, all);
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

/* An address of each node in the network of place i of node 0. False: some node has none. */
static bool in_network(const struct trunk_place *place, int n, int i, int *chosen)
{
	int node = 1;

	chosen[0] = i;
	while (node < n && (chosen[node] = find_in(place, node, &place[i], chosen)) >= 0)
		node++;
	return node == n;
}

static uint32_t slowest(const struct trunk_place *place, int n, const int *chosen)
{
	uint32_t mbit = UINT32_MAX;

	for (int node = 0; node < n; node++) {
		uint32_t own = place[node * TRUNK_PLACES + chosen[node]].mbit;

		mbit = own < mbit ? own : mbit;
	}
	return mbit;
}

/* The fastest network; of equals the first. */
static bool choose_network(const struct trunk_place *place, int n, int *chosen)
{
	int found[TRUNK_NODES];
	uint32_t most = 0;
	bool any = false;

	for (int i = 0; i < TRUNK_PLACES && *place[i].address; i++) {
		uint32_t mbit;

		if (!in_network(place, n, i, found))
			continue;
		mbit = slowest(place, n, found);
		if (any && mbit <= most)
			continue;
		memcpy(chosen, found, (size_t)n * sizeof *chosen);
		most = mbit;
		any = true;
	}
	return any;
}

bool trunk_choose(const struct trunk_place *place, int n, bool given, int *chosen)
{
	if (!given)
		return choose_network(place, n, chosen);
	memset(chosen, 0, (size_t)n * sizeof *chosen);
	for (int node = 0; node < n; node++) {
		const char *own = place[node * TRUNK_PLACES].address;

		given &= *own != 0;
		for (int m = 0; m < node; m++)
			given &= strcmp(place[m * TRUNK_PLACES].address, own) != 0;
	}
	return given;
}
