/* listen.h - the listening socket: an address and a port, or a Unix socket. */
#ifndef RPC_GATEWAY_HTTP_LISTEN_H
#define RPC_GATEWAY_HTTP_LISTEN_H

#include "rpc/gateway/gateway.h"

/* Also sets g->loopback: only this machine can connect. Tells where it listens on standard error. */
int listen_open(struct gateway *g, int *fd, struct why *why);
void listen_close(struct gateway *g); /* removes a Unix socket */

#endif
