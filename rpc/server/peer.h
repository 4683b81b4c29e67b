/* peer.h - the client at the other end of a connection, as the kernel names it. */
#ifndef RPC_SERVER_PEER_H
#define RPC_SERVER_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PEER_GROUPS = 64 };
struct rpc_peer {
	uid_t uid;
	gid_t gid;
	gid_t groups[PEER_GROUPS]; /* others of its process, the first ones by number */
	int n_groups;
	pid_t pid;
	uint64_t connection; /* never used twice */
	bool owner;          /* root or the server's own user, who speaks for itself: no Asker is set */
};

#endif
