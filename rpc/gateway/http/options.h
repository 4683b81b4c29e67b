/* options.h - the options of the HTTP side. */
#ifndef RPC_GATEWAY_HTTP_OPTIONS_H
#define RPC_GATEWAY_HTTP_OPTIONS_H

#include <stdint.h>

enum { HTTP_MAX_LIST = 32 }; /* --allowed-host, --cors-origin, --trusted-proxy */

struct http_options {
	const char *host, *uds, *key_file, *tls_cert, *tls_key, *access_log; /* NULL, except host: not given */
	int port;
	const char *allowed_host[HTTP_MAX_LIST], *cors_origin[HTTP_MAX_LIST], *trusted_proxy[HTTP_MAX_LIST];
	int n_allowed_hosts, n_cors_origins, n_trusted_proxies;
	int64_t max_body, max_bodies; /* bytes */
	int64_t max_connections, max_per_address;
	int64_t share; /* percent of max_bodies and max_connections that one API key may have */
	int64_t head_ms, body_ms, idle_ms, stall_ms, ping_ms, drain_ms;
};

#endif
