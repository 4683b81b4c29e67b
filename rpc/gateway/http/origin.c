#include "rpc/gateway/http/origin.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

/* ":80", ":" or nothing, up to the end. */
static bool read_port(struct http_authority *a, const char *s)
{
	size_t n;

	a->port = -1;
	if (!*s)
		return true;
	n = strlen(++s);
	if (s[-1] != ':' || n > 5 || strspn(s, "0123456789") != n)
		return false;
	if (n)
		a->port = atoi(s);
	return a->port <= 65535;
}

static bool read_bracketed(struct http_authority *a, const char *text)
{
	unsigned char bytes[16];
	const char *end = strchr(text, ']');
	size_t n = end ? (size_t)(end - text - 1) : 0;

	if (!n || n >= sizeof a->host)
		return false;
	memcpy(a->host, text + 1, n);
	a->host[n] = 0;
	if (inet_pton(AF_INET6, a->host, bytes) != 1)
		return false;
	inet_ntop(AF_INET6, bytes, a->host, sizeof a->host); /* one form of each address, to compare by */
	a->address = true;
	return read_port(a, end + 1);
}

bool http_authority_read(struct http_authority *a, const char *text)
{
	unsigned char bytes[4];
	size_t n = 0;

	*a = (struct http_authority){.port = -1};
	if (*text == '[')
		return read_bracketed(a, text);
	for (; text[n] && text[n] != ':'; n++) {
		char c = text[n] >= 'A' && text[n] <= 'Z' ? (char)(text[n] | 0x20) : text[n];
		if (n == sizeof a->host - 1 || !strchr(lower, c))
			return false;
		a->host[n] = c;
	}
	a->host[n] = 0;
	a->address = inet_pton(AF_INET, a->host, bytes) == 1;
	return n && read_port(a, text + n);
}

bool http_origin_read(struct http_origin *o, const char *text)
{
	const char *end = strstr(text, "://");
	size_t n = end ? (size_t)(end - text) : 0;

	*o = (struct http_origin){0};
	if (!n || n >= sizeof o->scheme || !http_authority_read(&o->at, end + 3))
		return false;
	for (size_t i = 0; i < n; i++) {
		o->scheme[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789+-.", o->scheme[i]))
			return false;
	}
	if (o->at.port < 0)
		o->at.port = !strcmp(o->scheme, "https") ? 443 : !strcmp(o->scheme, "http") ? 80 : -1;
	return true;
}

bool http_origin_equal(const struct http_origin *a, const struct http_origin *b)
{
	return !strcmp(a->scheme, b->scheme) && !strcmp(a->at.host, b->at.host) && a->at.port == b->at.port;
}
