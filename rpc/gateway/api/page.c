/* page.c - GET /: the web page, one HTML file without outside resources, and its Content-Security-Policy; GET
 * /katex.js: the script that it loads when a formula appears. The policy allows only the page's own style and script
 * and that second script, by their hashes, no markup made from text (Trusted Types), and no connection but to this
 * server. */
#include "rpc/gateway/api/page.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rpc/gateway/api/endpoints.h"
#include "rpc/gateway/http/answer.h"

/* Appends the hash of a source as the policy writes it. */
static void put_hash(struct text *t, const char *from, size_t len)
{
	unsigned char digest[32];
	gnutls_datum_t coded, raw = {digest, sizeof digest};

	REQUIRE(!gnutls_hash_fast(GNUTLS_DIG_SHA256, from, len, digest));
	REQUIRE(!gnutls_base64_encode2(&raw, &coded));
	text_fmt(t, "'sha256-%.*s'", (int)coded.size, coded.data);
	gnutls_free(coded.data);
}

/* The same of the text between the first <tag> and the </tag> after it. */
static void put_hash_of_tag(struct text *t, const char *tag)
{
	char open[16], close[16];
	const char *from, *to;

	snprintf(open, sizeof open, "<%s>", tag);
	snprintf(close, sizeof close, "</%s>", tag);
	from = strstr((const char *)page_bytes, open);
	REQUIRE(from && (to = strstr(from, close)));
	from += strlen(open);
	put_hash(t, from, (size_t)(to - from));
}

static const char *policy(void)
{
	static struct text t; /* made once; only one thread calls this */

	if (t.data)
		return t.data;
	text_str(&t, "default-src 'none'; script-src ");
	put_hash_of_tag(&t, "script");
	if (page_katex_len) {
		text_str(&t, " ");
		put_hash(&t, (const char *)page_katex_bytes, page_katex_len);
	}
	text_str(&t, "; style-src ");
	put_hash_of_tag(&t, "style");
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

void api_page_formulas(struct http_exchange *x)
{
	struct text t = {0};

	if (!page_katex_len) {
		http_answer_error(x, 404, "not_found", NULL, "this gateway was built without KaTeX");
		return;
	}
	text_put(&t, (const char *)page_katex_bytes, page_katex_len);
	http_answer_text(x, 200, "text/javascript; charset=utf-8", &t);
}
