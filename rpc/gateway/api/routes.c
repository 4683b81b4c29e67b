#include <string.h>

#include "rpc/gateway/gateway.h"

static const struct route routes[] = {
	{"GET", "/", true, get_page},
	{"GET", "/health", true, get_health},
	{"GET", "/health/ready", true, get_ready},
	{"GET", "/v1/models", false, get_models},
	{"GET", "/models", false, get_models},
	{"GET", "/v1/models/", false, get_model},
	{"GET", "/version", false, get_version},
	{"GET", "/server_info", false, get_server_info},
	{"GET", "/metrics", false, get_metrics},
	{"GET", "/openapi.json", false, get_openapi},
	{"GET", "/tokenizer_info", false, get_tokenizer_info},
	{"POST", "/tokenize", false, post_tokenize},
	{"POST", "/detokenize", false, post_detokenize},
	{"POST", "/v1/completions", false, post_completions},
	{"POST", "/completions", false, post_completions},
	{"POST", "/v1/chat/completions", false, post_chat},
	{"POST", "/chat/completions", false, post_chat},
	{"GET", "/v1/requests/", false, get_request},
	{"POST", "/v1/requests/", false, post_cancel},
	{"DELETE", "/v1/requests/", false, post_cancel},
};

const struct route *route_all(int *n)
{
	*n = sizeof routes / sizeof *routes;
	return routes;
}

static bool matches(const struct route *r, const char *path, const char **tail)
{
	size_t n = strlen(r->path);

	*tail = path + n;
	if (n > 1 && r->path[n - 1] == '/')
		return !strncmp(path, r->path, n) && (path[n] || r->begin == get_model);
	return !strcmp(path, r->path);
}

/* The bytes of the path as they came: nothing is unescaped, so nothing can be hidden. */
const struct route *route_find(const char *method, const char *path, const char **allow, const char **tail)
{
	*allow = NULL;
	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (!matches(&routes[i], path, tail))
			continue;
		if (!strcmp(method, routes[i].method))
			return &routes[i];
		*allow = *routes[i].method == 'G'             ? "GET, HEAD, OPTIONS"
			 : strncmp(path, "/v1/requests/", 13) ? "POST, OPTIONS"
							      : "POST, DELETE, OPTIONS";
	}
	return NULL;
}
