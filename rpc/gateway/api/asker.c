#include "rpc/gateway/api/asker.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum { ASKER_BYTES = 129 };

/* A long name is replaced by its digest: the daemon accepts 128 bytes. */
void api_name_asker(const struct http_exchange *x, const char *user, char out[129])
{
	unsigned char digest[32];

	if (!user || !*user) {
		http_client_address(x, out);
		return;
	}
	if (strlen(user) < ASKER_BYTES) {
		strcpy(out, user);
		return;
	}
	REQUIRE(gnutls_hash_fast(GNUTLS_DIG_SHA256, user, strlen(user), digest) == 0);
	for (int i = 0; i < 32; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}
