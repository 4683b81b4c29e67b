/* origin.h - parses Host and Origin, so that they are compared by scheme, host and port and never by a prefix. */
#ifndef RPC_GATEWAY_HTTP_ORIGIN_H
#define RPC_GATEWAY_HTTP_ORIGIN_H

#include <stdbool.h>

struct http_authority {
	char host[256]; /* lower case, without the brackets of an IPv6 address */
	int port;       /* -1: none */
	bool address;   /* the host is an IP address */
};
/* Reads "name", "name:80", "1.2.3.4:80" or "[::1]:80". Returns false for anything else, also for a name of more than
 * 255 bytes or with other characters than letters, digits, '.', '-' and '_'. */
bool http_authority_read(struct http_authority *a, const char *text);

struct http_origin {
	char scheme[16];
	struct http_authority at; /* without a port: that of http or https */
};
/* Reads scheme "://" authority (RFC 6454) with nothing behind it. Returns false for anything else, also for "null". */
bool http_origin_read(struct http_origin *o, const char *text);
bool http_origin_equal(const struct http_origin *a, const struct http_origin *b);

#endif
