/* route.h - a row of the table of endpoints. The program hands the table to http_server_open(). */
#ifndef RPC_GATEWAY_HTTP_ROUTE_H
#define RPC_GATEWAY_HTTP_ROUTE_H

#include <jansson.h>

struct http_exchange;

typedef void http_endpoint(struct http_exchange *x);
typedef json_t *http_schema(void);

enum http_route_flags {
	HTTP_NO_KEY = 1,   /* needs no API key */
	HTTP_JSON = 2,     /* the body is a JSON object, read before begin() is called */
	HTTP_NO_TAIL = 4,  /* a path that ends in '/' is also matched with nothing behind it */
	HTTP_UNLISTED = 8, /* is not in the description at /openapi.json */
};

struct http_route {
	const char *method;
	const char *path; /* one that ends in '/', except "/", also matches what follows it */
	const char *tail; /* what follows, as the description writes it: "{id}"; NULL: nothing */
	int flags;
	http_endpoint *begin; /* answers, or attaches work that will */
	http_schema *schema;  /* describes the body, a new reference; NULL: it has none */
};

/* Finds the row of a method and a path. Paths are compared byte by byte and not unescaped, so that nothing can be
 * hidden in them. Returns NULL if there is none, with `allow` set to the methods that the path has ("GET, HEAD,
 * OPTIONS"), or to "" for an unknown path. */
const struct http_route *http_route_find(const struct http_route *routes, int n, const char *method, const char *path,
					 char allow[64]);

#endif
