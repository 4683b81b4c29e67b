/* page.c - GET /: the web page, one HTML file without outside resources, and its Content-Security-Policy. The policy
 * allows only the page's own style and script, by their hashes, no markup made from text (Trusted Types), and no
 * connection but to this server. */
#include "rpc/gateway/api/page.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/http/answer.h"

/* Appends 'sha256-...' of the text between the first <tag> and the </tag> after it. */
static void put_hash(struct text *t, const char *tag)
{
	char open[16], close[16];
	unsigned char digest[32];
	gnutls_datum_t coded, raw = {digest, sizeof digest};
	const char *from, *to;

	snprintf(open, sizeof open, "<%s>", tag);
	snprintf(close, sizeof close, "</%s>", tag);
	from = strstr((const char *)page_bytes, open);
	REQUIRE(from && (to = strstr(from, close)));
	from += strlen(open);
	REQUIRE(!gnutls_hash_fast(GNUTLS_DIG_SHA256, from, (size_t)(to - from), digest));
	REQUIRE(!gnutls_base64_encode2(&raw, &coded));
	text_fmt(t, "'sha256-%.*s'", (int)coded.size, coded.data);
	gnutls_free(coded.data);
}

static const char *policy(void)
{
	static struct text t; /* made once; only one thread calls this */

	if (t.data)
		return t.data;
	text_str(&t, "default-src 'none'; script-src ");
	put_hash(&t, "script");
	text_str(&t, "; style-src ");
	put_hash(&t, "style");
	text_str(&t,
		 "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
		 "require-trusted-types-for 'script'; trusted-types 'none'");
	return t.data;
}

void api_page(struct http_exchange *x)
{
	struct text t = {0};

	text_put(&t, (const char *)page_bytes, page_len);
	http_answer_policy(x, policy());
	http_answer_text(x, 200, "text/html; charset=utf-8", &t);
}
