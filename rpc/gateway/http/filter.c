/* filter.c - refuses requests by their head, after framing.c has made sure where they end. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/gateway/http/inside.h"
#include "rpc/gateway/http/origin.h"

static void refuse(struct http_refusal *out, int status, bool close, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void refuse(struct http_refusal *out, int status, bool close, const char *fmt, ...)
{
	va_list args;

	out->status = status;
	out->close = close;
	va_start(args, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, args);
	va_end(args);
}

/* RFC 9110, 5.6.2 */
static bool is_token(const char *s)
{
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return *s && s[strspn(s, allowed)] == 0;
}

/* Headers that a request must not repeat with another value. A second Host is refused even if it is equal: RFC
 * 9112, 3.2. */
static const char *const singles[] = {"Host",   "Authorization",  "Content-Type", "Content-Encoding",
				      "Origin", "Sec-Fetch-Site", "Expect",       "X-Request-Id"};
enum { SINGLES = sizeof singles / sizeof *singles };

struct seen {
	int hosts;
	const char *value[SINGLES], *differs;
};

static enum MHD_Result look(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct seen *s = arg;

	(void)kind;
	s->hosts += !strcasecmp(key, "Host");
	for (int i = 0; i < SINGLES; i++) {
		if (strcasecmp(key, singles[i]))
			continue;
		if (s->value[i] && strcmp(s->value[i], value ? value : ""))
			s->differs = singles[i];
		s->value[i] = value ? value : "";
	}
	return MHD_YES;
}

static void check_singles(struct http_exchange *x, struct http_refusal *out)
{
	struct seen s = {0};

	MHD_get_connection_values(x->conn->mhd, MHD_HEADER_KIND, look, &s);
	if (s.hosts > 1 || (!s.hosts && x->head.http11))
		refuse(out, 400, true, "%s", s.hosts ? "more than one Host" : "no Host");
	else if (s.differs)
		refuse(out, 400, true, "two different %s headers", s.differs);
}

static void check_body(struct http_exchange *x, struct http_refusal *out)
{
	const char *length = http_header(x, "Content-Length"), *coding = http_header(x, "Transfer-Encoding");
	int64_t most = x->server->how->max_body;

	x->head.has_body = coding || (length && atoll(length) > 0);
	if (length && atoll(length) > most)
		refuse(out, 413, true, "the body has %.20s bytes, at most %lld are allowed", length, (long long)most);
	else if (!strcmp(x->head.method, "POST") && !length && !coding)
		refuse(out, 411, true, "a POST requires Content-Length or chunked coding");
}

void http_filter_head(struct http_exchange *x, struct http_refusal *out)
{
	if (strlen(x->head.path) > HTTP_URI_BYTES)
		refuse(out, 414, true, "the path has more than %d bytes", HTTP_URI_BYTES);
	else if (!is_token(x->head.method))
		refuse(out, 400, true, "the method has characters that are not allowed");
	else
		check_singles(x, out);
	if (!out->status)
		check_body(x, out);
}

/* ---- policy ---- */

/* A page of another site can make a browser send requests to this server under the site's name (DNS rebinding), but not
 * under an address or localhost. */
static bool host_allowed(const struct http_server *s, const struct http_authority *host)
{
	size_t n = strlen(host->host);

	if (host->address || !strcmp(host->host, "localhost") || (n > 10 && !strcmp(host->host + n - 10, ".localhost")))
		return true;
	for (int i = 0; i < s->how->n_allowed_hosts; i++) {
		struct http_authority a;
		if (http_authority_read(&a, s->how->allowed_host[i]) && !strcmp(a.host, host->host) &&
		    (a.port < 0 || a.port == host->port))
			return true;
	}
	return false;
}

