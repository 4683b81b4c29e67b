/* keys.c - API keys: only their SHA-256 digests are kept; all of them are compared each time, in constant time. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/gateway/gateway.h"

enum { DIGEST = 32, MAX_KEYS = 4096 };

struct keys {
	int n;
	unsigned char digest[][DIGEST];
};

static void digest(const char *key, size_t len, unsigned char out[DIGEST])
{
	REQUIRE(gnutls_hash_fast(GNUTLS_DIG_SHA256, key, len, out) == 0);
}

/* One key a line; empty lines and lines that begin with # are left out. */
int keys_read(struct keys **out, const char *path, struct why *why)
{
	FILE *f = fopen(path, "re");
	struct keys *k = xalloc(1, sizeof *k + (size_t)MAX_KEYS * DIGEST);
	char line[1024];
	bool whole = true;

	*out = NULL;
	if (!f) {
		free(k);
		return fail(why, ERR_IO, "%s: %s", path, strerror(errno));
	}
	while (fgets(line, sizeof line, f)) {
		size_t len = strcspn(line, "\r\n");
		whole = whole && k->n < MAX_KEYS && len < sizeof line - 1;
		if (whole && len && line[0] != '#')
			digest(line, len, k->digest[k->n++]);
	}
	fclose(f);
	gnutls_memset(line, 0, sizeof line);
	if (!k->n || !whole) {
		free(k);
		return fail(why, ERR_INVALID, whole ? "%s: holds no key" : "%s: more than 4096 keys, or one of more than 1022 bytes",
			    path);
	}
	*out = k;
	return 0;
}

bool keys_match(const struct keys *k, const char *authorization)
{
	const char *key = "";
	unsigned char asked[DIGEST];
	int hits = 0;

	if (authorization && !strncasecmp(authorization, "Bearer ", 7))
		key = authorization + 7 + strspn(authorization + 7, " ");
	digest(key, strlen(key), asked);
	for (int i = 0; i < k->n; i++)
		hits += gnutls_memcmp(asked, k->digest[i], DIGEST) == 0;
	return hits > 0;
}

void keys_destroy(struct keys *k)
{
	free(k);
}
