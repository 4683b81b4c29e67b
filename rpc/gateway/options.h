/* options.h - the command line of xverse-gateway. */
#ifndef RPC_GATEWAY_OPTIONS_H
#define RPC_GATEWAY_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/base.h"
#include "rpc/gateway/daemons.h"
#include "rpc/gateway/http/options.h"

struct gateway_options {
	struct http_options http;
	const char *daemon_name[GATEWAY_MAX_DAEMONS], *daemon_socket[GATEWAY_MAX_DAEMONS]; /* entries may be NULL */
	int n_daemons;                                                                     /* at least 1 */
	int64_t resume_ms;
	const char *title; /* NULL: the page's own */
	bool help, print_openapi, check;
};

/* ERR_INVALID, ERR_LIMIT. Values point into argv, or live as long as the program. */
int gateway_options_read(struct gateway_options *o, int argc, char **argv, struct why *why);
void gateway_options_help(FILE *f);

#endif
