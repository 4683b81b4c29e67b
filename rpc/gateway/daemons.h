/* daemons.h - the daemons behind the gateway, and what is known of each: it is asked for its Status once a second. */
#ifndef RPC_GATEWAY_DAEMONS_H
#define RPC_GATEWAY_DAEMONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/codec/codec.h"
#include "rpc/xverse.h"
#include "rpc/gateway/http/loop.h"

enum { GATEWAY_MAX_DAEMONS = 32 };

enum gateway_daemon_state { DAEMON_UNREACHABLE, DAEMON_SILENT, DAEMON_LOADING, DAEMON_READY, DAEMON_DRAINING };

struct gateway_daemon {
	struct gateway_daemons *all;
	struct http_watch watch;
	const char *name, *socket; /* name NULL: the daemon's own; socket NULL: the default one */
	struct xv_client *client;  /* asks for the Status; NULL: to be connected */
	uint64_t asked_id, asked_ns, next_ns;
	enum gateway_daemon_state state;
	bool was_ready;         /* requests wait while it loads again */
	int64_t created;        /* Unix time of the first Status */
	struct xv_reply status; /* the last one, a copy; kind is XV_R_NONE before the first */
	bool no_asker;          /* the daemon does not accept names of clients from this process */
	char why[512];
};

struct gateway_daemons {
	struct http_loop *loop;
	struct gateway_daemon daemon[GATEWAY_MAX_DAEMONS];
	int n;
};

/* Connects to n daemons and adds itself to the loop. Names and sockets must outlive it. */
void gateway_daemons_open(struct gateway_daemons *all, struct http_loop *loop, const char *const *name,
			  const char *const *socket, int n);
void gateway_daemons_close(struct gateway_daemons *all);

/* The name under which clients ask for its model: without --model NAME= the one that the daemon reports. */
const char *gateway_daemon_name(const struct gateway_daemon *d);
const char *gateway_daemon_state_name(const struct gateway_daemon *d);
const struct xv_status *gateway_daemon_status(const struct gateway_daemon *d); /* NULL: none has arrived yet */
/* The adapter of a daemon that has this name and can be used; NULL: none. */
const struct xv_adapter *gateway_daemon_adapter(const struct gateway_daemon *d, const char *name);
/* Finds a daemon by the name of its model, else of one of its adapters, of len bytes. Returns the first daemon for an
 * empty one, NULL for an unknown one. */
struct gateway_daemon *gateway_daemon_find(struct gateway_daemons *all, const char *name, size_t len);

#endif