static bool origin_listed(const struct http_server *s, const char *text, const struct http_origin *origin)
{
	for (int i = 0; i < s->how->n_cors_origins; i++) {
		const char *listed = s->how->cors_origin[i];
		struct http_origin o;
		if (!strcmp(listed, "*") || (!strcmp(listed, "null") && !strcmp(text, "null")))
			return true;
		if (*origin->scheme && http_origin_read(&o, listed) && http_origin_equal(&o, origin))
			return true;
	}
	return false;
}

/* Returns true for a page that this server served. If it does not speak TLS itself, a proxy may. */
static bool origin_own(const struct http_server *s, const struct http_origin *origin, const char *host)
{
	bool https = !strcmp(origin->scheme, "https");
	struct http_authority at;

	if ((!https && strcmp(origin->scheme, "http")) || (!https && s->how->tls_cert) || !host ||
	    !http_authority_read(&at, host))
		return false;
	return !strcmp(at.host, origin->at.host) && (at.port < 0 ? https ? 443 : 80 : at.port) == origin->at.port;
}

static void check_origin(struct http_exchange *x, const char *host, struct http_refusal *out)
{
	const char *text = http_header(x, "Origin"), *site = http_header(x, "Sec-Fetch-Site");
	struct http_origin origin = {0};

	if (text && !http_origin_read(&origin, text))
		origin = (struct http_origin){0};
	if (origin_listed(x->server, text ? text : "", &origin)) {
		x->head.origin = text ? xstrdup(text) : NULL;
		return;
	}
	if (text && !origin_own(x->server, &origin, host))
		refuse(out, 403, false, "Origin %.80s is not allowed (--cors-origin)", text);
	else if (site && !strcasecmp(site, "cross-site"))
		refuse(out, 403, false, "requests from pages of other sites are not allowed (--cors-origin)");
}

static void check_host(struct http_exchange *x, const char *host, struct http_refusal *out)
{
	struct http_server *s = x->server;
	struct http_authority at;
	bool well = host && http_authority_read(&at, host);

	if (!host)
		return;
	if ((s->loopback || !s->keys) && !s->how->uds && !(well && host_allowed(s, &at)))
		refuse(out, 403, false, "Host %.80s is not allowed (--allowed-host)", host);
	else if (!well && *host)
		refuse(out, 400, true, "Host %.80s must be a name, with or without a port", host);
	s->count.refused_filter += out->status != 0;
}

/* A form of another site can send text/plain without a preflight, but not this type. */
static void check_type(struct http_exchange *x, struct http_refusal *out)
{
	const char *type = http_header(x, "Content-Type");
	size_t n = type ? strcspn(type, "; \t") : 0;

	if (strcmp(x->head.method, "POST") || !x->head.has_body)
		return;
	if (n != 16 || strncasecmp(type, "application/json", 16))
		refuse(out, 415, false, "Content-Type must be application/json");
	else if (http_header(x, "Content-Encoding"))
		refuse(out, 415, false, "Content-Encoding is not supported");
}

static bool check_key(struct http_exchange *x, struct http_refusal *out)
{
	struct http_server *s = x->server;

	if (!s->keys || (x->head.route && x->head.route->flags & HTTP_NO_KEY))
		return true;
	x->head.account = http_keys_match(s->keys, http_header(x, "Authorization"));
	if (!x->head.account) {
		refuse(out, 401, false, "an API key is required: Authorization: Bearer KEY");
		out->code = "invalid_api_key";
		s->count.refused_key++;
		return false;
	}
	if (++x->head.account->open <= http_budget_share(s, s->how->max_connections))
		return true;
	refuse(out, 429, false, "this API key has %d open requests, the most it may have: wait for one to end",
	       x->head.account->open - 1);
	out->code = "too_many_requests";
	return false;
}

void http_filter_policy(struct http_exchange *x, struct http_refusal *out)
{
	const char *host = http_header(x, "Host");

	check_host(x, host, out);
	if (out->status)
		return;
	check_origin(x, host, out);
	if (out->status || !strcmp(x->head.method, "OPTIONS"))
		return;
	if (!check_key(x, out))
		return;
	if (x->head.route)
		check_type(x, out);
}
