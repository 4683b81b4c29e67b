/* server.h - the HTTP server: libmicrohttpd, the connections, and the table of routes that the program hands to it.
 * It knows no endpoint. */
#ifndef RPC_GATEWAY_HTTP_SERVER_H
#define RPC_GATEWAY_HTTP_SERVER_H

#include <stdbool.h>

#include "base/base.h"
#include "rpc/gateway/http/loop.h"
#include "rpc/gateway/http/options.h"
#include "rpc/gateway/http/route.h"

struct http_server;

/* Listens, and adds itself to the loop. The options, the routes and `context`, which http_context() returns to
 * endpoints, must outlive the server. Also lowers how->max_connections to what the limit of open files allows. On an
 * error *out may hold a server: close it. ERR_INVALID, ERR_IO. */
int http_server_open(struct http_server **out, struct http_loop *loop, struct http_options *how,
		     const struct http_route *routes, int n_routes, void *context, struct why *why);
void http_server_close(struct http_server *s); /* NULL is fine */

/* Opens the access log again, and reads the files of keys and of the certificate again. What cannot be read stays as it
 * was, and the log says why. Open requests go on. */
void http_server_reload(struct http_server *s);
/* Whether the listening socket was passed to this process, so that clients may be waiting there already. */
bool http_server_was_passed(const struct http_server *s);
/* While it holds, no connection is accepted: clients wait. Only before the first one. */
void http_server_hold(struct http_server *s, bool hold);
/* Stops listening; open requests go on for --shutdown-timeout. */
void http_server_drain(struct http_server *s);
/* Another process listens at this address now: stops accepting. Open requests go on without a limit, and a connection
 * that waits for a request may still send one, which is its last: a client that was about to send it loses nothing. */
void http_server_leave(struct http_server *s);
/* Sends the listening socket as LISTEN_SHOW says, if it does. A Unix socket then outlives this server. */
void http_server_show(struct http_server *s);
/* Returns true after http_server_drain() once all requests were answered or the time is over, and after
 * http_server_leave() once all connections have ended. */
bool http_server_drained(const struct http_server *s);

#endif
