#include "rpc/gateway/http/route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool matches(const struct http_route *r, const char *path)
{
	size_t n = strlen(r->path);

	if (n > 1 && r->path[n - 1] == '/')
		return !strncmp(path, r->path, n) && (path[n] || r->flags & HTTP_NO_TAIL);
	return !strcmp(path, r->path);
}

static void add_allowed(char allow[64], const char *method)
{
	size_t n = strlen(allow);

	snprintf(allow + n, 64 - n, "%s, ", strcmp(method, "GET") ? method : "GET, HEAD");
}

const struct http_route *http_route_find(const struct http_route *routes, int n, const char *method, const char *path,
					 char allow[64])
{
	*allow = 0;
	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (int i = 0; i < n; i++) {
		if (!matches(&routes[i], path))
			continue;
		if (!strcmp(method, routes[i].method))
			return &routes[i];
		add_allowed(allow, routes[i].method);
	}
	if (*allow)
		strcat(allow, "OPTIONS");
	return NULL;
}
