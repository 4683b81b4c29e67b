/* asker.c - who asks: the API key, and within it what tells clients apart. The daemon gives turns by both. */
#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "rpc/gateway/gateway.h"

static bool from_proxy(const struct exchange *x)
{
	const struct options *how = &x->g->how;

	for (int i = 0; i < how->n_trusted_proxies; i++)
		if (!strcmp(how->trusted_proxy[i], x->conn->address))
			return true;
	return false;
}

static enum MHD_Result keep_last(void *out, enum MHD_ValueKind kind, const char *key, const char *value)
{
	(void)kind;
	if (!strcasecmp(key, "X-Forwarded-For"))
		*(const char **)out = value ? value : "";
	return MHD_YES;
}

/* The last entry of the last line is what our own proxy saw; those before it are whatever a client wrote. Some proxies
 * add a line of their own behind the client's. */
static bool forwarded(const struct exchange *x, char out[64])
{
	const char *list = NULL, *last;
	unsigned char bytes[16];
	size_t n;

	MHD_get_connection_values(x->conn->http, MHD_HEADER_KIND, keep_last, &list);
	if (!list)
		return false;
	last = strrchr(list, ',');
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
		snprintf(x->asks, sizeof x->asks, "%s",
			 from_proxy(x) && forwarded(x, address) ? address : x->conn->address);
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
