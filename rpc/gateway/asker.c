/* asker.c - who asks: the API key, and within it what tells clients apart. The daemon gives turns by both. */
#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "rpc/gateway/gateway.h"

static bool from_proxy(const struct exchange *x)
{
	const struct options *how = &x->g->how;

	for (int i = 0; i < how->n_trusted_proxies; i++)
		if (!strcmp(how->trusted_proxy[i], x->conn->address))
			return true;
	return false;
}

/* The last entry is what our own proxy saw; those before it are whatever a client wrote. */
static bool forwarded(const struct exchange *x, char out[64])
{
	const char *list = exchange_header(x, "X-Forwarded-For"), *last = list ? strrchr(list, ',') : NULL;
	unsigned char bytes[16];
	size_t n;

	if (!list)
		return false;
	last = last ? last + 1 : list;
	last += strspn(last, " \t");
	n = strcspn(last, " \t");
	if (!n || n >= 64)
		return false;
	memcpy(out, last, n);
	out[n] = 0;
	return inet_pton(AF_INET, out, bytes) == 1 || inet_pton(AF_INET6, out, bytes) == 1;
}

/* A long name is told by its digest: the daemon takes 128 bytes. */
void exchange_name_asker(struct exchange *x, const char *user)
{
	unsigned char digest[32];
	char address[64];

	if (!user || !*user) {
		snprintf(x->asks, sizeof x->asks, "%s", from_proxy(x) && forwarded(x, address) ? address : x->conn->address);
		return;
	}
	if (strlen(user) < sizeof x->asks) {
		snprintf(x->asks, sizeof x->asks, "%s", user);
		return;
	}
	REQUIRE(gnutls_hash_fast(GNUTLS_DIG_SHA256, user, strlen(user), digest) == 0);
	for (int i = 0; i < 32; i++)
		sprintf(x->asks + 2 * i, "%02x", digest[i]);
}
