/* filter.c - what is refused by its head alone. libmicrohttpd's parser is lenient; a proxy in front may read the
 * same bytes otherwise, so on any doubt about where a request ends the answer is an error and the connection
 * closes. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/gateway/gateway.h"

struct seen {
	int headers, hosts, lengths, codings;
	const char *host, *length, *coding;
	struct refusal *out;
};

static enum MHD_Result refuse(struct refusal *out, int status, bool close, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static enum MHD_Result refuse(struct refusal *out, int status, bool close, const char *fmt, ...)
{
	va_list args;

	out->status = status;
	out->close = close;
	va_start(args, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, args);
	va_end(args);
	return MHD_NO;
}

/* RFC 9110, 5.6.2 */
static bool is_token(const char *s, size_t len)
{
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < len; i++)
		if (!s[i] || !strchr(allowed, s[i]))
			return false;
	return len > 0;
}

static bool is_value(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return false;
	return true;
}

static enum MHD_Result look(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_len, const char *value,
			    size_t value_len)
{
	struct seen *s = arg;

	(void)kind;
	if (++s->headers > GW_HEADERS)
		return refuse(s->out, 431, true, "more than %d header lines", GW_HEADERS);
	if (!is_token(key, key_len) || !is_value(value ? value : "", value ? value_len : 0))
		return refuse(s->out, 400, true, "a header line has characters that are not allowed");
	if (!strcasecmp(key, "Host")) {
		s->hosts++;
		s->host = value;
	} else if (!strcasecmp(key, "Content-Length")) {
		s->lengths++;
		s->length = value;
	} else if (!strcasecmp(key, "Transfer-Encoding")) {
		s->codings++;
		s->coding = value;
	}
	return MHD_YES;
}

static bool all_digits(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n && n < 19 && strspn(s, "0123456789") == n;
}

static void check_framing(struct exchange *x, const struct seen *s, struct refusal *out)
{
	int64_t most = x->g->how.max_body;
	bool post = !strcmp(x->method, "POST");

	if (s->lengths && s->codings)
		refuse(out, 400, true, "both Content-Length and Transfer-Encoding");
	else if (s->lengths > 1 || s->codings > 1)
		refuse(out, 400, true, "more than one Content-Length or Transfer-Encoding");
	else if (s->codings && (!s->coding || strcasecmp(s->coding, "chunked")))
		refuse(out, 501, true, "a Transfer-Encoding other than chunked");
	else if (s->lengths && !all_digits(s->length))
		refuse(out, 400, true, "Content-Length is not a number");
	else if (s->lengths && atoll(s->length) > most)
		refuse(out, 413, true, "the body has %.20s bytes; at most %lld are taken", s->length, (long long)most);
	else if (post && !s->lengths && !s->codings)
		refuse(out, 411, true, "a POST needs Content-Length or chunked coding");
	x->has_body = s->codings || (s->lengths && strcmp(s->length, "0") != 0);
}

void filter_request(struct exchange *x, const char *version, struct refusal *out)
{
	struct seen s = {.out = out};

	if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0")) {
		refuse(out, 505, true, "only HTTP/1.0 and HTTP/1.1 are spoken");
		return;
	}
	if (strlen(x->path) > GW_URI_BYTES) {
		refuse(out, 414, true, "the path has more than %d bytes", GW_URI_BYTES);
		return;
	}
	if (!is_token(x->method, strlen(x->method))) {
		refuse(out, 400, true, "the method has characters that are not allowed");
		return;
	}
	MHD_get_connection_values_n(x->conn->http, MHD_HEADER_KIND, look, &s);
	if (out->status)
		return;
	if (s.hosts > 1 || (!s.hosts && x->http11))
		refuse(out, 400, true, "%s", s.hosts ? "more than one Host" : "no Host");
	else
		check_framing(x, &s, out);
}

/* ---- policy ---- */

/* "name", "name:80", "[::1]:80": the name without port and brackets. */
static void host_name(const char *host, char out[256])
{
	size_t n;

	if (*host == '[') {
		n = strcspn(++host, "]");
	} else {
		n = strcspn(host, ":");
		if (strchr(host + n + (host[n] == ':'), ':'))
			n = strlen(host); /* a bare IPv6 address */
	}
	n = n < 255 ? n : 255;
	memcpy(out, host, n);
	out[n] = 0;
}

/* A page of another site can make a browser send requests here under its own name (DNS rebinding), but not
 * under an address or localhost. */
static bool host_allowed(const struct gateway *g, const char *host)
{
	unsigned char address[16];
	char name[256];
	size_t n;

	host_name(host, name);
	n = strlen(name);
	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
		return true;
	if (!strcasecmp(name, "localhost") || (n > 10 && !strcasecmp(name + n - 10, ".localhost")))
		return true;
	for (int i = 0; i < g->how.n_allowed_hosts; i++)
		if (!strcasecmp(name, g->how.allowed_host[i]) || !strcasecmp(host, g->how.allowed_host[i]))
			return true;
	return false;
}

static bool origin_listed(const struct gateway *g, const char *origin)
{
	for (int i = 0; i < g->how.n_cors_origins; i++)
		if (!strcasecmp(origin, g->how.cors_origin[i]))
			return true;
	return false;
}

/* A page that this server itself gave: scheme://authority with the authority of Host. */
static bool origin_own(const char *origin, const char *host)
{
	const char *at = strstr(origin, "://");

	return at && host && !strcasecmp(at + 3, host);
}

static void check_origin(struct exchange *x, const char *host, struct refusal *out)
{
	const char *origin = exchange_header(x, "Origin"), *site = exchange_header(x, "Sec-Fetch-Site");

	if (origin && origin_listed(x->g, origin)) {
		x->origin = xstrdup(origin);
		return;
	}
	if (origin && !origin_own(origin, host))
		refuse(out, 403, false, "Origin %.80s is not allowed (--cors-origin)", origin);
	else if (site && !strcasecmp(site, "cross-site"))
		refuse(out, 403, false, "requests of other sites' pages are not allowed (--cors-origin)");
}

/* A form of another site can send text/plain without asking, but not this type. */
static void check_type(struct exchange *x, struct refusal *out)
{
	const char *type = exchange_header(x, "Content-Type");
	size_t n = type ? strcspn(type, "; \t") : 0;

	if (strcmp(x->method, "POST") || !x->has_body)
		return;
	if (n != 16 || strncasecmp(type, "application/json", 16))
		refuse(out, 415, false, "Content-Type must be application/json");
	else if (exchange_header(x, "Content-Encoding"))
		refuse(out, 415, false, "Content-Encoding is not supported");
}

void filter_policy(struct exchange *x, struct refusal *out)
{
	const char *host = exchange_header(x, "Host");
	struct gateway *g = x->g;

	if ((g->loopback || !g->keys) && !g->how.uds && host && !host_allowed(g, host)) {
		refuse(out, 403, false, "Host %.80s is not allowed (--allowed-host)", host);
		g->count.refused_filter++;
		return;
	}
	check_origin(x, host, out);
	if (out->status || !strcmp(x->method, "OPTIONS"))
		return;
	if (g->keys && !(x->route && x->route->open) && !keys_match(g->keys, exchange_header(x, "Authorization"))) {
		refuse(out, 401, false, "a key is needed: Authorization: Bearer KEY");
		out->code = "invalid_api_key";
		g->count.refused_key++;
		return;
	}
	if (x->route)
		check_type(x, out);
}
