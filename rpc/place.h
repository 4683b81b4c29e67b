/* place.h - where the socket lies if no option names it: one rule for servers and clients of a user.
 *
 * The folders, in order: $XDG_RUNTIME_DIR, if it belongs to this user; /run/xversed, which root makes;
 * /tmp/xversed-UID, mode 0700. A server takes the first in which it may make files. A client looks there first, then in
 * the others. */
#ifndef RPC_PLACE_H
#define RPC_PLACE_H

#include "base/base.h"

enum { RPC_PATH_SIZE = 108 /* of a Unix socket's path, with its NUL */ };

/* Chooses a server's path and makes its folder. ERR_DENIED, with what is wrong with each folder and what to do. */
int rpc_place_make(char out[RPC_PATH_SIZE], struct why *why);
/* Whether a server would find a place; makes nothing. ERR_DENIED as above. */
int rpc_place_check(struct why *why);
/* Chooses a client's path: a socket that may be connected to, else one that may not, else where a server of this user
 * would put it. Makes nothing. A folder below /tmp that another user made is not looked into. ERR_DENIED as above;
 * *out then is "". */
int rpc_place_find(char out[RPC_PATH_SIZE], struct why *why);

#endif
