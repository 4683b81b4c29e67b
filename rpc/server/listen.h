/* listen.h - a listening Unix socket at a path that no other process serves. */
#ifndef RPC_SERVER_LISTEN_H
#define RPC_SERVER_LISTEN_H

#include <sys/types.h>

#include "base/base.h"

/* The environment's name for a connected Unix socket, by its number, to which xverse-gateway --check sends the
 * listening socket that it has opened (SCM_RIGHTS, with one byte), so that xverse-launch can keep it. Of a Unix socket
 * the file whose flock protects its path follows, with the path. */
#define LISTEN_SHOW "XVERSE_GATEWAY_SHOW"

struct rpc_listener {
	int fd, lock_fd;
	char *path; /* bound here; NULL: handed over */
	dev_t dev;  /* of the socket's file, so that only ours is removed */
	ino_t ino;
};

/* flock on path.lock, bind a temporary name, rename over a stale socket; a live one is refused with its pid
 * (ERR_BUSY), after a wait where it is held by what a killed process leaves behind; a place that does not do (no such
 * folder, not to be written, no locks) is ERR_DENIED, a path that cannot be a socket's ERR_INVALID. Mode 0660; group
 * (gid_t)-1: leave. */
int rpc_listen(struct rpc_listener *l, const char *path, gid_t group, struct why *why);
/* What rpc_listen() would refuse of the path and of its folder; makes nothing, and asks no process that serves it. */
int rpc_listen_check(const char *path, struct why *why);
/* A descriptor that was handed over: checked, made non-blocking. */
int rpc_listen_on(struct rpc_listener *l, int fd, struct why *why);
/* What another process that held `path` has passed on: the socket and the file whose flock protects the path (-1: the
 * path belongs to a supervisor, and no file of it is ours). Takes both descriptors, also where it fails. ERR_INVALID:
 * they are not that. */
int rpc_listen_taken(struct rpc_listener *l, const char *path, int fd, int lock_fd, struct why *why);
/* The files are this process's from now on: the lock file names it. */
void rpc_listen_own(const struct rpc_listener *l);
/* The files are another process's from now on: they stay. */
void rpc_listen_leave(struct rpc_listener *l);
/* Removes the files that were made. Takes no lock and no memory, so that last words may end with it. */
void rpc_unlink(const struct rpc_listener *l);
void rpc_unlisten(struct rpc_listener *l); /* that, and closes */

#endif
