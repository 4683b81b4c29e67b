/* origin.h - Host and Origin taken apart: compared by scheme, host and port, never by how a text begins. */
#ifndef RPC_GATEWAY_HTTP_ORIGIN_H
#define RPC_GATEWAY_HTTP_ORIGIN_H

#include <stdbool.h>

struct http_authority {
	char host[256]; /* lower case, without the brackets of an IPv6 address */
	int port;       /* -1: none */
	bool address;   /* the host is an IP address */
};
/* "name", "name:80", "1.2.3.4:80", "[::1]:80"; false: anything else, also a name with other characters than letters,
 * digits,
 * '.', '-' and '_', or of more than 255 bytes. */
bool http_authority_read(struct http_authority *a, const char *text);

struct http_origin {
	char scheme[16];
	struct http_authority at; /* port: that of the scheme where http or https name none */
};
/* RFC 6454: scheme "://" authority and nothing behind it. "null" is none. */
bool http_origin_read(struct http_origin *o, const char *text);
bool http_origin_equal(const struct http_origin *a, const struct http_origin *b);

#endif
